//! What switches say of themselves by LLDP (IEEE 802.1AB), as far as ports keep it: `switch_id`, `port_id`,
//! `switch_info`. What a port knows already stays.

use model::MacAddr;
use serde_json::{Value, json};

use super::{Machine, interfaces};

/// Chassis ID, clause 8.5.2.
const CHASSIS_ID: u64 = 1;
/// Port ID, clause 8.5.3.
const PORT_ID: u64 = 2;
/// System Name, clause 8.5.6.
const SYSTEM_NAME: u64 = 5;
/// The subtype of a chassis ID that is an Ethernet address, table 8-2.
const CHASSIS_MAC: u8 = 4;
/// The subtype of a port ID that is an Ethernet address, table 8-3.
const PORT_MAC: u8 = 3;
/// The subtype of a port ID that is a network address, table 8-3.
const PORT_NETWORK: u8 = 4;
/// The longest value of a TLV, in bytes.
const LONGEST: usize = 511;

/// Tells each port the switch port that it is plugged into.
pub(super) fn connections(machine: &mut Machine) {
    for (address, interface) in interfaces::all(machine) {
        let name = interface.get("name").and_then(Value::as_str).unwrap_or_default();
        let raw = machine.plugin_data.get("lldp_raw").and_then(|raw| raw.get(name));
        let heard = raw.filter(|raw| is_some_list(raw)).or_else(|| interface.get("lldp"));
        let Some(told) = heard.and_then(Value::as_array).and_then(|units| told(units)) else { continue };
        if let Some(port) = machine.ports.iter_mut().find(|port| port.address == address) {
            let mut link = port.local_link_connection.to_map();
            for (key, value) in told {
                link.entry(key).or_insert(value);
            }
            port.local_link_connection = link.into();
        }
    }
}

fn is_some_list(value: &Value) -> bool {
    value.as_array().is_some_and(|list| !list.is_empty())
}

/// What the units, each `[type, hex]`, say; `None` when one of them cannot be read.
fn told(units: &[Value]) -> Option<Vec<(&'static str, Value)>> {
    let mut told = Vec::new();
    for unit in units {
        let (kind, text) = (unit.get(0)?.as_u64()?, unit.get(1)?.as_str()?);
        let value = unhex(text)?;
        let fact = match kind {
            CHASSIS_ID => switch_id(&value).map(|id| ("switch_id", id)),
            PORT_ID => Some(("port_id", port_id(&value)?)),
            SYSTEM_NAME => Some(("switch_info", String::from_utf8(value).ok()?)),
            _ => None,
        };
        told.extend(fact.map(|(key, text)| (key, json!(text))));
    }
    Some(told)
}

/// Only an Ethernet address identifies a switch.
fn switch_id(value: &[u8]) -> Option<String> {
    let (kind, rest) = value.split_first()?;
    (*kind == CHASSIS_MAC).then(|| address(rest)).flatten()
}

fn port_id(value: &[u8]) -> Option<String> {
    let (kind, rest) = value.split_first()?;
    match *kind {
        PORT_MAC => address(rest),
        PORT_NETWORK => match rest {
            [1, a, b, c, d] => Some(format!("{a}.{b}.{c}.{d}")),
            [2, rest @ ..] => Some(std::net::Ipv6Addr::from(<[u8; 16]>::try_from(rest).ok()?).to_string()),
            _ => None,
        },
        _ => String::from_utf8(rest.to_vec()).ok(),
    }
}

fn address(bytes: &[u8]) -> Option<String> {
    Some(MacAddr::new(bytes.try_into().ok()?).to_string())
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) || text.len() > 2 * LONGEST || !text.is_ascii() {
        return None;
    }
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok()).collect()
}
