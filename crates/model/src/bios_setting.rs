//! BIOS settings of nodes, as they were read last, with what the firmware's registry says of them.

use crate::{JsonList, Timestamp};

/// A BIOS setting of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BiosSetting {
    /// Its name, unique on the node.
    pub name: String,
    /// Its value as text, whatever type the firmware gives it.
    pub value: Option<String>,
    /// `Enumeration`, `String`, `Integer`, `Boolean` or `Password`.
    pub attribute_type: Option<String>,
    /// The values of an enumeration, as strings.
    pub allowable_values: JsonList,
    /// The lowest value of a number.
    pub lower_bound: Option<i64>,
    /// The highest value of a number.
    pub upper_bound: Option<i64>,
    /// The least number of characters.
    pub min_length: Option<i64>,
    /// The greatest number of characters.
    pub max_length: Option<i64>,
    /// Whether it can be read only.
    pub read_only: Option<bool>,
    /// Whether the machine has to be restarted before a change counts.
    pub reset_required: Option<bool>,
    /// Whether its value belongs to this machine alone.
    pub unique: Option<bool>,
    /// When it was seen first.
    pub created_at: Timestamp,
    /// When it was seen changed last.
    pub updated_at: Option<Timestamp>,
}

impl BiosSetting {
    /// A setting of which nothing but the value is known.
    pub fn new(name: impl Into<String>, value: Option<String>, now: Timestamp) -> Self {
        Self {
            name: name.into(),
            value,
            attribute_type: None,
            allowable_values: JsonList::default(),
            lower_bound: None,
            upper_bound: None,
            min_length: None,
            max_length: None,
            read_only: None,
            reset_required: None,
            unique: None,
            created_at: now,
            updated_at: None,
        }
    }

    /// Whether it says the same as `other`, whenever either was seen.
    pub fn is_same(&self, other: &Self) -> bool {
        let known = Self { created_at: self.created_at, updated_at: self.updated_at, ..other.clone() };
        *self == known
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_do_not_count() {
        let setting = |value: &str, micros| {
            BiosSetting::new("ProcTurbo", Some(value.to_owned()), Timestamp::from_micros(micros))
        };
        assert!(setting("on", 1).is_same(&setting("on", 2)));
        assert!(!setting("on", 1).is_same(&setting("off", 1)));
    }
}
