//! The words of rules: which conditions and actions there are, which arguments they take, and how they are read.

use std::fmt;

use regex::{Regex, RegexBuilder};
use serde_json::{Map, Value};

use super::action::{ACTION_TABLE, Act};
use super::condition::{Ask, CONDITION_TABLE};

/// What a regular expression may cost once it is compiled, in bytes.
const REGEX_LIMIT: usize = 1 << 20;

/// What a condition can ask for, by name.
pub const CONDITIONS: &[Operation] = CONDITION_TABLE;
/// What an action can do, by name.
pub const ACTIONS: &[Operation] = ACTION_TABLE;

/// A word of the language.
#[derive(Debug)]
pub struct Operation {
    /// The word.
    pub name: &'static str,
    /// Arguments that have to be there, in the order of the old form that has a list of them.
    pub required: &'static [&'static str],
    /// Arguments that may be there.
    pub optional: &'static [&'static str],
    /// Those in which `{…}` is replaced; within a loop, it is in all.
    pub(super) replaced: &'static [&'static str],
    pub(super) meaning: Meaning,
}

/// What a word does.
#[derive(Debug, Clone, Copy)]
pub(super) enum Meaning {
    Ask(Ask),
    Act(Act),
}

/// A condition or an action that makes no sense.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {problem}")]
pub struct InvalidRule {
    /// Where, below the list, as `/2/args`.
    pub path: String,
    /// What is wrong there.
    pub problem: String,
}

/// Which results of a loop make a condition hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Multiple {
    Any,
    All,
    First,
    Last,
}

/// A condition or an action.
#[derive(Clone)]
pub(super) struct Statement {
    pub(super) operation: &'static Operation,
    pub(super) inverted: bool,
    pub(super) args: Map<String, Value>,
    pub(super) items: Option<Value>,
    pub(super) multiple: Multiple,
}

/// The word alone: arguments may hold secrets.
impl fmt::Debug for Statement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Statement({}{})", if self.inverted { "!" } else { "" }, self.operation.name)
    }
}

/// Checks a list of conditions.
///
/// # Errors
/// What is wrong, and where.
pub fn check_conditions(list: &[Value]) -> Result<(), InvalidRule> {
    conditions(list).map(drop)
}

/// Checks a list of actions.
///
/// # Errors
/// What is wrong, and where.
pub fn check_actions(list: &[Value]) -> Result<(), InvalidRule> {
    actions(list).map(drop)
}

pub(super) fn conditions(list: &[Value]) -> Result<Vec<Statement>, InvalidRule> {
    read_all(list, CONDITION_TABLE, true)
}

pub(super) fn actions(list: &[Value]) -> Result<Vec<Statement>, InvalidRule> {
    read_all(list, ACTION_TABLE, false)
}

fn read_all(
    list: &[Value],
    table: &'static [Operation],
    is_condition: bool,
) -> Result<Vec<Statement>, InvalidRule> {
    let read = |(index, item): (usize, &Value)| {
        read(item, table, is_condition)
            .map_err(|(member, problem)| InvalidRule { path: format!("/{index}{member}"), problem })
    };
    list.iter().enumerate().map(read).collect()
}

/// Reads one; the error is the member and what is wrong with it.
fn read(
    item: &Value,
    table: &'static [Operation],
    is_condition: bool,
) -> Result<Statement, (String, String)> {
    let at = |member: &str| {
        let member: String = member.chars().take(64).collect();
        move |problem: String| (format!("/{member}"), problem)
    };
    let here = |problem: &str| (String::new(), problem.to_owned());
    let members = item.as_object().ok_or_else(|| here("expected an object"))?;
    let word = members.get("op").ok_or_else(|| here("'op' is missing"))?;
    let args = members.get("args").ok_or_else(|| here("'args' is missing"))?;
    let known = |name: &String| {
        ["op", "args", "loop"].contains(&name.as_str()) || (is_condition && name == "multiple")
    };
    if let Some(name) = members.keys().find(|name| !known(name)) {
        return Err(at(name)("there is no such member".to_owned()));
    }
    let (operation, inverted) = operation(word, table, is_condition).map_err(at("op"))?;
    let items = match members.get("loop") {
        None | Some(Value::Null) => None,
        Some(items @ (Value::Array(_) | Value::Object(_))) => Some(items.clone()),
        Some(_) => return Err(at("loop")("expected an object or a list".to_owned())),
    };
    let is_empty = |items: &Value| {
        items.as_array().is_some_and(Vec::is_empty) || items.as_object().is_some_and(Map::is_empty)
    };
    let items = items.filter(|items| !is_empty(items));
    let statement = Statement {
        operation,
        inverted,
        args: arguments(operation, args).map_err(at("args"))?,
        items,
        multiple: multiple(members.get("multiple")).map_err(at("multiple"))?,
    };
    // Within a loop, the expression may be made of the items.
    if let Some(text) = statement.args.get("regex").filter(|_| statement.items.is_none()) {
        expression(text).map_err(at("args"))?;
    }
    Ok(statement)
}

fn operation(
    word: &Value,
    table: &'static [Operation],
    is_condition: bool,
) -> Result<(&'static Operation, bool), String> {
    let names = || table.iter().map(|operation| operation.name).collect::<Vec<_>>().join(", ");
    let expected = || format!("expected one of {}", names());
    let text = word.as_str().map(str::trim).ok_or_else(expected)?;
    let (name, inverted) = match text.strip_prefix('!').filter(|_| is_condition) {
        Some(rest) => (rest.trim_start(), true),
        None => (text, false),
    };
    let found = table.iter().find(|operation| operation.name == name);
    found.map(|operation| (operation, inverted)).ok_or_else(expected)
}

fn multiple(value: Option<&Value>) -> Result<Multiple, String> {
    match value.map(Value::as_str) {
        None | Some(Some("any")) => Ok(Multiple::Any),
        Some(Some("all")) => Ok(Multiple::All),
        Some(Some("first")) => Ok(Multiple::First),
        Some(Some("last")) => Ok(Multiple::Last),
        Some(_) => Err("expected one of any, all, first, last".to_owned()),
    }
}

/// Arguments by name; the old form has them in a list, in order.
fn arguments(operation: &Operation, args: &Value) -> Result<Map<String, Value>, String> {
    let names = || operation.required.iter().chain(operation.optional);
    let args = match args {
        Value::Object(args) => args.clone(),
        Value::Array(list) if list.len() > names().count() => {
            return Err(format!("at most {} arguments are expected, not {}", names().count(), list.len()));
        }
        Value::Array(list) => {
            names().zip(list).map(|(name, value)| ((*name).to_owned(), value.clone())).collect()
        }
        _ => return Err("expected an object or a list".to_owned()),
    };
    if let Some(missing) = operation.required.iter().find(|name| !args.contains_key(**name)) {
        return Err(format!("the argument '{missing}' is missing"));
    }
    match args.keys().find(|name| !names().any(|known| known == name)) {
        Some(name) => {
            Err(format!("there is no argument '{}' here", name.chars().take(64).collect::<String>()))
        }
        None => Ok(args),
    }
}

/// A regular expression; `matches` adds its anchors itself.
pub(super) fn expression(text: &Value) -> Result<Regex, String> {
    let text = text.as_str().ok_or("the regular expression has to be a string")?;
    let compiled = RegexBuilder::new(text).size_limit(REGEX_LIMIT).build();
    compiled.map_err(|error| format!("the regular expression cannot be read: {error}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn good_ones() {
        for good in [
            json!({"op": "eq", "args": {"values": [1, 2]}}),
            json!({"op": " ! is-none ", "args": {"value": "{inventory[x]}"}}),
            json!({"op": "!matches", "args": ["a", "b.*"], "loop": ["x"], "multiple": "all"}),
            json!({"op": "one-of", "args": {"value": 1}, "loop": {"a": 1}}),
            json!({"op": "matches", "args": {"value": "a", "regex": "{item}("}, "loop": ["x"]}),
        ] {
            assert!(conditions(std::slice::from_ref(&good)).is_ok(), "{good}");
        }
        let list = actions(&[json!({"op": "log", "args": ["text", "debug"]})]).unwrap();
        assert_eq!(Value::from(list[0].args.clone()), json!({"msg": "text", "level": "debug"}));
        assert!(actions(&[json!({"op": "add-trait", "args": {"name": "CUSTOM_A"}, "loop": []})]).is_ok());
    }

    #[test]
    fn bad_ones_are_told_where() {
        let eq = |more: Value| {
            let mut base = json!({"op": "eq", "args": {"values": [1]}});
            base.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            base
        };
        for (bad, path) in [
            (json!("x"), "/0"),
            (json!({"op": "eq"}), "/0"),
            (json!({"args": {}}), "/0"),
            (eq(json!({"op": "like"})), "/0/op"),
            (eq(json!({"op": "!!eq"})), "/0/op"),
            (eq(json!({"op": 1})), "/0/op"),
            (eq(json!({"args": "x"})), "/0/args"),
            (eq(json!({"args": {}})), "/0/args"),
            (eq(json!({"args": {"values": [], "bogus": 1}})), "/0/args"),
            (eq(json!({"args": [[1], true, 3]})), "/0/args"),
            (eq(json!({"multiple": "some"})), "/0/multiple"),
            (eq(json!({"loop": "x"})), "/0/loop"),
            (eq(json!({"bogus": 1})), "/0/bogus"),
            (json!({"op": "matches", "args": {"value": 1, "regex": "("}}), "/0/args"),
            (json!({"op": "matches", "args": {"value": 1, "regex": 5}}), "/0/args"),
        ] {
            assert_eq!(conditions(std::slice::from_ref(&bad)).unwrap_err().path, path, "{bad}");
        }
        for (bad, path) in [
            (json!({"op": "!fail", "args": {"msg": "x"}}), "/0/op"),
            (json!({"op": "fail", "args": {"msg": "x"}, "multiple": "any"}), "/0/multiple"),
            (json!({"op": "set-attribute", "args": {"path": "x"}}), "/0/args"),
        ] {
            assert_eq!(actions(std::slice::from_ref(&bad)).unwrap_err().path, path, "{bad}");
        }
    }

    #[test]
    fn the_words_of_the_api() {
        let names = |table: &[Operation]| table.iter().map(|word| word.name).collect::<Vec<_>>();
        assert_eq!(names(CONDITIONS).len(), 11);
        assert_eq!(names(ACTIONS).len(), 16);
    }
}
