//! What the rules come to for one caller: each decided when it is first asked, and kept for the caller's next requests.
//!
//! What is kept belongs to one [`Policy`](crate::Policy): rules that an operator changes are another policy, which has
//! decided nothing yet.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use model::Scope;

use crate::Caller;
use crate::effective::{Kind, Rules};

/// Callers whose decisions are kept; one more, and all are forgotten. About 7 KB each.
const MOST_CALLERS: usize = 256;

/// What the rules allow one caller.
pub struct Decisions {
    caller: Arc<Caller>,
    rules: Arc<Rules>,
    /// By number of the rule and kind of object.
    made: Box<[OnceLock<Box<Scope>>]>,
}

impl std::fmt::Debug for Decisions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Decisions").field("caller", &self.caller).finish_non_exhaustive()
    }
}

impl Decisions {
    fn new(caller: Arc<Caller>, rules: Arc<Rules>) -> Self {
        let made = (0..rules.len() * Kind::COUNT).map(|_| OnceLock::new()).collect();
        Self { caller, rules, made }
    }

    /// Whose they are.
    pub fn caller(&self) -> &Caller {
        &self.caller
    }

    /// Which objects of `kind` the rule allows the caller to use. A rule that is not there allows nothing.
    pub fn scope(&self, rule: &str, kind: Kind) -> &Scope {
        let Some(index) = self.rules.index(rule) else {
            debug_assert!(false, "there is no rule {rule}");
            return &Scope::Nothing;
        };
        match self.made.get(index * Kind::COUNT + kind as usize) {
            Some(place) => place.get_or_init(|| Box::new(self.rules.decide(index, &self.caller, kind))),
            None => &Scope::Nothing,
        }
    }
}

/// The decisions of those who called lately.
#[derive(Debug, Default)]
pub(crate) struct Known(Mutex<HashMap<Arc<Caller>, Arc<Decisions>>>);

impl Known {
    pub(crate) fn of(&self, caller: Caller, rules: &Arc<Rules>) -> Arc<Decisions> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(decisions) = known.get(&caller) {
            return Arc::clone(decisions);
        }
        if known.len() == MOST_CALLERS {
            known.clear();
        }
        let caller = Arc::new(caller);
        let decisions = Arc::new(Decisions::new(Arc::clone(&caller), Arc::clone(rules)));
        known.insert(caller, Arc::clone(&decisions));
        decisions
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Policy, Settings};

    fn named(name: String) -> Caller {
        Caller { user: Some(name), ..Caller::default() }
    }

    #[test]
    fn they_are_kept_for_a_bounded_number_of_callers() {
        let policy = Policy::defaults(Settings::default());
        let first = policy.decisions(named("ada".to_owned()));
        assert!(Arc::ptr_eq(&first, &policy.decisions(named("ada".to_owned()))));
        assert!(!Arc::ptr_eq(&first, &policy.decisions(named("bob".to_owned()))));
        for number in 0..MOST_CALLERS {
            policy.decisions(named(number.to_string()));
        }
        assert!(!Arc::ptr_eq(&first, &policy.decisions(named("ada".to_owned()))));
    }

    #[test]
    fn another_policy_decides_anew() {
        let ask =
            |policy: &Policy| policy.decisions(named("ada".to_owned())).scope("mine", Kind::Node).clone();
        let load = |file: &str| Policy::load(file, Settings::default()).unwrap();
        assert_eq!(ask(&load("mine: \"user:ada\"")), Scope::All);
        assert_eq!(ask(&load("mine: \"user:bob\"")), Scope::Nothing);
    }
}
