//! What a switch says of itself by LLDP (IEEE 802.1AB), as ramdisks hand it on: for each interface a list of units, each
//! `[type, value in hexadecimal]`. Parses the basic set, that of 802.1 (annex D of 802.1Q) and that of 802.3 (clause 79).
//!
//! What cannot be read is left out; nothing of what a switch sends fails an inspection.

mod fields;

use std::net::{Ipv4Addr, Ipv6Addr};

use model::MacAddr;
use serde_json::{Map, Value, json};

use fields::{MAU_TYPES, PHYSICAL_CAPABILITIES, SYSTEM_CAPABILITIES};

/// The longest value of a unit, in bytes.
const LONGEST: usize = 511;
/// The most interfaces whose units are parsed.
const MAX_INTERFACES: usize = 64;
/// The most units of an interface that are looked at: a frame of 9,000 bytes has no more of use.
const MAX_UNITS: usize = 512;

/// Of the basic set, clause 8.4.
const CHASSIS_ID: u64 = 1;
const PORT_ID: u64 = 2;
const PORT_DESCRIPTION: u64 = 4;
const SYSTEM_NAME: u64 = 5;
const SYSTEM_DESCRIPTION: u64 = 6;
const CAPABILITIES: u64 = 7;
const MANAGEMENT_ADDRESS: u64 = 8;
const ORGANISATION: u64 = 127;

const IEEE_802_1: [u8; 3] = [0x00, 0x80, 0xc2];
const IEEE_802_3: [u8; 3] = [0x00, 0x12, 0x0f];

/// The subtypes of a chassis ID that are no text, table 8-2.
const CHASSIS_MAC: u8 = 4;
const CHASSIS_NETWORK: u8 = 5;
/// The subtypes of a port ID that are no text, table 8-3.
const PORT_MAC: u8 = 3;
const PORT_NETWORK: u8 = 4;

/// A unit, read from hexadecimal.
pub(super) struct Unit {
    kind: u64,
    value: Vec<u8>,
}

/// The units that were heard at an interface of the inventory: those of the collector come before those that the
/// inventory has itself. `None` when there are none; the ones inside are `None` where they cannot be read.
pub(super) fn heard<'m>(
    plugin_data: &'m Map<String, Value>,
    interface: &'m Value,
) -> Option<impl Iterator<Item = Option<Unit>> + 'm> {
    let name = interface.get("name").and_then(Value::as_str)?;
    let collected = plugin_data.get("lldp_raw").and_then(|raw| raw.get(name)).and_then(Value::as_array);
    let units = collected.filter(|units| !units.is_empty()).or_else(|| interface.get("lldp")?.as_array())?;
    Some(units.iter().take(MAX_UNITS).map(unit))
}

fn unit(unit: &Value) -> Option<Unit> {
    Some(Unit { kind: unit.get(0)?.as_u64()?, value: unhex(unit.get(1)?.as_str()?)? })
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) || text.len() > 2 * LONGEST || !text.is_ascii() {
        return None;
    }
    let digit = |at: usize| char::from(text.as_bytes()[at]).to_digit(16);
    let byte = |at: usize| u8::try_from(digit(at)? << 4 | digit(at + 1)?).ok();
    (0..text.len()).step_by(2).map(byte).collect()
}

fn hex(bytes: &[u8]) -> String {
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits.filter_map(|digit| char::from_digit(digit.into(), 16)).collect()
}

impl Unit {
    /// What the unit says of the place of a port: a key of `local_link_connection` and its value.
    ///
    /// # Errors
    /// A unit that speaks of the place and cannot be read.
    pub(super) fn place(&self) -> Result<Option<(&'static str, String)>, Unreadable> {
        match self.kind {
            // Only an Ethernet address identifies a switch.
            CHASSIS_ID if self.value.first() != Some(&CHASSIS_MAC) => Ok(None),
            CHASSIS_ID => Ok(Some(("switch_id", chassis_id(&self.value).ok_or(Unreadable)?))),
            PORT_ID => Ok(Some(("port_id", port_id(&self.value).ok_or(Unreadable)?))),
            SYSTEM_NAME => Ok(Some(("switch_info", text(&self.value).ok_or(Unreadable)?))),
            _ => Ok(None),
        }
    }
}

/// A unit that does not say what its type promises.
pub(super) struct Unreadable;

/// Everything readable, as `parsed_lldp` of the plug-in data: by interface.
pub(super) fn parse(inventory: &Map<String, Value>, plugin_data: &mut Map<String, Value>) {
    let interfaces = inventory.get("interfaces").and_then(Value::as_array);
    let mut parsed = Map::new();
    for interface in interfaces.into_iter().flatten().take(MAX_INTERFACES) {
        let Some(name) = interface.get("name").and_then(Value::as_str) else { continue };
        let Some(units) = heard(plugin_data, interface) else { continue };
        let mut facts = Facts::default();
        for unit in units.flatten() {
            facts.add(&unit);
        }
        if !facts.0.is_empty() {
            parsed.insert(name.to_owned(), Value::Object(facts.0));
        }
    }
    if parsed.is_empty() {
        return;
    }
    match plugin_data.get_mut("parsed_lldp").and_then(Value::as_object_mut) {
        Some(known) => known.extend(parsed),
        None => drop(plugin_data.insert("parsed_lldp".to_owned(), Value::Object(parsed))),
    }
}

/// What is known of the switch behind one interface.
#[derive(Default)]
struct Facts(Map<String, Value>);

impl Facts {
    /// What was said first stays.
    fn set(&mut self, name: &str, value: impl Into<Value>) {
        self.0.entry(name).or_insert_with(|| value.into());
    }

    fn append(&mut self, name: &str, value: Value) {
        if let Value::Array(list) = self.0.entry(name).or_insert_with(|| json!([])) {
            list.push(value);
        }
    }

    /// Adds what the unit says; `None` when it cannot be read.
    fn add(&mut self, unit: &Unit) -> Option<()> {
        let value = unit.value.as_slice();
        match unit.kind {
            CHASSIS_ID => self.set("switch_chassis_id", chassis_id(value)?),
            PORT_ID => self.set("switch_port_id", port_id(value)?),
            PORT_DESCRIPTION => self.set("switch_port_description", text(value)?),
            SYSTEM_NAME => self.set("switch_system_name", text(value)?),
            SYSTEM_DESCRIPTION => self.set("switch_system_description", text(value)?),
            CAPABILITIES => {
                let [a, b, c, d] = value.try_into().ok()?;
                let named = |bits| names(&SYSTEM_CAPABILITIES, bits);
                self.set("switch_capabilities_support", named(u16::from_be_bytes([a, b])));
                self.set("switch_capabilities_enabled", named(u16::from_be_bytes([c, d])));
            }
            MANAGEMENT_ADDRESS => {
                let (_, address) = value.split_first()?;
                self.append("switch_mgmt_addresses", json!(network_address(address)?));
            }
            ORGANISATION => {
                let (organisation, rest) = value.split_at_checked(3)?;
                let (subtype, rest) = rest.split_first()?;
                match organisation.try_into().ok()? {
                    IEEE_802_1 => self.add_802_1(*subtype, rest)?,
                    IEEE_802_3 => self.add_802_3(*subtype, rest)?,
                    _ => {}
                }
            }
            _ => {}
        }
        Some(())
    }

    fn add_802_1(&mut self, subtype: u8, value: &[u8]) -> Option<()> {
        match subtype {
            1 => self.set("switch_port_untagged_vlan_id", number(value)?),
            2 => {
                let [flags, high, low] = value.try_into().ok()?;
                self.set("switch_port_protocol_vlan_enabled", flags & 4 != 0);
                self.set("switch_port_protocol_vlan_support", flags & 2 != 0);
                self.append("switch_port_protocol_vlan_ids", json!(u16::from_be_bytes([high, low])));
            }
            3 => {
                let name = counted(value.get(2..)?)?;
                let name = std::str::from_utf8(name).ok()?.trim_end_matches('\0');
                self.append("switch_port_vlans", json!({ "id": number(value)?, "name": name }));
            }
            4 => {
                self.append("switch_protocol_identities", json!(hex(counted(value)?)));
            }
            6 => self.set("switch_port_management_vlan_id", number(value)?),
            7 => self.add_aggregation(value)?,
            _ => {}
        }
        Some(())
    }

    fn add_802_3(&mut self, subtype: u8, value: &[u8]) -> Option<()> {
        match subtype {
            1 => {
                let [negotiation, a, b, c, d] = value.try_into().ok()?;
                let kind = MAU_TYPES.get(usize::from(u16::from_be_bytes([c, d])))?;
                let mut offered = names(&PHYSICAL_CAPABILITIES, u16::from_be_bytes([a, b]));
                offered.sort_unstable();
                self.set("switch_port_autonegotiation_enabled", negotiation & 2 != 0);
                self.set("switch_port_autonegotiation_support", negotiation & 1 != 0);
                self.set("switch_port_physical_capabilities", offered);
                self.set("switch_port_mau_type", *kind);
            }
            // Deprecated for that of 802.1, and still sent.
            3 => self.add_aggregation(value)?,
            4 => self.set("switch_port_mtu", number(value)?),
            _ => {}
        }
        Some(())
    }

    fn add_aggregation(&mut self, value: &[u8]) -> Option<()> {
        let [status, id @ ..]: [u8; 5] = value.try_into().ok()?;
        self.set("switch_port_link_aggregation_enabled", status & 2 != 0);
        self.set("switch_port_link_aggregation_support", status & 1 != 0);
        self.set("switch_port_link_aggregation_id", u32::from_be_bytes(id));
        Some(())
    }
}

fn chassis_id(value: &[u8]) -> Option<String> {
    let (kind, rest) = value.split_first()?;
    match *kind {
        CHASSIS_MAC => ethernet_address(rest),
        CHASSIS_NETWORK => network_address(rest),
        1..=3 | 6 | 7 => text(rest),
        _ => None,
    }
}

fn port_id(value: &[u8]) -> Option<String> {
    let (kind, rest) = value.split_first()?;
    match *kind {
        PORT_MAC => ethernet_address(rest),
        PORT_NETWORK => network_address(rest),
        1 | 2 | 5 | 7 => text(rest),
        _ => None,
    }
}

/// An address with its family before it, by IANA's numbers.
fn network_address(value: &[u8]) -> Option<String> {
    let (family, rest) = value.split_first()?;
    match *family {
        1 => Some(Ipv4Addr::from(*rest.first_chunk::<4>()?).to_string()),
        2 => Some(Ipv6Addr::from(*rest.first_chunk::<16>()?).to_string()),
        6 => ethernet_address(rest),
        _ => None,
    }
}

fn ethernet_address(bytes: &[u8]) -> Option<String> {
    Some(MacAddr::new(*bytes.first_chunk()?).to_string())
}

/// Text; the zero with which some switches end it is none of it.
fn text(bytes: &[u8]) -> Option<String> {
    Some(std::str::from_utf8(bytes).ok()?.trim_end_matches('\0').to_owned())
}

fn number(bytes: &[u8]) -> Option<u16> {
    Some(u16::from_be_bytes(*bytes.first_chunk()?))
}

/// As many bytes as the first says.
fn counted(bytes: &[u8]) -> Option<&[u8]> {
    let (length, rest) = bytes.split_first()?;
    rest.get(..usize::from(*length))
}

fn names(all: &[(u32, &'static str)], bits: u16) -> Vec<&'static str> {
    all.iter().filter(|(bit, _)| bits & (1 << bit) != 0).map(|(_, name)| *name).collect()
}
