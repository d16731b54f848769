//! Steps in requests: manual cleaning, deployment, servicing.

use serde_json::Value;

use crate::value::kind_of;
use crate::{Invalid, flag};

/// Which steps a list may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StepRules {
    /// The member of the body, for messages.
    pub name: &'static str,
    /// Interfaces that may offer the steps.
    pub interfaces: &'static [&'static str],
    /// Whether every step needs a priority and arguments of its own.
    pub needs_priority: bool,
}

impl StepRules {
    /// `clean_steps`.
    pub const CLEAN: Self = Self {
        name: "clean_steps",
        interfaces: &["power", "management", "deploy", "firmware", "bios", "raid", "vendor"],
        needs_priority: false,
    };
    /// `deploy_steps`.
    pub const DEPLOY: Self = Self {
        name: "deploy_steps",
        interfaces: &["power", "management", "deploy", "firmware", "bios", "raid", "vendor"],
        needs_priority: true,
    };
    /// `service_steps`.
    pub const SERVICE: Self = Self {
        name: "service_steps",
        interfaces: &["power", "management", "deploy", "firmware", "bios", "raid", "vendor"],
        needs_priority: false,
    };
}

/// The most steps that one request may ask for.
const MAX_STEPS: usize = 256;

/// Checks a list of steps and returns it.
pub fn check_steps(value: Value, rules: StepRules) -> Result<Vec<Value>, Invalid> {
    let Value::Array(steps) = value else {
        return Err(Invalid::at(
            format!("/{}", rules.name),
            format!("expected a list of steps, not {}", kind_of(&value)),
        ));
    };
    if steps.len() > MAX_STEPS {
        return Err(Invalid::at(
            format!("/{}", rules.name),
            format!("at most {MAX_STEPS} steps are allowed"),
        ));
    }
    for (index, step) in steps.iter().enumerate() {
        check_step(step, rules, &format!("/{}/{index}", rules.name))?;
    }
    if rules.needs_priority {
        no_duplicates(&steps, rules)?;
    }
    Ok(steps)
}

fn check_step(step: &Value, rules: StepRules, path: &str) -> Result<(), Invalid> {
    let invalid = |key: &str, problem: String| Err(Invalid::at(format!("{path}{key}"), problem));
    let Some(members) = step.as_object() else {
        return invalid("", format!("expected an object, not {}", kind_of(step)));
    };
    for (key, value) in members {
        let (fits, expected) = match key.as_str() {
            "interface" => (
                value.as_str().is_some_and(|name| rules.interfaces.contains(&name)),
                format!("one of {}", rules.interfaces.join(", ")),
            ),
            "step" => (value.as_str().is_some_and(|name| !name.is_empty()), "the name of a step".to_owned()),
            "args" => (value.is_object(), "an object".to_owned()),
            "priority" if rules.needs_priority => (is_priority(value), "a whole number from 0 up".to_owned()),
            "execute_on_child_nodes" if !rules.needs_priority => {
                (flag(value).is_some(), "true or false".to_owned())
            }
            "limit_child_node_execution" if !rules.needs_priority => {
                (value.is_array(), "a list of node UUIDs".to_owned())
            }
            "order" if !rules.needs_priority => (value.is_u64(), "a whole number from 0 up".to_owned()),
            _ => return invalid(&format!("/{key}"), "a step has no such member".to_owned()),
        };
        if !fits {
            return invalid(&format!("/{key}"), format!("expected {expected}"));
        }
    }
    let required: &[&str] = if rules.needs_priority {
        &["interface", "step", "args", "priority"]
    } else {
        &["interface", "step"]
    };
    match required.iter().find(|key| !members.contains_key(**key)) {
        Some(key) => invalid("", format!("'{key}' is missing")),
        None => Ok(()),
    }
}

fn is_priority(value: &Value) -> bool {
    value.is_u64() || value.as_str().is_some_and(|text| text.parse::<u32>().is_ok())
}

fn no_duplicates(steps: &[Value], rules: StepRules) -> Result<(), Invalid> {
    let key = |step: &Value| (step["interface"].clone(), step["step"].clone());
    for (index, step) in steps.iter().enumerate() {
        if steps[..index].iter().any(|other| key(other) == key(step)) {
            return Err(Invalid::at(format!("/{}/{index}", rules.name), "the same step is named twice"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn shapes() {
        let clean = |steps: Value| check_steps(steps, StepRules::CLEAN).is_ok();
        assert!(clean(json!([])));
        assert!(clean(json!([{"interface": "deploy", "step": "erase_devices", "args": {"x": 1}}])));
        assert!(!clean(json!({})));
        assert!(!clean(json!([{"interface": "deploy"}])));
        assert!(!clean(json!([{"interface": "network", "step": "x"}])));
        assert!(!clean(json!([{"interface": "deploy", "step": "x", "args": []}])));
        assert!(!clean(json!([{"interface": "deploy", "step": "x", "bogus": 1}])));
        let deploy = |steps: Value| check_steps(steps, StepRules::DEPLOY).is_ok();
        let step = json!({"interface": "bios", "step": "apply", "args": {}, "priority": 150});
        assert!(deploy(json!([step])));
        assert!(!deploy(json!([step, step])));
        assert!(!deploy(json!([{"interface": "bios", "step": "apply"}])));
    }
}
