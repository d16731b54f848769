//! An operator's file of rules: a mapping of names to checks, in YAML, of which JSON is a part.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::Spanned;

use crate::expression::Expression;
use crate::parse::{self, CheckError};

/// A rule of the file.
#[derive(Debug)]
pub(crate) struct Given {
    pub(crate) name: String,
    /// Counts from 1.
    pub(crate) line: u64,
    check: Check,
}

/// A check as it is written.
#[derive(Debug)]
enum Check {
    Text(String),
    Lists(Vec<Vec<String>>),
}

impl Given {
    pub(crate) fn expression(&self) -> Result<Expression, CheckError> {
        match &self.check {
            Check::Text(text) => parse::text(text),
            Check::Lists(lists) => parse::lists(lists),
        }
    }

    /// The check as one text.
    pub(crate) fn text(&self) -> String {
        match &self.check {
            Check::Text(text) => text.clone(),
            Check::Lists(lists) if lists.is_empty() => String::new(),
            Check::Lists(lists) => {
                let all: Vec<String> = lists
                    .iter()
                    .filter(|all| !all.is_empty())
                    .map(|all| format!("({})", all.join(" and ")))
                    .collect();
                if all.is_empty() { "!".to_owned() } else { all.join(" or ") }
            }
        }
    }
}

/// Reads a file. Nothing at all is a file without rules.
pub(crate) fn read(text: &str) -> Result<Vec<Given>, serde_saphyr::Error> {
    serde_saphyr::from_str::<Option<Rules>>(text).map(|rules| rules.map(|rules| rules.0).unwrap_or_default())
}

struct Rules(Vec<Given>);

impl<'de> Deserialize<'de> for Rules {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Mapping;
        impl<'de> Visitor<'de> for Mapping {
            type Value = Rules;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a mapping of names of rules to checks")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Rules, A::Error> {
                let mut rules = Vec::new();
                while let Some(name) = map.next_key::<Spanned<String>>()? {
                    let check = map.next_value()?;
                    rules.push(Given { line: name.defined.line(), name: name.value, check });
                }
                Ok(Rules(rules))
            }
        }
        deserializer.deserialize_map(Mapping)
    }
}

impl<'de> Deserialize<'de> for Check {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneOf;
        impl<'de> Visitor<'de> for OneOf {
            type Value = Check;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a check in quotes, such as \"role:admin\", or a list of lists of them")
            }

            fn visit_str<E>(self, text: &str) -> Result<Check, E> {
                Ok(Check::Text(text.to_owned()))
            }

            fn visit_unit<E>(self) -> Result<Check, E> {
                Ok(Check::Text(String::new()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Check, A::Error> {
                let mut lists = Vec::new();
                while let Some(Inner(list)) = sequence.next_element()? {
                    lists.push(list);
                }
                Ok(Check::Lists(lists))
            }
        }
        deserializer.deserialize_any(OneOf)
    }
}

/// An inner list; a bare text is a list of one.
struct Inner(Vec<String>);

impl<'de> Deserialize<'de> for Inner {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneOf;
        impl<'de> Visitor<'de> for OneOf {
            type Value = Inner;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a check in quotes, or a list of them")
            }

            fn visit_str<E>(self, text: &str) -> Result<Inner, E> {
                Ok(Inner(vec![text.to_owned()]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Inner, A::Error> {
                let mut list = Vec::new();
                while let Some(text) = sequence.next_element()? {
                    list.push(text);
                }
                Ok(Inner(list))
            }
        }
        deserializer.deserialize_any(OneOf)
    }
}
