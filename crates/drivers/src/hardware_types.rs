//! Hardware types as rows: which implementations each may use, best first.

use std::collections::{BTreeMap, BTreeSet};

use model::{HardwareType, InterfaceKind as K};

/// One hardware type.
#[derive(Debug)]
pub struct Row {
    /// Its name.
    pub name: &'static str,
    /// Implementations per interface, in order of preference: a subset of contract/hardware.tsv in its order.
    pub interfaces: &'static [(K, &'static [&'static str])],
}

/// What the operator says of the implementations of interfaces.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct InterfaceChoice {
    /// The implementations that are offered, of the kinds of interfaces that are named; of others all are.
    pub enabled: BTreeMap<K, Vec<String>>,
    /// The implementation of nodes that name none, where their hardware type has it; else its first one.
    pub defaults: BTreeMap<K, String>,
}

/// Keys that the IPMI interfaces read.
const IPMI_PROPERTIES: &[(&str, &str)] = &[
    ("ipmi_address", "Address or host name of the BMC. Required."),
    ("ipmi_username", "User of the BMC; the null user when left out."),
    ("ipmi_password", "Password of that user."),
    ("ipmi_port", "UDP port of the BMC; 623 when left out."),
    (
        "ipmi_cipher_suite",
        "Cipher suite: 17 or 3. Chosen with the BMC when left out; 0, 1 and 2 are refused.",
    ),
    ("ipmi_priv_level", "Privilege level of the session: ADMINISTRATOR (the default), OPERATOR or USER."),
];

/// Keys that the Redfish interfaces read.
const REDFISH_PROPERTIES: &[(&str, &str)] = &[
    (
        "redfish_address",
        "URL of the BMC; https:// when the scheme is left out. A path replaces /redfish/v1. Required.",
    ),
    (
        "redfish_system_id",
        "Path of the ComputerSystem, such as /redfish/v1/Systems/1; needed when the BMC has several.",
    ),
    ("redfish_username", "User of the BMC; no login when left out."),
    ("redfish_password", "Password of that user."),
    (
        "redfish_verify_ca",
        "Whether the BMC's certificate is verified: true (the default), false, or the authorities' certificates as PEM text.",
    ),
    ("redfish_auth_type", "How to log in: auto (the default), basic or session."),
];

/// Keys that the fake vendor's methods pretend to need.
const FAKE_VENDOR_PROPERTIES: &[(&str, &str)] =
    &[("B1", "Nothing; for trying clients. Required."), ("B2", "Nothing; for trying clients. Required.")];

/// Keys of `driver_info` that an implementation reads, with descriptions.
fn properties_of(kind: K, implementation: &str) -> &'static [(&'static str, &'static str)] {
    match (kind, implementation) {
        (_, "ipmitool") => IPMI_PROPERTIES,
        (_, "redfish") => REDFISH_PROPERTIES,
        (K::Vendor, "fake") => FAKE_VENDOR_PROPERTIES,
        _ => &[],
    }
}

/// Every hardware type that this binary has.
pub const HARDWARE_TYPES: &[Row] = &[
    Row {
        name: "fake-hardware",
        interfaces: &[
            (K::Bios, &["fake", "no-bios"]),
            (K::Boot, &["fake", "ipxe"]),
            (K::Console, &["fake", "no-console"]),
            (K::Deploy, &["fake", "direct"]),
            (K::Firmware, &["fake", "no-firmware"]),
            (K::Inspect, &["fake", "agent", "no-inspect"]),
            (K::Management, &["fake"]),
            (K::Network, &["noop"]),
            (K::Power, &["fake"]),
            (K::Raid, &["fake", "no-raid", "agent"]),
            (K::Rescue, &["fake", "no-rescue", "agent"]),
            (K::Storage, &["noop", "fake"]),
            (K::Vendor, &["fake", "no-vendor"]),
        ],
    },
    Row {
        name: "ipmi",
        interfaces: &[
            (K::Bios, &["no-bios"]),
            (K::Boot, &["ipxe"]),
            (K::Console, &["no-console"]),
            (K::Deploy, &["direct"]),
            (K::Firmware, &["no-firmware"]),
            (K::Inspect, &["agent", "no-inspect"]),
            (K::Management, &["ipmitool", "noop"]),
            (K::Network, &["noop"]),
            (K::Power, &["ipmitool"]),
            (K::Raid, &["no-raid", "agent"]),
            (K::Rescue, &["no-rescue", "agent"]),
            (K::Storage, &["noop"]),
            (K::Vendor, &["ipmitool", "no-vendor"]),
        ],
    },
    Row {
        name: "redfish",
        interfaces: &[
            (K::Bios, &["no-bios"]),
            (K::Boot, &["ipxe"]),
            (K::Console, &["no-console"]),
            (K::Deploy, &["direct"]),
            (K::Firmware, &["no-firmware"]),
            (K::Inspect, &["agent", "no-inspect"]),
            (K::Management, &["redfish", "noop"]),
            (K::Network, &["noop"]),
            (K::Power, &["redfish"]),
            (K::Raid, &["no-raid", "agent"]),
            (K::Rescue, &["no-rescue", "agent"]),
            (K::Storage, &["noop"]),
            (K::Vendor, &["no-vendor"]),
        ],
    },
];

/// Implementations that a pretended machine has only if it asks for them, or if the operator lists them: `no-…` is what
/// stands there of itself.
const ONLY_IF_ASKED_FOR: &[K] =
    &[K::Bios, K::Console, K::Firmware, K::Inspect, K::Raid, K::Rescue, K::Vendor];

/// What the configuration enables cannot be offered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CannotOffer {
    /// There is no such hardware type.
    #[error("there is no hardware type '{name}'; this version has {known}")]
    HardwareType {
        /// The name.
        name: String,
        /// Those that exist.
        known: String,
    },
    /// No hardware type has such an implementation of an interface.
    #[error("there is no {kind} interface '{name}'; this version has {known}")]
    Implementation {
        /// The kind of interface.
        kind: K,
        /// The implementation.
        name: String,
        /// Those that exist.
        known: String,
    },
    /// A hardware type is left without an implementation of an interface.
    #[error("hardware type {hardware} is left without a {kind} interface: enable one of {known}")]
    NothingLeft {
        /// The hardware type.
        hardware: String,
        /// The kind of interface.
        kind: K,
        /// What it could have.
        known: String,
    },
}

/// The rows with the given names, in alphabetical order, with the interfaces that are enabled, the default first.
pub(crate) fn enabled(names: &[String], choice: &InterfaceChoice) -> Result<Vec<HardwareType>, CannotOffer> {
    let chosen = choice.enabled.iter().flat_map(|(kind, names)| names.iter().map(|name| (*kind, name)));
    for (kind, name) in chosen.chain(choice.defaults.iter().map(|(kind, name)| (*kind, name))) {
        exists(kind, name)?;
    }
    let mut types = names
        .iter()
        .map(|name| {
            let row = HARDWARE_TYPES.iter().find(|row| row.name == name);
            let row = row.ok_or_else(|| CannotOffer::HardwareType {
                name: name.clone(),
                known: HARDWARE_TYPES.iter().map(|row| row.name).collect::<Vec<_>>().join(", "),
            })?;
            offer(row, choice)
        })
        .collect::<Result<Vec<_>, _>>()?;
    types.sort_by(|a, b| a.name.cmp(&b.name));
    types.dedup_by(|a, b| a.name == b.name);
    Ok(types)
}

/// Whether any hardware type has the implementation.
fn exists(kind: K, name: &str) -> Result<(), CannotOffer> {
    let rows = HARDWARE_TYPES.iter().flat_map(|row| row.interfaces).filter(|(of, _)| *of == kind);
    let known: BTreeSet<&str> = rows.flat_map(|(_, list)| list.iter().copied()).collect();
    if known.contains(name) {
        return Ok(());
    }
    let known = known.into_iter().collect::<Vec<_>>().join(", ");
    Err(CannotOffer::Implementation { kind, name: name.to_owned(), known })
}

fn offer(row: &Row, choice: &InterfaceChoice) -> Result<HardwareType, CannotOffer> {
    let mut interfaces = BTreeMap::new();
    let mut properties = BTreeMap::new();
    for (kind, list) in row.interfaces {
        let enabled = choice.enabled.get(kind);
        let is_enabled = |name: &str| enabled.is_none_or(|names| names.iter().any(|known| known == name));
        let mut offered: Vec<String> =
            list.iter().filter(|name| is_enabled(name)).map(|&name| name.to_owned()).collect();
        if offered.is_empty() {
            let (hardware, known) = (row.name.to_owned(), list.join(", "));
            return Err(CannotOffer::NothingLeft { hardware, kind: *kind, known });
        }
        // Stable: the rest stays in its order.
        if enabled.is_none() && ONLY_IF_ASKED_FOR.contains(kind) && offered.iter().any(|name| name == "fake")
        {
            offered.sort_by_key(|name| !name.starts_with("no-"));
        }
        offered.sort_by_key(|name| Some(name) != choice.defaults.get(kind));
        let read = offered.iter().flat_map(|name| properties_of(*kind, name));
        properties.extend(read.map(|(key, text)| ((*key).to_owned(), (*text).to_owned())));
        interfaces.insert(*kind, offered);
    }
    Ok(HardwareType { name: row.name.to_owned(), interfaces, properties })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows of the contract: (hardware type, kind, implementation), in order of preference.
    fn contract() -> Vec<(String, String, String)> {
        include_str!("../../../contract/hardware.tsv")
            .lines()
            .skip(1)
            .map(|row| {
                let mut cells = row.split('\t').map(str::to_owned);
                (cells.next().unwrap(), cells.next().unwrap(), cells.next().unwrap())
            })
            .collect()
    }

    #[test]
    fn implementations_are_the_contracts_in_its_order() {
        let contract = contract();
        for row in HARDWARE_TYPES {
            assert_eq!(row.interfaces.len(), K::ALL.len(), "{}", row.name);
            for (kind, ours) in row.interfaces {
                let theirs: Vec<&str> = contract
                    .iter()
                    .filter(|(name, of, _)| name == row.name && of == kind.as_str())
                    .map(|(_, _, implementation)| implementation.as_str())
                    .collect();
                let places: Vec<usize> = ours
                    .iter()
                    .map(|name| {
                        theirs.iter().position(|known| known == name).unwrap_or_else(|| panic!("{name}"))
                    })
                    .collect();
                // Volumes are attached to those that ask for it: one choice for all hardware, not the type's.
                if *kind == K::Storage {
                    assert_eq!(ours[0], "noop", "{}", row.name);
                } else {
                    assert!(places.is_sorted(), "{} {kind}", row.name);
                }
            }
        }
    }

    /// What the contract enables when nobody says anything, of what this binary has at all.
    #[test]
    fn what_is_enabled_by_default_is_offered() {
        let exists = |kind: &str, name: &str| {
            let mut lists = HARDWARE_TYPES.iter().flat_map(|row| row.interfaces);
            lists.any(|(of, list)| of.as_str() == kind && list.contains(&name))
        };
        let enabled = include_str!("../../../contract/hardware.tsv").lines().skip(1).filter_map(|row| {
            let cells: Vec<&str> = row.split('\t').collect();
            matches!(cells[4], "yes" | "auto").then(|| (cells[0], cells[1], cells[2]))
        });
        let mut compared = 0;
        for (hardware, kind, name) in enabled.filter(|(_, kind, name)| exists(kind, name)) {
            let Some(row) = HARDWARE_TYPES.iter().find(|row| row.name == hardware) else { continue };
            let (_, list) = row.interfaces.iter().find(|(of, _)| of.as_str() == kind).unwrap();
            assert!(list.contains(&name), "{hardware} {kind} {name}");
            compared += 1;
        }
        assert!(compared > 30, "{compared} rows");
    }

    fn offered(names: &[&str], choice: &InterfaceChoice) -> Result<Vec<HardwareType>, CannotOffer> {
        enabled(&names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>(), choice)
    }

    fn listed(kind: K, names: &[&str]) -> BTreeMap<K, Vec<String>> {
        BTreeMap::from([(kind, names.iter().map(|&name| name.to_owned()).collect())])
    }

    #[test]
    fn an_unknown_name_is_refused_with_those_that_exist() {
        let error = offered(&["redfisch"], &InterfaceChoice::default()).unwrap_err();
        assert!(error.to_string().contains("fake-hardware, ipmi, redfish"), "{error}");
        let choice = InterfaceChoice { enabled: listed(K::Raid, &["raid-1"]), ..InterfaceChoice::default() };
        let error = offered(&["ipmi"], &choice).unwrap_err();
        assert!(error.to_string().contains("'raid-1'; this version has agent, fake, no-raid"), "{error}");
    }

    #[test]
    fn operators_choose_what_is_offered_and_what_is_the_default() {
        let all = offered(&["fake-hardware", "ipmi"], &InterfaceChoice::default()).unwrap();
        assert_eq!(all[0].interfaces[&K::Raid], ["no-raid", "fake", "agent"], "fakes only for who asks");
        assert!(all[0].properties.contains_key("B1") && all[1].properties.contains_key("ipmi_address"));
        let choice = InterfaceChoice {
            enabled: listed(K::Vendor, &["no-vendor"])
                .into_iter()
                .chain(listed(K::Console, &["no-console", "fake"]))
                .collect(),
            defaults: BTreeMap::from([(K::Raid, "agent".to_owned()), (K::Bios, "fake".to_owned())]),
        };
        let chosen = offered(&["fake-hardware", "ipmi"], &choice).unwrap();
        assert_eq!(chosen[0].interfaces[&K::Raid], ["agent", "no-raid", "fake"]);
        assert_eq!(chosen[0].interfaces[&K::Console], ["fake", "no-console"], "as the hardware type prefers");
        assert_eq!(chosen[0].interfaces[&K::Vendor], ["no-vendor"]);
        assert!(!chosen[0].properties.contains_key("B1"));
        assert_eq!(chosen[1].default_interface(K::Bios), Some("no-bios"), "fake is not for it");
        let none = InterfaceChoice { enabled: listed(K::Power, &["redfish"]), ..InterfaceChoice::default() };
        let error = offered(&["ipmi"], &none).unwrap_err();
        assert!(error.to_string().contains("enable one of ipmitool"), "{error}");
    }

    /// Every key of the contract that an interface of ours reads is told, and no other key is.
    #[test]
    fn properties_are_keys_of_the_contract() {
        let contract = include_str!("../../../contract/properties.tsv");
        for hardware in offered(&["fake-hardware", "ipmi", "redfish"], &InterfaceChoice::default()).unwrap() {
            for key in hardware.properties.keys() {
                let known = contract.lines().any(|row| row.split('\t').nth(1) == Some(key));
                assert!(known, "{} {key}", hardware.name);
            }
        }
    }
}
