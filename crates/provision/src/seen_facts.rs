//! What a look at a machine's power brings beside the power, where its BMC tells it in the same answer: what of it is news,
//! and what is recorded.

use std::str::FromStr;

use model::{BootMode, Node};
use serde_json::Value;

use crate::decide::{Decision, Note};
use crate::record::FlowRecord;

/// How a machine is, by its BMC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Health {
    /// Nothing is wrong.
    Ok,
    /// Something wants attention.
    Warning,
    /// Something wants it at once.
    Critical,
}

impl Health {
    /// The word of the API and of Redfish.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::Warning => "Warning",
            Self::Critical => "Critical",
        }
    }
}

/// A word that is none of the three.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a state of health")]
pub struct UnknownHealth;

impl FromStr for Health {
    type Err = UnknownHealth;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        [Self::Ok, Self::Warning, Self::Critical]
            .into_iter()
            .find(|health| health.as_str() == word)
            .ok_or(UnknownHealth)
    }
}

/// Facts about a machine; what is not told is `None`, and changes nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SeenFacts {
    /// Who made it.
    pub vendor: Option<String>,
    /// How its firmware boots.
    pub boot_mode: Option<BootMode>,
    /// Whether it boots nothing but what is signed.
    pub secure_boot: Option<bool>,
    /// How it is.
    pub health: Option<Health>,
}

impl SeenFacts {
    /// Whether something of it is not as the node has it.
    pub fn are_news(&self, node: &Node) -> bool {
        let health = self.health.map(Health::as_str);
        (self.vendor.is_some() && !has_vendor(node))
            || (self.boot_mode.is_some() && self.boot_mode != node.boot_mode)
            || (self.secure_boot.is_some() && self.secure_boot != node.secure_boot)
            || (health.is_some() && health != node.health.as_deref())
    }
}

/// Makers do not change, and what an operator wrote stays.
fn has_vendor(node: &Node) -> bool {
    node.properties.get("vendor").is_some_and(|maker| !maker.is_null() && maker != "")
}

/// What follows from facts; `None` when the node has them all. A change of health is a line of its history.
pub fn take_facts(mut node: Node, flow: Option<FlowRecord>, facts: &SeenFacts) -> Option<Decision> {
    if !facts.are_news(&node) {
        return None;
    }
    let mut notes = Vec::new();
    if let Some(vendor) = facts.vendor.as_ref().filter(|_| !has_vendor(&node)) {
        let vendor = Value::String(vendor.clone());
        node.properties.set("vendor", vendor);
    }
    node.boot_mode = facts.boot_mode.or(node.boot_mode);
    node.secure_boot = facts.secure_boot.or(node.secure_boot);
    if let Some(health) = facts.health.filter(|health| node.health.as_deref() != Some(health.as_str())) {
        let before = node.health.replace(health.as_str().to_owned());
        let before = before.as_deref().unwrap_or("not known");
        let text = format!("the health of the machine is {}, and was {before}", health.as_str());
        notes.push(Note { event_type: "monitoring", error: health != Health::Ok, text });
    }
    Some(Decision { notes, ..Decision::rest(node, flow) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::Timestamp;
    use serde_json::json;

    fn seen() -> SeenFacts {
        SeenFacts {
            vendor: Some("Dell Inc.".to_owned()),
            boot_mode: Some(BootMode::Uefi),
            secure_boot: Some(false),
            health: Some(Health::Warning),
        }
    }

    #[test]
    fn news_are_taken_once() {
        let node = Node::new("redfish", Timestamp::from_micros(0));
        let taken = take_facts(node, None, &seen()).unwrap();
        let node = taken.node;
        assert_eq!(node.properties.get("vendor"), Some(json!("Dell Inc.")));
        assert_eq!((node.boot_mode, node.secure_boot), (Some(BootMode::Uefi), Some(false)));
        assert_eq!(node.health.as_deref(), Some("Warning"));
        assert!(taken.notes[0].error && taken.notes[0].text.contains("was not known"), "{:?}", taken.notes);
        assert!(take_facts(node.clone(), None, &seen()).is_none());
        assert!(take_facts(node.clone(), None, &SeenFacts::default()).is_none(), "silence changes nothing");
        let well = SeenFacts { health: Some(Health::Ok), ..SeenFacts::default() };
        let taken = take_facts(node, None, &well).unwrap();
        assert_eq!((taken.node.boot_mode, taken.notes[0].error), (Some(BootMode::Uefi), false));
    }

    #[test]
    fn what_an_operator_wrote_stays() {
        let mut node = Node::new("redfish", Timestamp::from_micros(0));
        node.properties.set("vendor", json!("mine"));
        let taken = take_facts(node, None, &seen()).unwrap();
        assert_eq!(taken.node.properties.get("vendor"), Some(json!("mine")));
    }

    #[test]
    fn words_of_redfish() {
        for word in ["OK", "Warning", "Critical"] {
            assert_eq!(word.parse::<Health>().map(Health::as_str), Ok(word));
        }
        assert_eq!("ok".parse::<Health>(), Err(UnknownHealth));
    }
}
