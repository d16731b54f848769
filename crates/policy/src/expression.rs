//! A rule as an expression, and what it comes to for a caller.

use model::{Scope, Stake};

use crate::caller::{Attribute, Caller};
use crate::effective::{Kind, Settings};
use crate::template::{Filled, Template};

/// Who may.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Expression {
    /// `@`, and a rule that says nothing.
    Always,
    /// `!`.
    Never,
    /// `rule:NAME`. Gone once the rules of a policy are put together.
    Rule(String),
    /// `role:NAME`; upper and lower case are the same.
    Role(Template),
    /// `ATTRIBUTE:VALUE`.
    Match(Left, Template),
    Not(Box<Self>),
    All(Vec<Self>),
    Any(Vec<Self>),
}

/// The left side of a check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Left {
    /// An attribute of the caller.
    Caller(String),
    /// A literal: `'member'`, `True`, `None`, `7`.
    Literal(String),
}

impl Expression {
    /// What of the objects of `kind` this allows `caller`.
    pub(crate) fn scope(&self, caller: &Caller, settings: &Settings, kind: Kind) -> Scope {
        let yes = |holds: bool| if holds { Scope::All } else { Scope::Nothing };
        let below = |part: &Self| part.scope(caller, settings, kind);
        match self {
            Self::Always => Scope::All,
            // References are put in when a policy is made; one that is left fails closed.
            Self::Never | Self::Rule(_) => Scope::Nothing,
            Self::Role(name) => match name.fill(caller, settings, kind) {
                Filled::Text(name) => yes(caller.roles.iter().any(|role| same_letters(role, &name))),
                _ => Scope::Nothing,
            },
            Self::Match(left, right) => match (right.fill(caller, settings, kind), left) {
                (Filled::Nothing, _) => Scope::Nothing,
                (Filled::Text(text), Left::Literal(literal)) => yes(text == *literal),
                (Filled::Text(text), Left::Caller(name)) => yes(equals(caller, name, &text)),
                (Filled::Object { before, stake, after }, left) => {
                    let value = |whole: &str| between(whole, &before, &after, stake);
                    match left {
                        Left::Literal(literal) => value(literal),
                        Left::Caller(name) => values(caller, name).map(value).fold(Scope::Nothing, Scope::or),
                    }
                }
            },
            Self::Not(part) => below(part).inverse(),
            Self::All(parts) => parts.iter().map(below).fold(Scope::All, Scope::and),
            Self::Any(parts) => parts.iter().map(below).fold(Scope::Nothing, Scope::or),
        }
    }

    /// The names of the rules that it refers to.
    pub(crate) fn references(&self) -> Vec<&str> {
        match self {
            Self::Rule(name) => vec![name],
            Self::Not(part) => part.references(),
            Self::All(parts) | Self::Any(parts) => parts.iter().flat_map(Self::references).collect(),
            _ => Vec::new(),
        }
    }
}

fn same_letters(one: &str, other: &str) -> bool {
    one.chars().flat_map(char::to_lowercase).eq(other.chars().flat_map(char::to_lowercase))
}

/// The objects whose `stake`, between two texts, is `whole`.
fn between(whole: &str, before: &str, after: &str, stake: Stake) -> Scope {
    let rest = whole.strip_prefix(before).and_then(|rest| rest.strip_suffix(after));
    rest.map_or(Scope::Nothing, |project| Scope::Has(stake, project.to_owned()))
}

/// Whether an attribute of the caller is `text`. One that is absent is `None`, as rules write it.
fn equals(caller: &Caller, name: &str, text: &str) -> bool {
    match caller.attribute(name) {
        Some(Attribute::Text(value)) => value.unwrap_or("None") == text,
        Some(Attribute::Flag(flag)) => text == if flag { "True" } else { "False" },
        Some(Attribute::List(list)) => list.iter().any(|value| value == text),
        None => false,
    }
}

/// The values of an attribute of the caller. An absent one has none: what belongs to nobody is not the caller's.
fn values<'c>(caller: &'c Caller, name: &str) -> impl Iterator<Item = &'c str> {
    let (one, many): (Option<&str>, &[String]) = match caller.attribute(name) {
        Some(Attribute::Text(value)) => (value, &[]),
        Some(Attribute::List(list)) => (None, list),
        Some(Attribute::Flag(_)) | None => (None, &[]),
    };
    one.into_iter().chain(many.iter().map(String::as_str))
}
