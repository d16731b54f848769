//! Requests made of random parts: none is our fault, every refusal is in an envelope, and what was refused changed nothing.

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Map, Value, json};

use crate::contract;
use crate::fixture::{NEWEST, Site};

/// An operation that the document tells of: its method, a path that leads to something, its parameters' names.
#[derive(Debug, Clone)]
struct Target {
    method: String,
    path: String,
    params: Vec<String>,
}

#[derive(Debug, Clone)]
struct Attempt {
    target: prop::sample::Index,
    segment: Option<String>,
    query: Vec<(prop::sample::Index, String)>,
    body: Option<String>,
    minor: u16,
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "[a-z0-9-]{0,8}",
        2 => any::<String>().prop_map(|text| text.chars().take(12).collect()),
        1 => Just("\u{0}".to_owned()),
        1 => Just("1be26c0b-03f2-4d2e-ae87-c02d7f33c123".to_owned()),
        1 => Just("52:54:00:12:34:56".to_owned()),
        1 => Just("x".repeat(300)),
    ]
}

/// Keys: half of them are fields of something.
fn key() -> impl Strategy<Value = String> {
    let fields: Vec<&str> = api_types::NODE.fields.iter().map(|field| field.name).collect();
    let words = vec![
        "target",
        "traits",
        "steps",
        "actions",
        "conditions",
        "args",
        "op",
        "interface",
        "step",
        "name",
        "id",
    ];
    prop_oneof![
        3 => prop::sample::select(fields).prop_map(str::to_owned),
        3 => prop::sample::select(words).prop_map(str::to_owned),
        1 => text(),
    ]
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        text().prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((key(), inner), 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

/// JSON, JSON Patch, and text that is neither.
fn body() -> impl Strategy<Value = String> {
    let path = prop_oneof![
        key().prop_map(|key| format!("/{key}")),
        (key(), text()).prop_map(|(a, b)| format!("/{a}/{b}")),
        text()
    ];
    let op = prop_oneof![Just("add"), Just("replace"), Just("remove"), Just("test")];
    let operation = (op, path, prop::option::of(value())).prop_map(|(op, path, value)| match value {
        Some(value) => json!({"op": op, "path": path, "value": value}),
        None => json!({"op": op, "path": path}),
    });
    prop_oneof![
        3 => value().prop_map(|value| value.to_string()),
        3 => prop::collection::vec(operation, 0..4).prop_map(|patch| Value::from(patch).to_string()),
        1 => any::<String>(),
        1 => (value(), any::<prop::sample::Index>()).prop_map(|(value, at)| {
            let text = value.to_string();
            text.chars().take(at.index(text.chars().count() + 1)).collect()
        }),
    ]
}

fn attempt() -> impl Strategy<Value = Attempt> {
    let query = prop::collection::vec((any::<prop::sample::Index>(), text()), 0..3);
    (
        any::<prop::sample::Index>(),
        prop::option::weighted(0.2, text()),
        query,
        prop::option::of(body()),
        1..=NEWEST,
    )
        .prop_map(|(target, segment, query, body, minor)| Attempt {
            target,
            segment,
            query,
            body,
            minor,
        })
}

async fn targets(site: &Site) -> Vec<Target> {
    let document: Value = serde_json::from_str(api::openapi_text()).unwrap();
    let mut targets = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let method = method.to_uppercase();
            let named =
                operation["parameters"].as_array().unwrap().iter().filter_map(|param| param["name"].as_str());
            let params = named.map(str::to_owned).chain(["bogus".to_owned()]).collect();
            // What is removed would be missing for the next attempt.
            if method != "DELETE" {
                let path = contract::request(site, &method, path, NEWEST).await.0;
                let path = path.split('?').next().unwrap().to_owned();
                targets.push(Target { method, path, params });
            }
        }
    }
    targets
}

async fn everything(site: &Site) -> Vec<Value> {
    let mut all = Vec::new();
    for path in [
        "/v1/nodes/detail?include_children=true",
        "/v1/ports/detail",
        "/v1/portgroups/detail",
        "/v1/chassis/detail",
        "/v1/volume/connectors?detail=true",
        "/v1/volume/targets?detail=true",
        "/v1/deploy_templates?detail=true",
        "/v1/runbooks?detail=true",
        "/v1/inspection_rules?detail=true",
    ] {
        all.push(site.get(path).await.json());
    }
    all
}

fn url(target: &Target, attempt: &Attempt) -> String {
    let mut path = target.path.clone();
    if let Some(segment) = &attempt.segment {
        let encoded: String = url::form_urlencoded::byte_serialize(segment.as_bytes()).collect();
        path = format!("{}/{encoded}", path.rsplit_once('/').map_or("", |(start, _)| start));
    }
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    for (name, value) in &attempt.query {
        query.append_pair(name.get(&target.params[..]).as_str(), value);
    }
    format!("{path}?{}", query.finish())
}

#[test]
fn random_requests() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let site = runtime.block_on(Site::new());
    let targets = runtime.block_on(targets(&site));
    let mut runner = TestRunner::new(Config { cases: 500, failure_persistence: None, ..Config::default() });
    let state = std::cell::RefCell::new(runtime.block_on(everything(&site)));
    let outcome = runner.run(&attempt(), |attempt| {
        let target = attempt.target.get(&targets[..]);
        let url = url(target, &attempt);
        let sent = async {
            let mut request = http::Request::builder().method(target.method.as_str()).uri(&url);
            request = request.header("x-openstack-ironic-api-version", format!("1.{}", attempt.minor));
            site.send(request.body(attempt.body.clone().unwrap_or_default().into()).unwrap()).await
        };
        let answer = runtime.block_on(sent);
        let what =
            format!("{} {url} @1.{} {:?}: {}", target.method, attempt.minor, attempt.body, answer.text);
        prop_assert!(answer.code() < 500, "{}", what);
        if answer.code() >= 400 {
            let body = answer.json();
            prop_assert!(body.get("error_message").or(body.get("faultstring")).is_some(), "{}", what);
            if target.method != "GET" {
                let now = runtime.block_on(everything(&site));
                prop_assert!(*state.borrow() == now, "changed by what was refused: {}", what);
            }
        } else {
            state.replace(runtime.block_on(everything(&site)));
        }
        Ok(())
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }
}

/// Bytes as fuzzing has them: some are almost requests.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let path = prop_oneof![
        Just("nodes".to_owned()),
        Just("nodes/n".to_owned()),
        Just("nodes/n/states/provision".to_owned()),
        (key(), text()).prop_map(|(name, value)| format!("nodes?{name}={value}")),
        any::<String>(),
    ];
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..64),
        (any::<u8>(), any::<u8>(), path, body()).prop_map(|(method, minor, path, body)| {
            [&[method, minor], path.as_bytes(), &[0], body.as_bytes()].concat()
        }),
        (any::<u8>(), body()).prop_map(|(minor, body)| [&[minor], body.as_bytes()].concat()),
    ]
}

#[test]
fn what_fuzzing_calls() {
    let mut runner = TestRunner::new(Config { cases: 1000, failure_persistence: None, ..Config::default() });
    let outcome = runner.run(&bytes(), |bytes| {
        crate::entries::request(&bytes);
        crate::entries::body(&bytes);
        Ok(())
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }
}
