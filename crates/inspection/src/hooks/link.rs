//! Which port of which switch a port of the machine is plugged into, as far as the switch tells: `switch_id`, `port_id`,
//! `switch_info`. What a port knows already stays.

use serde_json::{Value, json};

use super::lldp::Unreadable;
use super::{Machine, interfaces, lldp};

/// Tells each port the switch port that it is plugged into.
pub(super) fn connections(machine: &mut Machine) {
    for (address, interface) in interfaces::all(machine) {
        let Some(told) = told(machine, &interface) else { continue };
        if let Some(port) = machine.ports.iter_mut().find(|port| port.address == address) {
            let mut link = port.local_link_connection.to_map();
            for (key, value) in told {
                link.entry(key).or_insert(json!(value));
            }
            port.local_link_connection = link.into();
        }
    }
}

/// What was heard at the interface; `None` when nothing was, or when a part of it cannot be read: half of a place is
/// another place.
fn told(machine: &Machine, interface: &Value) -> Option<Vec<(&'static str, String)>> {
    let units = lldp::heard(&machine.plugin_data, interface)?;
    let places: Result<Vec<_>, Unreadable> =
        units.map(|unit| unit.ok_or(Unreadable).and_then(|unit| unit.place())).collect();
    Some(places.ok()?.into_iter().flatten().collect())
}
