//! Reading JSON values that have to be of some type, with messages that say what was expected.

use std::borrow::Cow;

use model::{JsonObject, MacAddr};
use serde_json::Value;
use uuid::Uuid;

use crate::{Field, Invalid, Json};

/// Characters of a word that are told back.
const TOLD_CHARS: usize = 64;

/// Reads a boolean that may be written as a word: `true`, `t`, `1`, `on`, `y`, `yes` and their opposites in any case.
pub fn flag(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(flag) => Some(*flag),
        Value::String(word) => flag_text(word),
        Value::Number(number) if number.as_u64() == Some(0) => Some(false),
        Value::Number(number) if number.as_u64() == Some(1) => Some(true),
        _ => None,
    }
}

/// Reads a boolean word.
pub fn flag_text(word: &str) -> Option<bool> {
    match word.trim().to_ascii_lowercase().as_str() {
        "1" | "t" | "true" | "on" | "y" | "yes" => Some(true),
        "0" | "f" | "false" | "off" | "n" | "no" => Some(false),
        _ => None,
    }
}

/// Reads a whole number that may be written as a string, as the command line does.
pub(crate) fn integer(value: &Value) -> Option<i64> {
    match value {
        Value::Number(number) => number.as_i64(),
        Value::String(digits) => digits.trim().parse().ok(),
        _ => None,
    }
}

/// What a value is, for messages.
pub(crate) fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// A value that does not fit, as the caller is told of it: what is a word of the wrong form as it is, of others the kind,
/// since they may be secrets.
fn told(json: Json, value: &Value) -> Cow<'_, str> {
    match value {
        Value::String(text)
            if matches!(json, Json::Uuid | Json::Mac | Json::Flag | Json::Integer)
                && text.chars().count() <= TOLD_CHARS =>
        {
            format!("{text:?}").into()
        }
        other => kind_of(other).into(),
    }
}

/// Whether `value` has the type `json`, and what such a value is called.
pub(crate) fn fits(json: Json, value: &Value) -> (bool, &'static str) {
    match json {
        // Not every store can hold the character NUL.
        Json::Text => (value.as_str().is_some_and(|text| !text.contains('\0')), "a string without NUL"),
        Json::Uuid => (
            value.as_str().is_some_and(|text| Uuid::parse_str(text).is_ok()),
            "a UUID such as 1be26c0b-03f2-4d2e-ae87-c02d7f33c123",
        ),
        Json::Mac => (
            value.as_str().is_some_and(|text| text.parse::<MacAddr>().is_ok()),
            "an Ethernet address such as 52:54:00:12:34:56",
        ),
        Json::Flag => (flag(value).is_some(), "true or false"),
        Json::Object => (value.is_object(), "an object"),
        Json::Texts => (
            value.as_array().is_some_and(|list| list.iter().all(|item| fits(Json::Text, item).0)),
            "a list of strings",
        ),
        Json::List(_) => (value.is_array(), "a list"),
        Json::Integer => (integer(value).is_some(), "a whole number"),
        Json::Time | Json::Links | Json::LinkLists => (false, "nothing: it cannot be set"),
    }
}

/// Checks that `value` has the type of `field`. Null passes everywhere: it stands for the default.
pub(crate) fn check_type<T>(field: &Field<T>, value: &Value) -> Result<(), Invalid> {
    let (fits, expected) = fits(field.ty.json, value);
    if fits || value.is_null() {
        return Ok(());
    }
    Err(Invalid::at(
        format!("/{}", field.name),
        format!("expected {expected}, not {}", told(field.ty.json, value)),
    ))
}

/// A string of at most `max` characters, or nothing.
pub(crate) fn text_up_to(path: &str, value: Value, max: usize) -> Result<Option<String>, Invalid> {
    let Value::String(text) = value else { return Ok(None) };
    let length = text.chars().count();
    if length > max {
        return Err(Invalid::at(path, format!("at most {max} characters are allowed, not {length}")));
    }
    Ok(Some(text))
}

/// A string of 1 to `max` characters, or nothing.
pub(crate) fn some_text(path: &str, value: Value, max: usize) -> Result<Option<String>, Invalid> {
    let text = text_up_to(path, value, max)?;
    if text.as_deref() == Some("") {
        return Err(Invalid::at(path, "an empty string is not allowed; use null to unset it"));
    }
    Ok(text)
}

/// A UUID, or nothing.
pub(crate) fn uuid(path: &str, value: &Value) -> Result<Option<Uuid>, Invalid> {
    let Some(text) = value.as_str() else { return Ok(None) };
    Uuid::parse_str(text).map(Some).map_err(|_| Invalid::at(path, format!("'{text}' is not a UUID")))
}

/// An object; nothing counts as an empty one.
pub(crate) fn object(value: Value) -> JsonObject {
    match value {
        Value::Object(map) => JsonObject::from(map),
        _ => JsonObject::default(),
    }
}
