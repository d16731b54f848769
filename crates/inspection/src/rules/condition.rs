//! What conditions ask.

use std::cmp::Ordering;
use std::net::IpAddr;

use ipnet::IpNet;
use regex::Regex;
use serde_json::{Map, Value};

use super::statement::{Meaning, Multiple, Operation, Statement, expression};
use super::template::{Names, replaced, text_of};

/// The question behind a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ask {
    Equal,
    Less,
    Greater,
    Empty,
    InNet,
    Matches,
    Contains,
    OneOf,
    None,
    True,
    False,
}

const fn word(
    name: &'static str,
    required: &'static [&'static str],
    optional: &'static [&'static str],
    replaced: &'static [&'static str],
    ask: Ask,
) -> Operation {
    Operation { name, required, optional, replaced, meaning: Meaning::Ask(ask) }
}

const VALUE: &[&str] = &["value"];
const VALUES: &[&str] = &["values"];

pub(super) const CONDITION_TABLE: &[Operation] = &[
    word("eq", VALUES, &["force_strings"], VALUES, Ask::Equal),
    word("lt", VALUES, &["force_strings"], VALUES, Ask::Less),
    word("gt", VALUES, &["force_strings"], VALUES, Ask::Greater),
    word("is-empty", VALUE, &[], VALUE, Ask::Empty),
    word("in-net", &["address", "subnet"], &[], &["address", "subnet"], Ask::InNet),
    word("matches", &["value", "regex"], &[], VALUE, Ask::Matches),
    word("contains", &["value", "regex"], &[], VALUE, Ask::Contains),
    word("one-of", VALUE, VALUES, VALUE, Ask::OneOf),
    word("is-none", VALUE, &[], VALUE, Ask::None),
    word("is-true", VALUE, &[], VALUE, Ask::True),
    word("is-false", VALUE, &[], VALUE, Ask::False),
];

/// Whether a condition holds.
///
/// # Errors
/// Why that cannot be said.
pub(super) fn holds(condition: &Statement, ask: Ask, names: Names<'_>) -> Result<bool, String> {
    let one = |item: Option<&Value>| -> Result<bool, String> {
        let args = arguments(condition, Names { item, ..names }, ask == Ask::Empty);
        Ok(answer(ask, &args, item.is_some())? != condition.inverted)
    };
    let items = match &condition.items {
        None => return one(None),
        Some(Value::Array(items)) => items.as_slice(),
        Some(item) => std::slice::from_ref(item),
    };
    match condition.multiple {
        Multiple::Last => items.last().map_or(Ok(false), |item| one(Some(item))),
        Multiple::All => {
            for item in items {
                if !one(Some(item))? {
                    return Ok(false);
                }
            }
            Ok(true)
        }
        Multiple::Any | Multiple::First => {
            for item in items {
                if one(Some(item))? {
                    return Ok(true);
                }
            }
            Ok(false)
        }
    }
}

/// The arguments of a statement with everything replaced that is to be.
pub(super) fn arguments(
    statement: &Statement,
    names: Names<'_>,
    missing_is_null: bool,
) -> Map<String, Value> {
    let is_replaced =
        |name: &String| names.item.is_some() || statement.operation.replaced.contains(&name.as_str());
    let value = |(name, value): (&String, &Value)| {
        let value = if is_replaced(name) { replaced(value, names, missing_is_null) } else { value.clone() };
        (name.clone(), value)
    };
    statement.args.iter().map(value).collect()
}

fn answer(ask: Ask, args: &Map<String, Value>, in_loop: bool) -> Result<bool, String> {
    let value = args.get("value").unwrap_or(&Value::Null);
    match ask {
        Ask::Equal | Ask::Less | Ask::Greater => {
            let forced = in_loop || args.get("force_strings").is_some_and(|flag| *flag == Value::Bool(true));
            compare(ask, args.get("values").unwrap_or(&Value::Null), forced)
        }
        Ask::Empty => Ok(["", "None", "[]", "{}"].contains(&text_of(value).as_str())),
        Ask::InNet => in_net(args),
        Ask::Matches => Ok(anchored(args)?.is_match(&text_of(value))),
        Ask::Contains => Ok(expression(args.get("regex").unwrap_or(&Value::Null))?.is_match(&text_of(value))),
        Ask::OneOf => Ok(match args.get("values") {
            Some(Value::Array(values)) => values.iter().any(|known| same(known, value)),
            Some(Value::String(text)) => value.as_str().is_some_and(|part| text.contains(part)),
            Some(Value::Object(map)) => value.as_str().is_some_and(|key| map.contains_key(key)),
            _ => false,
        }),
        Ask::None => Ok(value.is_null()),
        Ask::True => Ok(is_word(value, true)),
        Ask::False => Ok(value.is_null() || is_word(value, false)),
    }
}

/// Whether each of the values stands so to the next.
fn compare(ask: Ask, values: &Value, as_text: bool) -> Result<bool, String> {
    let values = values.as_array().ok_or("'values' has to be a list")?;
    for pair in values.windows(2) {
        let (left, right) = (&pair[0], &pair[1]);
        let holds = if as_text {
            let order = text_of(left).cmp(&text_of(right));
            order == wanted(ask)
        } else if ask == Ask::Equal {
            same(left, right)
        } else {
            order(left, right).ok_or("values of different kinds have no order")? == wanted(ask)
        };
        if !holds {
            return Ok(false);
        }
    }
    Ok(true)
}

fn wanted(ask: Ask) -> Ordering {
    match ask {
        Ask::Less => Ordering::Less,
        Ask::Greater => Ordering::Greater,
        _ => Ordering::Equal,
    }
}

/// Whether two values are equal; 1 and 1.0 are.
fn same(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(_), Value::Number(_)) => order(left, right) == Some(Ordering::Equal),
        _ => left == right,
    }
}

fn order(left: &Value, right: &Value) -> Option<Ordering> {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => match (left.as_i64(), right.as_i64()) {
            (Some(left), Some(right)) => Some(left.cmp(&right)),
            _ => left.as_f64()?.partial_cmp(&right.as_f64()?),
        },
        (Value::String(left), Value::String(right)) => Some(left.cmp(right)),
        _ => None,
    }
}

fn in_net(args: &Map<String, Value>) -> Result<bool, String> {
    let text = |name: &str| args.get(name).map(text_of).unwrap_or_default();
    let (address, subnet) = (text("address"), text("subnet"));
    let net = subnet.parse::<IpNet>().or_else(|_| subnet.parse::<IpAddr>().map(IpNet::from));
    let net = net.map_err(|_| format!("'{subnet}' is not a subnet"))?;
    let address: IpAddr = address.parse().map_err(|_| format!("'{address}' is not an address"))?;
    Ok(net.contains(&address))
}

/// The expression, which has to match from the start to the end.
fn anchored(args: &Map<String, Value>) -> Result<Regex, String> {
    let text =
        args.get("regex").and_then(Value::as_str).ok_or("the regular expression has to be a string")?;
    let end = if text.ends_with('$') { "" } else { "$" };
    expression(&Value::String(format!("^(?:{text}{end})")))
}

fn is_word(value: &Value, wanted: bool) -> bool {
    match value {
        Value::Bool(flag) => *flag == wanted,
        Value::Number(number) => (number.as_f64() != Some(0.0)) == wanted,
        Value::String(word) => {
            let words = if wanted { ["yes", "true"] } else { ["no", "false"] };
            words.contains(&word.to_lowercase().as_str())
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::statement::conditions;
    use super::*;

    fn check(condition: &Value) -> Result<bool, String> {
        let object = |value: &Value| value.as_object().unwrap().clone();
        let inventory = object(&json!({"cpu": {"count": 8}, "bmc": "10.0.0.5", "list": [], "n": null}));
        let names = Names {
            node: &Map::new(),
            inventory: &inventory,
            plugin_data: &Map::new(),
            item: None,
            masked: true,
        };
        let statement = conditions(std::slice::from_ref(condition)).unwrap().remove(0);
        let Meaning::Ask(ask) = statement.operation.meaning else { panic!("not a condition") };
        holds(&statement, ask, names)
    }

    fn simple(op: &str, args: &Value) -> Result<bool, String> {
        check(&json!({"op": op, "args": args}))
    }

    #[test]
    fn comparisons() {
        for (op, values, expected) in [
            ("eq", json!([1, 1.0, 1]), true),
            ("eq", json!(["a", "b"]), false),
            ("!eq", json!(["a", "b"]), true),
            ("eq", json!([1]), true),
            ("eq", json!([1, "1"]), false),
            // What is replaced is text.
            ("eq", json!(["{inventory[cpu][count]}", "8"]), true),
            ("lt", json!([1, 2, 3]), true),
            ("lt", json!([1, 3, 2]), false),
            ("gt", json!([3, 2.5, 1]), true),
            ("gt", json!(["b", "a"]), true),
        ] {
            assert_eq!(simple(op, &json!({"values": values})), Ok(expected), "{op} {values}");
        }
        assert_eq!(simple("eq", &json!({"values": [1, "1"], "force_strings": true})), Ok(true));
        assert!(simple("lt", &json!({"values": [1, "2"]})).is_err());
        assert!(simple("eq", &json!({"values": 5})).is_err());
    }

    #[test]
    fn words_of_one_value() {
        let yes: [(&str, Value); 17] = [
            ("is-empty", json!("")),
            ("is-empty", json!([])),
            ("is-empty", json!("{inventory[list]}")),
            ("is-empty", json!("{inventory[none]}")),
            ("is-empty", json!("{inventory[n]}")),
            ("!is-empty", json!("{inventory[cpu]}")),
            ("is-none", json!(null)),
            ("!is-none", json!("x")),
            ("is-true", json!(true)),
            ("is-true", json!("Yes")),
            ("is-true", json!(2)),
            ("!is-true", json!("8")),
            ("is-false", json!(false)),
            ("is-false", json!("no")),
            ("is-false", json!(0)),
            ("is-false", json!(null)),
            ("!is-false", json!([])),
        ];
        for (op, value) in yes {
            assert_eq!(simple(op, &json!({"value": value})), Ok(true), "{op} {value}");
        }
        assert_eq!(simple("one-of", &json!({"value": "b", "values": ["a", "b"]})), Ok(true));
        assert_eq!(simple("one-of", &json!({"value": "c", "values": ["a", "b"]})), Ok(false));
        assert_eq!(simple("one-of", &json!({"value": "c"})), Ok(false));
    }

    #[test]
    fn networks() {
        let check =
            |address: &str, subnet: &str| simple("in-net", &json!({"address": address, "subnet": subnet}));
        assert_eq!(check("{inventory[bmc]}", "10.0.0.0/24"), Ok(true));
        assert_eq!(check("10.0.1.5", "10.0.0.0/24"), Ok(false));
        assert_eq!(check("fd00::1", "fd00::/8"), Ok(true));
        assert_eq!(check("10.0.0.5", "10.0.0.5"), Ok(true));
        assert!(check("x", "10.0.0.0/24").is_err());
        assert!(check("10.0.0.5", "10.0.0.0/99").is_err());
    }

    #[test]
    fn expressions() {
        let check =
            |op: &str, value: Value, regex: &str| simple(op, &json!({"value": value, "regex": regex}));
        assert_eq!(check("matches", json!("10.0.0.5"), r"10\..*"), Ok(true));
        assert_eq!(check("matches", json!("x10"), "10"), Ok(false));
        assert_eq!(check("matches", json!("10x"), "10"), Ok(false));
        assert_eq!(check("matches", json!(42), "[0-9]+$"), Ok(true));
        assert_eq!(check("contains", json!("x10y"), "10"), Ok(true));
        assert_eq!(check("contains", json!(["a", "b"]), "'b'"), Ok(true));
    }

    #[test]
    fn loops() {
        let over = |multiple: &str, items: Value| {
            check(&json!({
                "op": "eq", "args": {"values": ["{item}", "{inventory[cpu][count]}"]}, "loop": items,
                "multiple": multiple,
            }))
        };
        assert_eq!(over("any", json!([1, 8])), Ok(true));
        assert_eq!(over("all", json!([1, 8])), Ok(false));
        assert_eq!(over("all", json!([8, 8])), Ok(true));
        assert_eq!(over("first", json!([1, 8])), Ok(true));
        assert_eq!(over("last", json!([8, 1])), Ok(false));
        assert_eq!(over("last", json!([1, 8])), Ok(true));
        assert_eq!(over("any", json!([1, 2])), Ok(false));
        let map = json!({"op": "!eq", "args": {"values": ["{item[a]}", "x"]}, "loop": {"a": "y"}});
        assert_eq!(check(&map), Ok(true));
    }
}
