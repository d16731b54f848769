//! Steps of deploy templates and runbooks: reading and writing.

use model::PlannedStep;
use serde_json::{Map, Value};

use crate::mask::write_masked;
use crate::step::StepRules;
use crate::value::{kind_of, object};
use crate::{Context, Invalid, Writer};

/// The most steps of one template or runbook.
const MAX_STEPS: usize = 256;

/// How a resource spells its steps.
#[derive(Clone, Copy)]
pub(crate) struct Spelling {
    /// The member that says when a step's turn is.
    pub(crate) turn: &'static str,
    /// Whether every step has to say what it is given.
    pub(crate) needs_args: bool,
    /// Whether no step may be named twice.
    pub(crate) unique: bool,
}

/// Reads a list of one or more steps.
pub(crate) fn read(value: Value, spelling: Spelling) -> Result<Vec<PlannedStep>, Invalid> {
    let Value::Array(list) = value else {
        return Err(Invalid::at("/steps", format!("expected a list of steps, not {}", kind_of(&value))));
    };
    if list.is_empty() || list.len() > MAX_STEPS {
        return Err(Invalid::at("/steps", format!("expected 1 to {MAX_STEPS} steps, not {}", list.len())));
    }
    let mut steps: Vec<PlannedStep> = Vec::with_capacity(list.len());
    for (index, entry) in list.into_iter().enumerate() {
        let step = step(entry, spelling, &format!("/steps/{index}"))?;
        let same = |other: &PlannedStep| other.interface == step.interface && other.step == step.step;
        if spelling.unique && steps.iter().any(same) {
            return Err(Invalid::at(format!("/steps/{index}"), "the same step is named twice"));
        }
        steps.push(step);
    }
    Ok(steps)
}

fn step(entry: Value, spelling: Spelling, path: &str) -> Result<PlannedStep, Invalid> {
    let Value::Object(mut members) = entry else {
        return Err(Invalid::at(path, format!("expected an object, not {}", kind_of(&entry))));
    };
    let args = match members.remove("args") {
        Some(args @ Value::Object(_)) => args,
        None if !spelling.needs_args => Value::Object(Map::new()),
        None => return Err(Invalid::at(path, "'args' is missing")),
        Some(other) => {
            return Err(Invalid::at(
                format!("{path}/args"),
                format!("expected an object, not {}", kind_of(&other)),
            ));
        }
    };
    let step = PlannedStep {
        interface: text(&mut members, "interface", path)?,
        step: text(&mut members, "step", path)?,
        args: object(args),
        priority: turn(&mut members, spelling.turn, path)?,
    };
    let interfaces = StepRules::DEPLOY.interfaces;
    if !interfaces.contains(&step.interface.as_str()) {
        let expected = format!("expected one of {}", interfaces.join(", "));
        return Err(Invalid::at(format!("{path}/interface"), expected));
    }
    match members.keys().next() {
        None => Ok(step),
        Some(key) => {
            let shown: String = key.chars().take(64).collect();
            Err(Invalid::at(format!("{path}/{shown}"), "a step has no such member"))
        }
    }
}

/// A member that is a string of 1 to 255 characters.
fn text(members: &mut Map<String, Value>, key: &str, path: &str) -> Result<String, Invalid> {
    match members.remove(key) {
        Some(Value::String(text)) if (1..=255).contains(&text.chars().count()) => Ok(text),
        Some(_) => Err(Invalid::at(format!("{path}/{key}"), "expected a string of 1 to 255 characters")),
        None => Err(Invalid::at(path, format!("'{key}' is missing"))),
    }
}

/// A whole number from 0 up, which may be written as a string.
fn turn(members: &mut Map<String, Value>, key: &str, path: &str) -> Result<i64, Invalid> {
    let value = members.remove(key).ok_or_else(|| Invalid::at(path, format!("'{key}' is missing")))?;
    let number = match &value {
        Value::Number(number) => number.as_u64().and_then(|number| u32::try_from(number).ok()),
        Value::String(text) => text.parse::<u32>().ok(),
        _ => None,
    };
    number.map(i64::from).ok_or_else(|| {
        Invalid::at(format!("{path}/{key}"), format!("expected a whole number from 0 to {}", u32::MAX))
    })
}

/// Writes a list of steps; secrets among the arguments are masked unless the context reveals them.
pub(crate) fn write(out: &mut Writer, cx: &Context<'_>, steps: &[PlannedStep], spelling: Spelling) {
    out.raw("[");
    for (index, step) in steps.iter().enumerate() {
        out.raw(if index == 0 { "{" } else { ",{" });
        out.key(true, "interface");
        out.text(&step.interface);
        out.key(false, "step");
        out.text(&step.step);
        out.key(false, "args");
        if cx.reveal {
            out.object(&step.args);
        } else {
            write_masked(out, step.args.as_str(), &[]);
        }
        out.key(false, spelling.turn);
        out.opt_int(Some(step.priority));
        out.raw("}");
    }
    out.raw("]");
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const TEMPLATE: Spelling = Spelling { turn: "priority", needs_args: true, unique: true };
    const RUNBOOK: Spelling = Spelling { turn: "order", needs_args: false, unique: false };

    #[test]
    fn well_formed_steps() {
        let step = json!({"interface": "bios", "step": "apply", "args": {"a": 1}, "priority": "150"});
        let steps = read(json!([step]), TEMPLATE).unwrap();
        assert_eq!((steps[0].priority, steps[0].args.as_str()), (150, r#"{"a":1}"#));
        let step = json!({"interface": "bios", "step": "apply", "order": 1});
        assert_eq!(read(json!([step, step]), RUNBOOK).unwrap().len(), 2);
    }

    #[test]
    fn refusals_say_where() {
        let full = json!({"interface": "bios", "step": "apply", "args": {}, "priority": 1});
        let with = |key: &str, value: Value| {
            let mut step = full.clone();
            step[key] = value;
            json!([step])
        };
        let without = |key: &str| {
            let mut step = full.clone();
            step.as_object_mut().unwrap().remove(key);
            json!([step])
        };
        for (bad, path) in [
            (json!({}), "/steps"),
            (json!([]), "/steps"),
            (json!(["x"]), "/steps/0"),
            (json!([full, full]), "/steps/1"),
            (json!(vec![full.clone(); 257]), "/steps"),
            (with("interface", json!("network")), "/steps/0/interface"),
            (with("interface", json!(1)), "/steps/0/interface"),
            (with("step", json!("")), "/steps/0/step"),
            (with("args", json!([])), "/steps/0/args"),
            (with("priority", json!(-1)), "/steps/0/priority"),
            (with("priority", json!(1.5)), "/steps/0/priority"),
            (with("order", json!(1)), "/steps/0/order"),
            (without("args"), "/steps/0"),
            (without("priority"), "/steps/0"),
            (without("step"), "/steps/0"),
        ] {
            assert_eq!(read(bad.clone(), TEMPLATE).unwrap_err().path, path, "{bad}");
        }
    }
}
