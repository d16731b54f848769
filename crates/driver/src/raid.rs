//! The RAID interface: which logical disks a machine is to have.

use std::collections::BTreeMap;

use model::{JsonObject, Node};
use serde_json::{Map, Value};

use crate::DriverError;

/// RAID of a node.
pub trait Raid: Send + Sync {
    /// Whether the node's data, the RAID wanted of it among them, suffice. Touches nothing.
    fn validate(&self, node: &Node) -> Result<(), DriverError> {
        if node.target_raid_config.is_empty() { Ok(()) } else { self.check(&node.target_raid_config) }
    }

    /// Whether this may be wanted: an object with `logical_disks`. Touches nothing.
    fn check(&self, wanted: &JsonObject) -> Result<(), DriverError> {
        check_raid(&wanted.to_map())
    }
}

/// What a property of a logical disk may be.
#[derive(Debug, Clone, Copy)]
enum Rule {
    /// A string.
    Text,
    /// True or false.
    Flag,
    /// One of a few words.
    OneOf(&'static [&'static str]),
    /// A size in GiB, or `MAX`.
    Size,
    /// A whole number above 0.
    Count,
    /// Disks: a list of names, or at least two descriptions.
    Disks,
}

/// A property of a logical disk: name, rule, what it says.
type Property = (&'static str, Rule, &'static str);

const PROPERTIES: &[Property] = &[
    ("controller", Rule::Text, "The RAID controller to use; chosen by the driver when left out."),
    (
        "disk_type",
        Rule::OneOf(&["hdd", "ssd"]),
        "The kind of physical disks: hdd or ssd. Any kind when left out.",
    ),
    (
        "interface_type",
        Rule::OneOf(&["sata", "scsi", "sas"]),
        "How the physical disks are connected: sata, scsi or sas. In any way when left out.",
    ),
    (
        "is_root_volume",
        Rule::Flag,
        "Whether the system is installed on it; at most one logical disk says so. No when left out.",
    ),
    (
        "number_of_physical_disks",
        Rule::Count,
        "How many physical disks to use; the fewest that the level needs when left out.",
    ),
    (
        "physical_disks",
        Rule::Disks,
        "The physical disks to use, by name or by description; needs a controller. Chosen by the driver when left out.",
    ),
    (
        "raid_level",
        Rule::OneOf(&["JBOD", "0", "1", "2", "5", "6", "1+0", "5+0", "6+0"]),
        "The RAID level: JBOD, 0, 1, 2, 5, 6, 1+0, 5+0 or 6+0. Required.",
    ),
    (
        "share_physical_disks",
        Rule::Flag,
        "Whether other logical disks may use the same physical disks. No when left out.",
    ),
    ("size_gb", Rule::Size, "Its size in GiB, or MAX for all that is left. Required."),
    ("volume_name", Rule::Text, "What the volume is called; made up when left out."),
];

/// The most logical disks that a request may name.
const MAX_DISKS: usize = 256;

/// What can be said of a logical disk: names and descriptions.
pub fn raid_properties() -> BTreeMap<String, String> {
    PROPERTIES.iter().map(|(name, _, text)| ((*name).to_owned(), (*text).to_owned())).collect()
}

/// Checks a RAID configuration that somebody wants; the error names the place.
pub fn check_raid(wanted: &Map<String, Value>) -> Result<(), DriverError> {
    if let Some(key) = wanted.keys().find(|key| *key != "logical_disks") {
        return Err(wrong(&format!("'{}' is not known here, only logical_disks is", cut(key))));
    }
    let disks = wanted.get("logical_disks").and_then(Value::as_array).filter(|disks| !disks.is_empty());
    let disks = disks.ok_or_else(|| wrong("logical_disks has to be a list of at least one object"))?;
    if disks.len() > MAX_DISKS {
        return Err(wrong(&format!("logical_disks may have at most {MAX_DISKS} members")));
    }
    for (index, disk) in disks.iter().enumerate() {
        check_disk(disk).map_err(|problem| wrong(&format!("logical_disks/{index}{problem}")))?;
    }
    match disks.iter().filter(|disk| disk.get("is_root_volume") == Some(&Value::Bool(true))).count() {
        0 | 1 => Ok(()),
        count => Err(wrong(&format!("{count} logical disks are root volumes, at most one can be"))),
    }
}

fn wrong(problem: &str) -> DriverError {
    DriverError::invalid(format!("The RAID configuration is not valid: {problem}."))
}

fn cut(text: &str) -> String {
    text.chars().take(64).collect()
}

/// The problem with a logical disk, beginning with the rest of the place where it is.
fn check_disk(disk: &Value) -> Result<(), String> {
    let disk = disk.as_object().ok_or(": expected an object")?;
    for (name, value) in disk {
        let known = PROPERTIES.iter().find(|(known, ..)| known == name);
        let (_, rule, _) = known.ok_or_else(|| format!("/{}: there is no such property", cut(name)))?;
        check_value(*rule, value).map_err(|expected| format!("/{name}: expected {expected}"))?;
    }
    for name in ["raid_level", "size_gb"] {
        if !disk.contains_key(name) {
            return Err(format!("/{name}: a value is required"));
        }
    }
    if disk.contains_key("physical_disks") && !disk.contains_key("controller") {
        return Err("/controller: a value is required beside physical_disks".to_owned());
    }
    Ok(())
}

/// What was expected, when `value` is something else.
fn check_value(rule: Rule, value: &Value) -> Result<(), String> {
    let (fits, expected) = match rule {
        Rule::Text => (value.is_string(), "a string"),
        Rule::Flag => (value.is_boolean(), "true or false"),
        Rule::OneOf(words) => {
            let fits = value.as_str().is_some_and(|text| words.contains(&text));
            return if fits { Ok(()) } else { Err(format!("one of {}", words.join(", "))) };
        }
        Rule::Size => (value.is_u64() || value.as_str() == Some("MAX"), "a whole number of GiB, or MAX"),
        Rule::Count => (value.as_u64().is_some_and(|count| count > 0), "a whole number above 0"),
        Rule::Disks => {
            let fits = value.as_array().is_some_and(|disks| {
                disks.iter().all(Value::is_string) || (disks.len() >= 2 && disks.iter().all(Value::is_object))
            });
            (fits, "a list of names, or of at least two objects")
        }
    };
    if fits { Ok(()) } else { Err(expected.to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn problem(wanted: &Value) -> Option<String> {
        check_raid(wanted.as_object().unwrap()).err().map(|error| error.to_string())
    }

    #[test]
    fn what_may_be_wanted() {
        for disk in [
            json!({"raid_level": "1", "size_gb": 10}),
            json!({"raid_level": "1+0", "size_gb": "MAX", "is_root_volume": true, "volume_name": "root",
                "disk_type": "ssd", "interface_type": "sas", "number_of_physical_disks": 4,
                "share_physical_disks": false, "controller": "c", "physical_disks": ["a", "b"]}),
            json!({"raid_level": "JBOD", "size_gb": 0, "controller": "c", "physical_disks": [{"size": 1}, {}]}),
        ] {
            assert_eq!(problem(&json!({"logical_disks": [disk]})), None);
        }
    }

    #[test]
    fn what_may_not_and_where() {
        let disk = |key: &str, value: Value| {
            let mut disk = json!({"raid_level": "1", "size_gb": 10});
            disk[key] = value;
            json!({"logical_disks": [{"raid_level": "0", "size_gb": 1}, disk]})
        };
        for (wanted, place) in [
            (json!({}), "logical_disks"),
            (json!({"logical_disks": []}), "at least one"),
            (json!({"logical_disks": {}}), "logical_disks"),
            (json!({"logical_disks": [7]}), "logical_disks/0: expected an object"),
            (json!({"logical_disks": [{"size_gb": 1}]}), "/raid_level"),
            (json!({"logical_disks": [{"raid_level": "1"}]}), "/size_gb"),
            (json!({"logical_disks": [{"raid_level": "1", "size_gb": 1}], "more": 1}), "'more'"),
            (disk("raid_level", json!("99")), "logical_disks/1/raid_level: expected one of JBOD"),
            (disk("raid_level", json!(1)), "/raid_level"),
            (disk("size_gb", json!(-1)), "/size_gb"),
            (disk("size_gb", json!(1.5)), "/size_gb"),
            (disk("size_gb", json!("ALL")), "/size_gb"),
            (disk("number_of_physical_disks", json!(0)), "/number_of_physical_disks"),
            (disk("is_root_volume", json!("true")), "/is_root_volume"),
            (disk("volume_name", json!(null)), "/volume_name"),
            (disk("physical_disks", json!(["a"])), "/controller"),
            (disk("physical_disks", json!([{}])), "/physical_disks"),
            (disk("bogus", json!(1)), "/bogus"),
        ] {
            let problem = problem(&wanted).unwrap_or_else(|| panic!("{wanted} is taken"));
            assert!(problem.contains(place), "{wanted}: {problem}");
        }
        let root = json!({"raid_level": "1", "size_gb": 1, "is_root_volume": true});
        assert!(problem(&json!({"logical_disks": [root, root]})).unwrap().contains("2 logical disks"));
    }
}
