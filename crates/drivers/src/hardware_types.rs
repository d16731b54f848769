//! Hardware types as rows: which implementations each may use, best first.

use std::collections::BTreeMap;

use model::{HardwareType, InterfaceKind as K};

/// One hardware type.
#[derive(Debug)]
pub struct Row {
    /// Its name.
    pub name: &'static str,
    /// Implementations per interface, in order of preference: a subset of contract/hardware.tsv in its order.
    pub interfaces: &'static [(K, &'static [&'static str])],
    /// Keys of `driver_info` that its interfaces read, with descriptions.
    pub properties: &'static [(&'static str, &'static str)],
}

/// Keys that every hardware type with a deploy ramdisk reads.
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

/// Every hardware type that this binary has.
pub const HARDWARE_TYPES: &[Row] = &[
    Row {
        name: "fake-hardware",
        interfaces: &[
            (K::Bios, &["no-bios"]),
            (K::Boot, &["fake", "ipxe"]),
            (K::Console, &["no-console"]),
            (K::Deploy, &["fake", "direct"]),
            (K::Firmware, &["no-firmware"]),
            (K::Inspect, &["fake", "no-inspect"]),
            (K::Management, &["fake"]),
            (K::Network, &["noop"]),
            (K::Power, &["fake"]),
            (K::Raid, &["no-raid"]),
            (K::Rescue, &["fake", "no-rescue", "agent"]),
            (K::Storage, &["noop"]),
            (K::Vendor, &["no-vendor"]),
        ],
        properties: &[],
    },
    Row {
        name: "ipmi",
        interfaces: &[
            (K::Bios, &["no-bios"]),
            (K::Boot, &["ipxe"]),
            (K::Console, &["no-console"]),
            (K::Deploy, &["direct"]),
            (K::Firmware, &["no-firmware"]),
            (K::Inspect, &["no-inspect"]),
            (K::Management, &["ipmitool", "noop"]),
            (K::Network, &["noop"]),
            (K::Power, &["ipmitool"]),
            (K::Raid, &["no-raid"]),
            (K::Rescue, &["no-rescue", "agent"]),
            (K::Storage, &["noop"]),
            (K::Vendor, &["no-vendor"]),
        ],
        properties: IPMI_PROPERTIES,
    },
    Row {
        name: "redfish",
        interfaces: &[
            (K::Bios, &["no-bios"]),
            (K::Boot, &["ipxe"]),
            (K::Console, &["no-console"]),
            (K::Deploy, &["direct"]),
            (K::Firmware, &["no-firmware"]),
            (K::Inspect, &["no-inspect"]),
            (K::Management, &["redfish", "noop"]),
            (K::Network, &["noop"]),
            (K::Power, &["redfish"]),
            (K::Raid, &["no-raid"]),
            (K::Rescue, &["no-rescue", "agent"]),
            (K::Storage, &["noop"]),
            (K::Vendor, &["no-vendor"]),
        ],
        properties: REDFISH_PROPERTIES,
    },
];

/// Implementations that a node has only if it asks for them: `no-…` is what stands there of itself.
const ONLY_IF_ASKED_FOR: &[(K, &str)] = &[(K::Inspect, "fake"), (K::Rescue, "fake")];

/// The configuration enables a hardware type that does not exist.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no hardware type '{name}'; this version has {known}")]
pub struct UnknownHardwareType {
    /// The name.
    pub name: String,
    /// Those that exist.
    pub known: String,
}

/// The rows with the given names, in alphabetical order.
pub(crate) fn enabled(names: &[String]) -> Result<Vec<HardwareType>, UnknownHardwareType> {
    let mut types = names
        .iter()
        .map(|name| {
            HARDWARE_TYPES.iter().find(|row| row.name == name).map(offer).ok_or_else(|| UnknownHardwareType {
                name: name.clone(),
                known: HARDWARE_TYPES.iter().map(|row| row.name).collect::<Vec<_>>().join(", "),
            })
        })
        .collect::<Result<Vec<_>, _>>()?;
    types.sort_by(|a, b| a.name.cmp(&b.name));
    types.dedup_by(|a, b| a.name == b.name);
    Ok(types)
}

fn offer(row: &Row) -> HardwareType {
    // The first of a list is what a node gets that names none.
    let strings = |kind: K, list: &[&str]| {
        let (last, first): (Vec<&str>, Vec<&str>) =
            list.iter().partition(|name| ONLY_IF_ASKED_FOR.contains(&(kind, **name)));
        first.into_iter().chain(last).map(str::to_owned).collect::<Vec<_>>()
    };
    HardwareType {
        name: row.name.to_owned(),
        interfaces: row.interfaces.iter().map(|(kind, list)| (*kind, strings(*kind, list))).collect(),
        properties: row
            .properties
            .iter()
            .map(|(key, text)| ((*key).to_owned(), (*text).to_owned()))
            .collect::<BTreeMap<_, _>>(),
    }
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
                assert!(places.is_sorted(), "{} {kind}", row.name);
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

    #[test]
    fn an_unknown_name_is_refused_with_those_that_exist() {
        let error = enabled(&["redfisch".to_owned()]).unwrap_err();
        assert!(error.to_string().contains("fake-hardware, ipmi, redfish"), "{error}");
    }
}
