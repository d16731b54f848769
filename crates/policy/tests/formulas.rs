//! Any check comes to the same, whether its formula is asked about an object or the check is worked out plainly.
#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

use policy::{Caller, Kind, Policy, Settings};
use proptest::prelude::*;

/// A check, as text and as what it means.
#[derive(Debug, Clone)]
enum Plain {
    Always,
    Never,
    Role(&'static str),
    Owner,
    Lessee,
    Literal(&'static str),
    Not(Box<Self>),
    And(Box<Self>, Box<Self>),
    Or(Box<Self>, Box<Self>),
}

impl Plain {
    fn text(&self) -> String {
        match self {
            Self::Always => "@".to_owned(),
            Self::Never => "!".to_owned(),
            Self::Role(role) => format!("role:{role}"),
            Self::Owner => "project_id:%(node.owner)s".to_owned(),
            Self::Lessee => "project_id:%(node.lessee)s".to_owned(),
            Self::Literal(project) => format!("'{project}':%(node.owner)s"),
            Self::Not(part) => format!("not ({})", part.text()),
            Self::And(one, other) => format!("({}) and ({})", one.text(), other.text()),
            Self::Or(one, other) => format!("({}) or ({})", one.text(), other.text()),
        }
    }

    fn holds(&self, caller: &Caller, owner: Option<&str>, lessee: Option<&str>) -> bool {
        let same = |value: Option<&str>| value.is_some() && value == caller.project.as_deref();
        match self {
            Self::Always => true,
            Self::Never => false,
            Self::Role(role) => caller.roles.iter().any(|had| had == role),
            Self::Owner => same(owner),
            Self::Lessee => same(lessee),
            Self::Literal(project) => owner == Some(project),
            Self::Not(part) => !part.holds(caller, owner, lessee),
            Self::And(one, other) => one.holds(caller, owner, lessee) && other.holds(caller, owner, lessee),
            Self::Or(one, other) => one.holds(caller, owner, lessee) || other.holds(caller, owner, lessee),
        }
    }
}

fn checks() -> impl Strategy<Value = Plain> {
    let leaf = prop_oneof![
        Just(Plain::Always),
        Just(Plain::Never),
        prop_oneof![Just("reader"), Just("admin")].prop_map(Plain::Role),
        Just(Plain::Owner),
        Just(Plain::Lessee),
        prop_oneof![Just("p"), Just("q")].prop_map(Plain::Literal),
    ];
    leaf.prop_recursive(5, 32, 2, |inner| {
        prop_oneof![
            inner.clone().prop_map(|part| Plain::Not(Box::new(part))),
            (inner.clone(), inner.clone())
                .prop_map(|(one, other)| Plain::And(Box::new(one), Box::new(other))),
            (inner.clone(), inner).prop_map(|(one, other)| Plain::Or(Box::new(one), Box::new(other))),
        ]
    })
}

proptest! {
    #[test]
    fn formula_and_meaning_agree(check in checks(), project in prop_oneof![Just(None), Just(Some("p")), Just(Some("q"))]) {
        let policy = Policy::load(&format!("mine: \"{}\"", check.text()), Settings::default()).unwrap();
        let caller = Caller {
            project: project.map(str::to_owned),
            roles: vec!["reader".to_owned()],
            ..Caller::default()
        };
        let scope = policy.scope("mine", &caller, Kind::Node);
        for owner in [None, Some("p"), Some("q"), Some("r")] {
            for lessee in [None, Some("p"), Some("q")] {
                prop_assert_eq!(scope.admits(owner, lessee), check.holds(&caller, owner, lessee));
            }
        }
    }

    #[test]
    fn no_text_breaks_the_reader(text in ".{0,200}") {
        let _ = Policy::load(&text, Settings::default());
        let quoted = text.replace(['"', '\\'], "");
        let _ = Policy::load(&format!("mine: \"{quoted}\""), Settings::default());
    }
}
