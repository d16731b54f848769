//! Network interfaces of the inventory, and the ports that they become.

use std::collections::BTreeSet;
use std::net::IpAddr;

use ipnet::IpNet;
use model::{MacAddr, Port};
use serde_json::{Map, Value, json};

use super::{AddPorts, HookError, KeepPorts, Machine, Options};

/// Keeps the interfaces under `all_interfaces` of the plug-in data, those that get a port under `valid_interfaces`, and
/// the addresses of the latter under `macs`.
pub(super) fn validate(add: AddPorts, machine: &mut Machine) -> Result<(), HookError> {
    let boot = boot_address(&machine.inventory);
    let list = machine.inventory.get("interfaces").and_then(Value::as_array);
    let list = list.ok_or(HookError::Inventory("it lists no interfaces"))?;
    let all: Map<String, Value> =
        list.iter().filter_map(Value::as_object).filter_map(|one| sorted_out(one, boot)).collect();
    if all.is_empty() {
        return Err(HookError::Inventory("it has no valid network interfaces"));
    }
    let valid: Map<String, Value> = all
        .iter()
        .filter(|(name, interface)| is_wanted(add, name, interface, boot.is_some()))
        .map(|(name, interface)| (name.clone(), interface.clone()))
        .collect();
    if valid.is_empty() {
        return Err(HookError::NoInterface(add));
    }
    let addresses: Vec<Value> =
        valid.values().filter_map(|interface| interface.get("mac_address").cloned()).collect();
    machine.plugin_data.insert("all_interfaces".to_owned(), Value::Object(all));
    machine.plugin_data.insert("valid_interfaces".to_owned(), Value::Object(valid));
    machine.plugin_data.insert("macs".to_owned(), Value::Array(addresses));
    Ok(())
}

/// An interface with a name and a valid address, with what follows from the others.
fn sorted_out(interface: &Map<String, Value>, boot: Option<MacAddr>) -> Option<(String, Value)> {
    let name = interface.get("name")?.as_str().filter(|name| !name.is_empty())?;
    let address: MacAddr = interface.get("mac_address")?.as_str()?.parse().ok()?;
    let mut interface = interface.clone();
    interface.insert("mac_address".to_owned(), json!(address.to_string()));
    interface.insert("pxe_enabled".to_owned(), json!(Some(address) == boot));
    let scoped = interface.get("ipv6_address").and_then(Value::as_str);
    if let Some((bare, _)) = scoped.and_then(|text| text.split_once('%')) {
        let bare = json!(bare);
        interface.insert("ipv6_address".to_owned(), bare);
    }
    Some((name.to_owned(), Value::Object(interface)))
}

fn is_wanted(add: AddPorts, name: &str, interface: &Value, boot_is_known: bool) -> bool {
    let address = addresses(interface).next();
    if name == "lo" || address.is_some_and(|address| address.is_loopback()) {
        return false;
    }
    match add {
        AddPorts::All | AddPorts::Disabled => true,
        AddPorts::Active => address.is_some(),
        AddPorts::Pxe => !boot_is_known || interface.get("pxe_enabled") == Some(&Value::Bool(true)),
    }
}

/// The IP addresses of an interface, the older kind first.
fn addresses(interface: &Value) -> impl Iterator<Item = IpAddr> + '_ {
    ["ipv4_address", "ipv6_address"]
        .into_iter()
        .filter_map(|name| interface.get(name)?.as_str()?.split('%').next()?.parse().ok())
}

/// The interface that the machine booted from; PXE writes it as `01-52-54-…`.
fn boot_address(inventory: &Map<String, Value>) -> Option<MacAddr> {
    let text = inventory.get("boot")?.get("pxe_interface")?.as_str()?;
    match text.split_once('-') {
        Some((_, address)) => address.replace('-', ":").parse().ok(),
        None => text.parse().ok(),
    }
}

/// The interfaces under a key of the plug-in data, by address.
fn known<'m>(machine: &'m Machine, key: &str) -> impl Iterator<Item = (MacAddr, &'m Value)> {
    let interfaces = machine.plugin_data.get(key).and_then(Value::as_object);
    interfaces.into_iter().flatten().filter_map(|(_, interface)| {
        let address = interface.get("mac_address")?.as_str()?.parse().ok()?;
        Some((address, interface))
    })
}

/// All interfaces that were sorted out, by address.
pub(super) fn all(machine: &Machine) -> Vec<(MacAddr, Value)> {
    known(machine, "all_interfaces").map(|(address, interface)| (address, interface.clone())).collect()
}

/// Makes, changes and removes ports.
pub(super) fn change_ports(options: &Options, machine: &mut Machine) {
    let is_boot = |interface: &Value| interface.get("pxe_enabled") == Some(&Value::Bool(true));
    let client = |interface: &Value| interface.get("client_id").and_then(Value::as_str).map(str::to_owned);
    if options.add_ports != AddPorts::Disabled {
        let fresh: Vec<Port> = known(machine, "valid_interfaces")
            .filter(|(address, _)| {
                !machine.taken.contains(address) && !machine.ports.iter().any(|port| port.address == *address)
            })
            .map(|(address, interface)| {
                let mut port = Port::new(machine.node.uuid, address, machine.now);
                port.pxe_enabled = is_boot(interface);
                if let Some(client) = client(interface) {
                    port.extra.set("client-id", Value::String(client));
                }
                port
            })
            .collect();
        machine.ports.extend(fresh);
    }
    let kept: Option<BTreeSet<MacAddr>> = match options.keep_ports {
        KeepPorts::All => None,
        KeepPorts::Present => Some(known(machine, "all_interfaces").map(|(address, _)| address).collect()),
        KeepPorts::Added => Some(known(machine, "valid_interfaces").map(|(address, _)| address).collect()),
    };
    if let Some(kept) = kept.filter(|kept| !kept.is_empty()) {
        machine.ports.retain(|port| kept.contains(&port.address));
    }
    let interfaces = all(machine);
    for port in &mut machine.ports {
        let interface = interfaces.iter().find(|(address, _)| *address == port.address);
        if options.update_pxe_enabled {
            port.pxe_enabled = interface.is_some_and(|(_, interface)| is_boot(interface));
        }
        let client = interface.and_then(|(_, interface)| client(interface));
        if let Some(client) = client.filter(|client| port.extra.get_str("client-id").as_ref() != Some(client))
        {
            port.extra.set("client-id", Value::String(client));
        }
    }
}

/// Tells ports which network they reach, by the first address that lies in a known one.
pub(super) fn physical_networks(networks: &[(IpNet, String)], machine: &mut Machine) {
    for (address, interface) in all(machine) {
        let network = addresses(&interface)
            .find_map(|ip| networks.iter().find(|(net, _)| net.contains(&ip)).map(|(_, name)| name.clone()));
        let port = machine.ports.iter_mut().find(|port| port.address == address);
        if let (Some(port), Some(network)) = (port, network) {
            port.physical_network = Some(network);
        }
    }
}
