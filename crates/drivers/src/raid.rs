//! Implementations of the RAID interface: those where the driver itself does nothing but judge what is wanted.

use driver::Raid;
use model::{JsonObject, Timestamp};
use serde_json::Value;

/// RAID of machines that are not there.
#[derive(Debug)]
pub struct FakeRaid;

impl Raid for FakeRaid {}

/// RAID by the agent, which offers the steps itself once it runs.
#[derive(Debug)]
pub struct AgentRaid;

impl Raid for AgentRaid {}

/// The RAID that a machine has after a step of the agent, when it was one that changes it. `result` is what the step
/// returned: the configuration that it made.
pub(crate) fn raid_after(interface: &str, step: &str, result: &Value) -> Option<JsonObject> {
    match (interface, step) {
        ("raid", "delete_configuration") => Some(JsonObject::default()),
        ("raid", "create_configuration" | "apply_configuration") => {
            let mut made = result.as_object()?.clone();
            made.insert("last_updated".to_owned(), Timestamp::now().to_string().into());
            Some(JsonObject::from(made))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_the_agent_made_is_what_the_machine_has() {
        let made = json!({"logical_disks": [{"raid_level": "1", "size_gb": 10}]});
        let noted = raid_after("raid", "create_configuration", &made).unwrap();
        assert_eq!(noted.get("logical_disks"), Some(made["logical_disks"].clone()));
        assert!(noted.get_str("last_updated").is_some());
        assert!(raid_after("raid", "delete_configuration", &Value::Null).unwrap().is_empty());
        assert_eq!(raid_after("raid", "create_configuration", &Value::Null), None);
        assert_eq!(raid_after("deploy", "erase_devices", &made), None);
    }
}
