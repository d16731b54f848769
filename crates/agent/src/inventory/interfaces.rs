//! Network interfaces as sysfs shows them, with their addresses.

use agent_api::inventory::Interface;
use serde_json::Value;
use std::{
    collections::BTreeMap,
    fs,
    net::{Ipv4Addr, Ipv6Addr},
    path::Path,
};

const CLASS: &str = "/sys/class/net";
/// `ARPHRD_ETHER` of `linux/if_arp.h`.
const ETHERNET: &str = "1";

/// MAC addresses of all Ethernet hardware, by interface name.
pub fn macs() -> Vec<String> {
    let mut macs: Vec<String> = all().into_iter().filter_map(|interface| interface.mac_address).collect();
    let mut seen = Vec::new();
    macs.retain(|mac| {
        let fresh = !seen.contains(mac);
        seen.push(mac.clone());
        fresh
    });
    macs
}

/// All interfaces that are hardware, by name.
pub fn all() -> Vec<Interface> {
    let v4 = v4_addresses();
    let v6 = v6_addresses(&fs::read_to_string("/proc/net/if_inet6").unwrap_or_default());
    let mut names: Vec<String> = fs::read_dir(CLASS)
        .map(|entries| {
            entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
        })
        .unwrap_or_default();
    names.sort();
    names
        .iter()
        .filter_map(|name| describe(&Path::new(CLASS).join(name), name))
        .map(|mut interface| {
            interface.ipv4_address = v4.get(&interface.name).map(ToString::to_string);
            interface.ipv6_address = v6.get(&interface.name).map(ToString::to_string);
            interface
        })
        .collect()
}

fn attribute(path: &Path) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

fn link_name(path: &Path) -> Option<String> {
    Some(fs::read_link(path).ok()?.file_name()?.to_string_lossy().into_owned())
}

fn describe(directory: &Path, name: &str) -> Option<Interface> {
    let device = directory.join("device");
    if !device.exists() || attribute(&directory.join("type")).as_deref() != Some(ETHERNET) {
        return None;
    }
    // A virtio device sits on a PCI function, which is what has an address and a vendor.
    let on_bus = |directory: &Path| link_name(&directory.join("subsystem")).as_deref() == Some("pci");
    let real = fs::canonicalize(&device).ok()?;
    let function = real.ancestors().take(4).find(|path| on_bus(path)).map(Path::to_path_buf);
    let pci = |file: &str| function.as_ref().and_then(|path| attribute(&path.join(file)));
    Some(Interface {
        name: name.to_owned(),
        mac_address: attribute(&directory.join("address")).map(|mac| mac.to_ascii_lowercase()),
        ipv4_address: None,
        ipv6_address: None,
        has_carrier: Some(attribute(&directory.join("carrier")).as_deref() == Some("1")),
        lldp: Value::Null,
        vendor: attribute(&device.join("vendor")).or_else(|| pci("vendor")),
        product: attribute(&device.join("device")).or_else(|| pci("device")),
        client_id: None,
        biosdevname: None,
        speed_mbps: attribute(&directory.join("speed")).and_then(|text| text.parse().ok()),
        pci_address: function
            .as_ref()
            .and_then(|path| Some(path.file_name()?.to_string_lossy().into_owned())),
        driver: link_name(&device.join("driver")),
    })
}

/// First IPv4 address of each interface, by the kernel's table of routes: a route to a network without a gateway shows the
/// interface, and the local addresses are leaves of the address trie.
fn v4_addresses() -> BTreeMap<String, Ipv4Addr> {
    let routes = fs::read_to_string("/proc/net/route").unwrap_or_default();
    let trie = fs::read_to_string("/proc/net/fib_trie").unwrap_or_default();
    match_v4(&routes, &local_v4(&trie))
}

/// Local addresses: the lines before `/32 host LOCAL`.
fn local_v4(trie: &str) -> Vec<Ipv4Addr> {
    let mut found: Vec<Ipv4Addr> = Vec::new();
    let mut last = None;
    for line in trie.lines() {
        if let Some(address) = line.trim().strip_prefix("|-- ") {
            last = address.parse().ok();
        } else if line.contains("host LOCAL")
            && let Some(address) = last.filter(|address: &Ipv4Addr| !found.contains(address))
        {
            found.push(address);
        }
    }
    found
}

fn match_v4(routes: &str, local: &[Ipv4Addr]) -> BTreeMap<String, Ipv4Addr> {
    let mut addresses = BTreeMap::new();
    for line in routes.lines().skip(1) {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let number = |at: usize| {
            let text = fields.get(at).copied().unwrap_or_default();
            u32::from_str_radix(text, 16).ok().map(u32::swap_bytes)
        };
        let (Some(name), Some(network), Some(0), Some(mask)) =
            (fields.first(), number(1), number(2), number(7))
        else {
            continue;
        };
        let inside = |address: &&Ipv4Addr| mask != 0 && address.to_bits() & mask == network;
        if let Some(address) = local.iter().find(inside) {
            addresses.entry((*name).to_owned()).or_insert(*address);
        }
    }
    addresses
}

/// First IPv6 address of each interface, a global one rather than a link-local one.
fn v6_addresses(text: &str) -> BTreeMap<String, Ipv6Addr> {
    let mut addresses: BTreeMap<String, Ipv6Addr> = BTreeMap::new();
    for line in text.lines() {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let (Some(digits), Some(name)) = (fields.first(), fields.get(5)) else { continue };
        let Ok(bits) = u128::from_str_radix(digits, 16) else { continue };
        let address = Ipv6Addr::from_bits(bits);
        let known = addresses.entry((*name).to_owned()).or_insert(address);
        if known.is_unicast_link_local() {
            *known = address;
        }
    }
    addresses
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn v4_by_routes_and_trie() {
        let trie = "Main:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 172.22.0.0\n        /24 link UNICAST\n     |-- 172.22.0.100\n        /32 host LOCAL\n     |-- 172.22.0.255\n        /32 link BROADCAST\n     |-- 127.0.0.1\n        /32 host LOCAL\n";
        let routes = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\n\
                      eth0\t00000000\t010016AC\t0003\t0\t0\t10\t00000000\n\
                      eth0\t000016AC\t00000000\t0001\t0\t0\t0\t00FFFFFF\n";
        let addresses = match_v4(routes, &local_v4(trie));
        assert_eq!(addresses.get("eth0"), Some(&Ipv4Addr::new(172, 22, 0, 100)));
        assert_eq!(addresses.len(), 1);
    }

    #[test]
    fn v6_prefers_global() {
        let text = "fe800000000000005054000000000001 02 40 20 80     eth0\nfd220000000000005054000000000001 02 40 00 00     eth0\n00000000000000000000000000000001 01 80 10 80       lo\n";
        let addresses = v6_addresses(text);
        assert_eq!(addresses["eth0"].to_string(), "fd22::5054:0:0:1");
    }

    #[test]
    fn this_machine_has_what_it_has() {
        for interface in all() {
            let mac = interface.mac_address.expect("Ethernet has a MAC");
            assert!(crate::parameters::mac(&mac).is_some(), "{mac}");
        }
    }
}
