//! `local_link_connection` of a port: the switch and the switch port at the other end of the cable.

use microversion::{Version, since, value_gate};
use model::{JsonObject, MacAddr};
use serde_json::{Map, Value};

use crate::{BodyError, Context, Invalid, Writer};

const PATH: &str = "/local_link_connection";
const KEYS: [&str; 5] = ["port_id", "switch_id", "switch_info", "hostname", "network_type"];
/// Keys of OVN's VTEP gateways begin with this; they came with one version and went with another.
const VTEP_PREFIX: &str = "vtep-";

/// Writes the object without keys that `cx.version` hides.
pub(crate) fn write_link(link: &JsonObject, cx: &Context<'_>, out: &mut Writer) {
    if cx.reveal || has_vtep(cx.version) || !link.as_str().contains(VTEP_PREFIX) {
        return out.object(link);
    }
    let mut shown = link.to_map();
    shown.retain(|key, _| !key.starts_with(VTEP_PREFIX));
    out.object(&JsonObject::from(shown));
}

fn no_vtep(what: String, asked: Version) -> BodyError {
    if asked.at_least(const { since("vtep-keys-removed") }) {
        return BodyError::Gone { what, last: const { since("vtep-keys-removed") - 1 }, asked };
    }
    BodyError::too_new(&what, const { since("vtep-keys") }, asked)
}

fn has_vtep(version: Version) -> bool {
    version.at_least(const { since("vtep-keys") }) && !version.at_least(const { since("vtep-keys-removed") })
}

/// Checks keys, values and that they are enough to find the switch port.
pub(crate) fn check_link(value: &Value, version: Version) -> Result<(), BodyError> {
    let Some(link) = value.as_object() else { return Ok(()) };
    for (key, value) in link {
        let gate = value_gate("port.local_link_connection", key);
        if !gate.admits(version) {
            return Err(BodyError::too_new(&format!("local_link_connection/{key}"), gate.min, version));
        }
        if key.starts_with(VTEP_PREFIX) && !has_vtep(version) {
            return Err(no_vtep(format!("local_link_connection/{key}"), version));
        }
        check_member(key, value)?;
    }
    if is_enough(link) {
        return Ok(());
    }
    let problem =
        "expected port_id with switch_id or hostname, or network_type unmanaged, or an empty object";
    Err(Invalid::at(PATH, problem).into())
}

fn check_member(key: &str, value: &Value) -> Result<(), Invalid> {
    let invalid = |problem: &str| Err(Invalid::at(format!("{PATH}/{key}"), problem));
    if !KEYS.contains(&key) && !key.starts_with(VTEP_PREFIX) {
        return invalid("expected port_id, switch_id, switch_info, hostname or network_type");
    }
    let Some(text) = value.as_str() else { return invalid("expected a string") };
    match key {
        "network_type" if text != "managed" && text != "unmanaged" => {
            invalid("expected managed or unmanaged")
        }
        "switch_id" if !is_switch_id(text) => {
            invalid("expected an Ethernet address or a 64-bit datapath identifier with colons")
        }
        _ => Ok(()),
    }
}

fn is_enough(link: &Map<String, Value>) -> bool {
    let has = |key: &str| link.contains_key(key);
    let unmanaged = link.get("network_type").is_some_and(|kind| kind == "unmanaged");
    let vtep = has("vtep-logical-switch") && has("vtep-physical-switch");
    link.is_empty() || unmanaged || vtep || (has("port_id") && (has("switch_id") || has("hostname")))
}

fn is_switch_id(text: &str) -> bool {
    let pairs = || text.split(':');
    let hex = |pair: &str| pair.len() == 2 && pair.bytes().all(|b| b.is_ascii_hexdigit());
    text.parse::<MacAddr>().is_ok() || (pairs().count() == 8 && pairs().all(hex))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn combinations() {
        let check_link = |link: &Value| check_link(link, Version::new(95).unwrap());
        for good in [
            json!({}),
            json!({"port_id": "Eth1", "switch_id": "52:54:00:12:34:56", "switch_info": "s"}),
            json!({"port_id": "p", "switch_id": "00:00:52:54:00:12:34:56"}),
            json!({"port_id": "p", "hostname": "h"}),
            json!({"network_type": "unmanaged"}),
            json!({"vtep-logical-switch": "a", "vtep-physical-switch": "b"}),
        ] {
            assert_eq!(check_link(&good), Ok(()), "{good}");
        }
        for bad in [
            json!({"port_id": "p"}),
            json!({"switch_id": "52:54:00:12:34:56"}),
            json!({"port_id": "p", "switch_id": "x"}),
            json!({"port_id": "p", "switch_id": "52:54:00:12:34:56", "foo": "x"}),
            json!({"network_type": "other"}),
            json!({"port_id": 1, "hostname": "h"}),
        ] {
            assert!(check_link(&bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn keys_that_a_version_lacks() {
        for (key, minor) in [("network_type", 63), ("vtep-logical-switch", 89), ("vtep-logical-switch", 105)]
        {
            let link = json!({key: "unmanaged"});
            let verdict = check_link(&link, Version::new(minor).unwrap());
            assert!(!matches!(verdict, Err(BodyError::Invalid(_)) | Ok(())), "{key} {minor}");
        }
    }
}
