//! Writing and masking over arbitrary input: always JSON, and always what a slow and simple way gives.

use api_types::{MASK, Writer, write_masked};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

/// Words of which some tell secrets and some need escapes.
fn key() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z\"\\\\{}:,\n é]{0,6}", Just("ipmi_PASSWORD".to_owned()), Just("a_token\"".to_owned())]
}

fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        key().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::vec((key(), inner), 0..5)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// What masking means, by the letter.
fn masked(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let is_secret = |key: &str| {
                let key = key.to_ascii_lowercase();
                key.contains("password") || key.contains("token")
            };
            let member = |(key, value): (&String, &Value)| {
                (key.clone(), if is_secret(key) { json!(MASK) } else { masked(value) })
            };
            Value::Object(map.iter().map(member).collect::<Map<_, _>>())
        }
        Value::Array(list) => list.iter().map(masked).collect(),
        other => other.clone(),
    }
}

proptest! {
    #[test]
    fn masking_is_by_the_letter(value in json_value(), pretty in any::<bool>()) {
        let text = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) };
        let mut out = Writer::default();
        write_masked(&mut out, &text.expect("JSON"), &[]);
        let written: Value = serde_json::from_slice(out.as_bytes()).expect("JSON");
        prop_assert_eq!(written, masked(&value));
    }

    #[test]
    fn masking_takes_any_text(text in any::<String>()) {
        write_masked(&mut Writer::default(), &text, &["a"]);
    }

    #[test]
    fn strings_read_back(text in any::<String>()) {
        let mut out = Writer::default();
        out.text(&text);
        prop_assert_eq!(serde_json::from_slice::<String>(out.as_bytes()).expect("JSON"), text);
    }
}
