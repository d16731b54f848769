//! `configdrive` in provision requests: a URL, a base64 text, or an object to build one from.

use microversion::{Version, param_gate};
use serde_json::Value;

use crate::Invalid;
use crate::value::kind_of;

/// Checks a config drive's outline and that `version` has that form of it.
pub fn check_config_drive(value: &Value, version: Version) -> Result<(), Invalid> {
    match value {
        Value::String(_) => Ok(()),
        Value::Object(members) => {
            if !param_gate("provision", "configdrive object").admits(version) {
                return Err(Invalid::at(
                    "/configdrive",
                    "this API version takes a URL or base64 text, no object",
                ));
            }
            for (key, value) in members {
                check_member(key, value, version)?;
            }
            Ok(())
        }
        other => Err(Invalid::at(
            "/configdrive",
            format!("expected a string or an object, not {}", kind_of(other)),
        )),
    }
}

fn check_member(key: &str, value: &Value, version: Version) -> Result<(), Invalid> {
    if key == "vendor_data" && !param_gate("provision", "configdrive vendor_data").admits(version) {
        return Err(Invalid::at("/configdrive/vendor_data", "this API version does not have it"));
    }
    let (fits, expected) = match key {
        "meta_data" | "network_data" | "vendor_data" => (value.is_object(), "an object"),
        "user_data" => (!value.is_number() && !value.is_boolean(), "a string, an object or a list"),
        _ => (false, "meta_data, network_data, user_data or vendor_data"),
    };
    if fits || (value.is_null() && key.ends_with("_data")) {
        return Ok(());
    }
    Err(Invalid::at(format!("/configdrive/{key}"), format!("expected {expected}")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn forms() {
        let check = |value: Value, minor| check_config_drive(&value, Version::new(minor).unwrap()).is_ok();
        assert!(check(json!("http://x/cd"), 1));
        assert!(check(json!({"meta_data": {"a": 1}, "user_data": "#!/bin/sh"}), 56));
        assert!(!check(json!({"meta_data": {}}), 55));
        assert!(check(json!({"vendor_data": {}}), 59));
        assert!(!check(json!({"vendor_data": {}}), 58));
        assert!(!check(json!({"bogus": {}}), 115));
        assert!(!check(json!(5), 115));
    }
}
