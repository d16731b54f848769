//! Inspection rules: the table of their fields, and the form of conditions and actions.

use inspection::rules::{InvalidRule, check_actions, check_conditions};
use model::{InspectionRule, InspectionRuleUuid, JsonList, MAIN_PHASE};
use serde_json::Value;

use crate::link::write_object_links;
use crate::value::{flag, integer, text_up_to, uuid};
use crate::{Context, Field, Invalid, Json, Resource, Writer};

/// Inspection rules.
pub const INSPECTION_RULE: Resource<InspectionRule> =
    Resource { name: "inspection_rule", collection: "inspection_rules", fields: FIELDS };

type Row = Field<InspectionRule>;

/// The highest priority that users may give.
const MAX_PRIORITY: i64 = 9999;
/// The most conditions, or actions, of one rule.
const MAX_ITEMS: usize = 256;

const FIELDS: &[Row] = &[
    Row::new("actions", Json::List("{op,args,loop?}").only(), 96, "required", |r, c, w| {
        write_list(r, &r.actions, c, w);
    })
    .writable(1, 1, |r, v, _| {
        r.actions = list("/actions", v, check_actions)?;
        if r.actions.to_vec().is_empty() {
            return Err(Invalid::at("/actions", "at least one action is required").into());
        }
        Ok(())
    }),
    Row::new("conditions", Json::List("{op,args,loop?,multiple?}").only(), 96, "[]", |r, c, w| {
        write_list(r, &r.conditions, c, w);
    })
    .writable(1, 1, |r, v, _| {
        r.conditions = list("/conditions", v, check_conditions)?;
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
    check: fn(&[Value]) -> Result<(), InvalidRule>,
) -> Result<JsonList, Invalid> {
    let Value::Array(items) = value else { return Ok(JsonList::default()) };
    if items.len() > MAX_ITEMS {
        return Err(Invalid::at(path, format!("at most {MAX_ITEMS} are allowed, not {}", items.len())));
    }
    check(&items).map_err(|error| Invalid::at(format!("{path}{}", error.path), error.problem))?;
    Ok(JsonList::from(items))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn conditions_and_actions() {
        let conditions = |value: Value| list("/conditions", value, check_conditions).map_err(|e| e.path);
        assert_eq!(conditions(json!([])), Ok(JsonList::default()));
        for op in ["eq", "!eq", "! lt"] {
            let good = json!([{"op": op, "args": {"values": [1, 2]}, "loop": [1], "multiple": "all"}]);
            assert!(conditions(good).is_ok(), "{op}");
        }
        let bad = json!([{"op": "eq", "args": {"values": [1]}}, {"op": "eq", "args": {"value": 1}}]);
        assert_eq!(conditions(bad), Err("/conditions/1/args".to_owned()));
        let many = Value::from(vec![json!({"op": "is-none", "args": {"value": 1}}); MAX_ITEMS + 1]);
        assert_eq!(conditions(many), Err("/conditions".to_owned()));
        let actions = |value: Value| list("/actions", value, check_actions).map_err(|e| e.path);
        assert!(actions(json!([{"op": "fail", "args": {"msg": "no"}}])).is_ok());
        let bad = json!([{"op": "fail", "args": {"msg": "no"}, "multiple": "any"}]);
        assert_eq!(actions(bad), Err("/actions/0/multiple".to_owned()));
    }
}
