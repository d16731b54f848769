//! Inspection rules: the table of their fields, and the form of conditions and actions.

use model::{InspectionRule, InspectionRuleUuid, JsonList, MAIN_PHASE};
use serde_json::Value;

use crate::link::write_object_links;
use crate::value::{flag, integer, kind_of, text_up_to, uuid};
use crate::{Context, Field, Invalid, Json, Resource, Writer};

/// Inspection rules.
pub const INSPECTION_RULE: Resource<InspectionRule> =
    Resource { name: "inspection_rule", collection: "inspection_rules", fields: FIELDS };

type Row = Field<InspectionRule>;

/// What a condition can ask. With `!` in front it asks for the opposite.
const CONDITIONS: [&str; 11] = [
    "eq", "lt", "gt", "is-empty", "in-net", "matches", "contains", "one-of", "is-none", "is-true", "is-false",
];
/// What an action can do.
const ACTIONS: [&str; 16] = [
    "fail",
    "log",
    "set-attribute",
    "extend-attribute",
    "del-attribute",
    "set-capability",
    "unset-capability",
    "add-trait",
    "remove-trait",
    "set-plugin-data",
    "extend-plugin-data",
    "unset-plugin-data",
    "set-port-attribute",
    "extend-port-attribute",
    "del-port-attribute",
    "api-call",
];
/// Which results of a loop a condition asks for.
const MULTIPLE: [&str; 4] = ["any", "all", "first", "last"];
/// The highest priority that users may give.
const MAX_PRIORITY: i64 = 9999;
/// The most conditions, or actions, of one rule.
const MAX_ITEMS: usize = 256;

const FIELDS: &[Row] = &[
    Row::new("actions", Json::List("{op,args,loop?}").only(), 96, "required", |r, c, w| {
        write_list(r, &r.actions, c, w);
    })
    .writable(1, 1, |r, v, _| {
        r.actions = list("/actions", v, check_action)?;
        if r.actions.to_vec().is_empty() {
            return Err(Invalid::at("/actions", "at least one action is required").into());
        }
        Ok(())
    }),
    Row::new("conditions", Json::List("{op,args,loop?,multiple?}").only(), 96, "[]", |r, c, w| {
        write_list(r, &r.conditions, c, w);
    })
    .writable(1, 1, |r, v, _| {
        r.conditions = list("/conditions", v, check_condition)?;
        Ok(())
    }),
    Row::new("created_at", Json::Time.only(), 96, "now", |r, _, w| w.time(r.created_at)),
    Row::new("description", Json::Text.or_null(), 96, "null", |r, _, w| w.opt_text(r.description.as_deref()))
        .writable(1, 1, |r, v, _| {
            r.description = text_up_to("/description", v, 255)?;
            Ok(())
        })
        .short(),
    Row::new("links", Json::Links.only(), 96, "links", |r, c, w| {
        write_object_links(w, c, "inspection_rules", r.uuid.as_uuid(), None);
    })
    .short(),
    Row::new("phase", Json::Text.or_null(), 96, "main", |r, _, w| w.opt_text(r.phase.as_deref()))
        .writable(1, 1, |r, v, _| {
            if !v.is_null() && v.as_str() != Some(MAIN_PHASE) {
                return Err(Invalid::at("/phase", format!("expected '{MAIN_PHASE}'")).into());
            }
            r.phase = Some(MAIN_PHASE.to_owned());
            Ok(())
        })
        .short(),
    Row::new("priority", Json::Integer.only(), 96, "0", |r, _, w| w.opt_int(Some(r.priority)))
        .writable(1, 1, |r, v, _| {
            let priority = integer(&v).unwrap_or(0);
            if !(0..=MAX_PRIORITY).contains(&priority) {
                return Err(Invalid::at("/priority", format!("expected 0 to {MAX_PRIORITY}")).into());
            }
            r.priority = priority;
            Ok(())
        })
        .short(),
    Row::new("sensitive", Json::Flag.only(), 96, "false", |r, _, w| w.flag(r.sensitive)).writable(
        1,
        1,
        |r, v, _| {
            r.sensitive = flag(&v).unwrap_or(false);
            Ok(())
        },
    ),
    Row::new("updated_at", Json::Time.or_null(), 96, "null", |r, _, w| w.opt_time(r.updated_at)),
    Row::new("uuid", Json::Uuid.only(), 96, "generated", |r, _, w| w.uuid(r.uuid.as_uuid()))
        .create_only(1, |r, v, _| {
            r.uuid =
                uuid("/uuid", &v)?.map_or_else(InspectionRuleUuid::random, InspectionRuleUuid::from_uuid);
            Ok(())
        })
        .short(),
];

/// Sensitive rules keep to themselves what they ask and do.
fn write_list(rule: &InspectionRule, list: &JsonList, cx: &Context<'_>, out: &mut Writer) {
    if rule.sensitive && !cx.reveal {
        out.null();
    } else {
        out.raw(list.as_str());
    }
}

/// Reads a list whose items pass `check`; nothing counts as an empty one.
fn list(
    path: &str,
    value: Value,
    check: fn(&str, &Value, &str) -> Result<bool, Invalid>,
) -> Result<JsonList, Invalid> {
    let Value::Array(items) = value else { return Ok(JsonList::default()) };
    if items.len() > MAX_ITEMS {
        return Err(Invalid::at(path, format!("at most {MAX_ITEMS} are allowed, not {}", items.len())));
    }
    for (index, item) in items.iter().enumerate() {
        check_item(item, check, &format!("{path}/{index}"))?;
    }
    Ok(JsonList::from(items))
}

/// Checks that an item is an object with `op` and `args`, and has nothing that `check` does not know either.
fn check_item(
    item: &Value,
    check: fn(&str, &Value, &str) -> Result<bool, Invalid>,
    path: &str,
) -> Result<(), Invalid> {
    let Some(members) = item.as_object() else {
        return Err(Invalid::at(path, format!("expected an object, not {}", kind_of(item))));
    };
    if let Some(key) = ["op", "args"].into_iter().find(|key| !members.contains_key(*key)) {
        return Err(Invalid::at(path, format!("'{key}' is missing")));
    }
    for (key, value) in members {
        let place = format!("{path}/{}", key.chars().take(64).collect::<String>());
        let fits = match key.as_str() {
            "args" | "loop" => {
                if !value.is_object() && !value.is_array() {
                    let problem = format!("expected an object or a list, not {}", kind_of(value));
                    return Err(Invalid::at(place, problem));
                }
                true
            }
            _ => check(key, value, &place)?,
        };
        if !fits {
            return Err(Invalid::at(place, "there is no such member"));
        }
    }
    Ok(())
}

/// Checks a member of a condition; `false` when there is no such member.
fn check_condition(key: &str, value: &Value, path: &str) -> Result<bool, Invalid> {
    match key {
        "op" => {
            let asked = value.as_str().map(|op| op.strip_prefix('!').map_or(op, str::trim_start));
            one_of(asked, &CONDITIONS, path)
        }
        "multiple" => one_of(value.as_str(), &MULTIPLE, path),
        _ => Ok(false),
    }
}

/// Checks a member of an action; `false` when there is no such member.
fn check_action(key: &str, value: &Value, path: &str) -> Result<bool, Invalid> {
    if key == "op" { one_of(value.as_str(), &ACTIONS, path) } else { Ok(false) }
}

fn one_of(word: Option<&str>, words: &[&str], path: &str) -> Result<bool, Invalid> {
    match word {
        Some(word) if words.contains(&word) => Ok(true),
        _ => Err(Invalid::at(path, format!("expected one of {}", words.join(", ")))),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn conditions_and_actions() {
        let conditions = |value: Value| list("/conditions", value, check_condition).map_err(|e| e.path);
        assert_eq!(conditions(json!([])), Ok(JsonList::default()));
        for op in ["eq", "!eq", "! is-none"] {
            let good = json!([{"op": op, "args": {"values": [1, 2]}, "loop": [1], "multiple": "all"}]);
            assert!(conditions(good).is_ok(), "{op}");
        }
        for (bad, path) in [
            (json!(["x"]), "/conditions/0"),
            (json!([{"op": "eq"}]), "/conditions/0"),
            (json!([{"args": {}}]), "/conditions/0"),
            (json!([{"op": "like", "args": {}}]), "/conditions/0/op"),
            (json!([{"op": 1, "args": {}}]), "/conditions/0/op"),
            (json!([{"op": "eq", "args": "x"}]), "/conditions/0/args"),
            (json!([{"op": "eq", "args": {}, "multiple": "some"}]), "/conditions/0/multiple"),
            (json!([{"op": "eq", "args": {}, "bogus": 1}]), "/conditions/0/bogus"),
        ] {
            assert_eq!(conditions(bad.clone()), Err(path.to_owned()), "{bad}");
        }
        let actions = |value: Value| list("/actions", value, check_action).map_err(|e| e.path);
        assert!(actions(json!([{"op": "fail", "args": {"msg": "no"}}])).is_ok());
        let bad = json!([{"op": "fail", "args": {}, "multiple": "any"}]);
        assert_eq!(actions(bad), Err("/actions/0/multiple".to_owned()));
    }
}
