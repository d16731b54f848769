//! Query parameters as rows.

use serde_json::{Value, json};
use uuid::Uuid;

/// A query parameter.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Param {
    /// Its name.
    pub(crate) name: &'static str,
    /// What its value has to be.
    pub(crate) kind: Kind,
}

/// What the value of a parameter has to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Any text.
    Text,
    /// Texts between commas.
    Texts,
    /// Names of fields between commas.
    Fields,
    /// A boolean word.
    Flag,
    /// A UUID.
    Uuid,
    /// An Ethernet address.
    Mac,
    /// A whole number above 0.
    Count,
    /// A whole number, 0 or above.
    Index,
    /// One of these words.
    Word(&'static [&'static str]),
}

const fn param(name: &'static str, kind: Kind) -> Param {
    Param { name, kind }
}

/// Which part of a list is wanted, in which order.
pub(crate) const PAGE: &[Param] = &[
    param("limit", Kind::Count),
    param("marker", Kind::Text),
    param("sort_key", Kind::Text),
    param("sort_dir", Kind::Word(&["asc", "desc"])),
];
/// How objects are shown.
pub(crate) const VIEW: &[Param] = &[FIELDS[0], DETAIL[0]];
/// The fields shown.
pub(crate) const FIELDS: &[Param] = &[param("fields", Kind::Fields)];
/// Everything is shown.
pub(crate) const DETAIL: &[Param] = &[param("detail", Kind::Flag)];

/// Which kinds of virtual media.
pub(crate) const DEVICE_TYPES: &[Param] = &[param("device_types", Kind::Texts)];

/// Which nodes.
pub(crate) const NODES: &[Param] = &[
    param("instance_uuid", Kind::Uuid),
    param("instance_name", Kind::Text),
    param("chassis_uuid", Kind::Uuid),
    param("associated", Kind::Flag),
    param("maintenance", Kind::Flag),
    param("retired", Kind::Flag),
    param("provision_state", Kind::Text),
    param("driver", Kind::Text),
    param("resource_class", Kind::Text),
    param("fault", Kind::Text),
    param("conductor_group", Kind::Text),
    param("conductor", Kind::Text),
    param("owner", Kind::Text),
    param("lessee", Kind::Text),
    param("project", Kind::Text),
    param("description_contains", Kind::Text),
    param("shard", Kind::Texts),
    param("sharded", Kind::Flag),
    param("include_children", Kind::Flag),
    param("parent_node", Kind::Text),
];
/// Which ports.
pub(crate) const PORTS: &[Param] = &[
    param("node", Kind::Text),
    param("node_uuid", Kind::Text),
    param("address", Kind::Mac),
    param("portgroup", Kind::Text),
    param("shard", Kind::Texts),
    param("description_contains", Kind::Text),
    param("conductor_groups", Kind::Texts),
];
/// Which portgroups; one of them at a time.
pub(crate) const PORTGROUPS: &[Param] = &[
    param("node", Kind::Text),
    param("address", Kind::Mac),
    param("shard", Kind::Texts),
    param("conductor_groups", Kind::Texts),
];
/// Which allocations.
pub(crate) const ALLOCATIONS: &[Param] = &[
    param("node", Kind::Text),
    param("resource_class", Kind::Text),
    param("state", Kind::Text),
    param("owner", Kind::Text),
];
/// Of which node.
pub(crate) const NODE: &[Param] = &[param("node", Kind::Text)];
/// Which node, by one of two names.
pub(crate) const WHICH_NODE: &[Param] = &[param("node", Kind::Text), param("node_uuid", Kind::Text)];
/// Whether interfaces follow a change of driver.
pub(crate) const RESET_INTERFACES: &[Param] = &[param("reset_interfaces", Kind::Flag)];
/// Of which project.
pub(crate) const PROJECT: &[Param] = &[param("project", Kind::Text)];
/// In which phase.
pub(crate) const PHASE: &[Param] = &[param("phase", Kind::Text)];
/// Which kind of drivers.
pub(crate) const DRIVER_TYPE: &[Param] = &[param("type", Kind::Word(&["classic", "dynamic"]))];
/// Which events.
pub(crate) const EVENTS: &[Param] = &[
    param("since", Kind::Index),
    param("type", Kind::Texts),
    param("node", Kind::Text),
    param("resource", Kind::Uuid),
];
/// The node, when the ramdisk was told.
pub(crate) const NODE_UUID: &[Param] = &[param("node_uuid", Kind::Uuid)];
/// Who an agent is.
pub(crate) const LOOKUP: &[Param] = &[param("addresses", Kind::Texts), param("node_uuid", Kind::Uuid)];

impl Kind {
    /// Whether `text` is such a value; else what is expected.
    pub(crate) fn check(self, text: &str) -> Result<(), String> {
        let (fits, expected) = match self {
            Self::Text | Self::Texts | Self::Fields => (true, String::new()),
            Self::Flag => (api_types::flag_text(text).is_some(), "true or false".to_owned()),
            Self::Uuid => (Uuid::parse_str(text).is_ok(), "a UUID".to_owned()),
            Self::Mac => (
                text.parse::<model::MacAddr>().is_ok(),
                "an Ethernet address such as 52:54:00:12:34:56".to_owned(),
            ),
            Self::Count => {
                (text.parse::<i64>().is_ok_and(|count| count > 0), "a whole number above 0".to_owned())
            }
            Self::Index => {
                (text.parse::<i64>().is_ok_and(|index| index >= 0), "a whole number, 0 or above".to_owned())
            }
            Self::Word(words) => (words.contains(&text), words.join(" or ")),
        };
        if fits { Ok(()) } else { Err(expected) }
    }

    /// The same as JSON Schema; `fields` are the names that [`Kind::Fields`] chooses from.
    pub(crate) fn document(self, fields: &[&str]) -> Value {
        match self {
            Self::Text => json!({"type": "string"}),
            Self::Texts => json!({"type": "array", "items": {"type": "string"}}),
            Self::Fields => json!({"type": "array", "items": {"type": "string", "enum": fields}}),
            Self::Flag => json!({"type": "boolean"}),
            Self::Uuid => json!({"type": "string", "format": "uuid"}),
            Self::Mac => json!({"type": "string", "pattern": "^([0-9A-Fa-f]{2}:){5}[0-9A-Fa-f]{2}$"}),
            Self::Count => json!({"type": "integer", "minimum": 1}),
            Self::Index => json!({"type": "integer", "minimum": 0}),
            Self::Word(words) => json!({"type": "string", "enum": words}),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_have_kinds() {
        for (kind, good, bad) in [
            (Kind::Flag, "Yes", "perhaps"),
            (Kind::Uuid, "1be26c0b-03f2-4d2e-ae87-c02d7f33c123", "1be26c0b"),
            (Kind::Mac, "52:54:00:AA:bb:cc", "52-54-00-12-34-56"),
            (Kind::Count, "5", "0"),
            (Kind::Index, "0", "-1"),
            (Kind::Word(&["asc", "desc"]), "asc", "up"),
        ] {
            assert_eq!(kind.check(good), Ok(()));
            assert!(kind.check(bad).is_err(), "{kind:?}");
        }
        assert_eq!(Kind::Text.check(""), Ok(()));
    }
}
