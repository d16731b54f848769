//! Between each version of the API and the one before lies its row of the releases, and nothing else: shown by the
//! replies of a site that has one of everything.

use std::collections::{BTreeMap, BTreeSet};

use microversion::{Change, Older, RELEASES, Release};
use serde_json::{Value, json};

use crate::contract;
use crate::fixture::{NEWEST, Site};

/// Places of parameters that are members of bodies.
const BODIES: [&str; 6] = ["power", "provision", "vif", "heartbeat", "port", "allocation"];

fn document() -> Value {
    serde_json::from_str(api::openapi_text()).unwrap()
}

/// Every operation that says what it gives: method, path, the operation.
fn operations(document: &Value) -> Vec<(String, String, &Value)> {
    let paths = document["paths"].as_object().unwrap();
    let entries = paths.iter().flat_map(|(path, methods)| {
        methods.as_object().unwrap().iter().map(move |(method, operation)| (method, path, operation))
    });
    entries
        .filter(|(_, _, operation)| operation["responses"].get("2XX").is_none())
        .map(|(method, path, operation)| (method.to_uppercase(), path.clone(), operation))
        .collect()
}

/// The resource that the reply of an operation shows, and the key of the list when it is one.
fn resource(operation: &Value) -> Option<(String, Option<String>)> {
    let schema = &operation["responses"]["200"]["content"]["application/json"]["schema"];
    let name = |reference: &Value| reference.as_str().map(|text| text.rsplit('/').next().unwrap().to_owned());
    if let Some(name) = name(&schema["$ref"]) {
        return Some((name, None));
    }
    // One setting stands under its name.
    if let Some(name) = name(&schema["additionalProperties"]["$ref"]) {
        return Some((name, Some("Boot".to_owned())));
    }
    let (key, list) = schema["properties"].as_object()?.iter().find(|(key, _)| *key != "next")?;
    Some((name(&list["items"]["$ref"])?, Some(key.clone())))
}

/// The fields that `release` adds to `resource`.
fn added(release: &Release, resource: &str) -> BTreeSet<&'static str> {
    let fields = release.changes.iter().filter_map(|change| match change {
        Change::Field { resource: of, field } if *of == resource => Some(*field),
        _ => None,
    });
    fields.collect()
}

/// The change of `release` that is about a route.
fn route(release: &Release, method: &str, path: &str) -> Option<u16> {
    release.changes.iter().find_map(|change| match change {
        Change::Route { method: of, path: at, below } if *of == method && *at == path => Some(*below),
        _ => None,
    })
}

/// The reply with what `release` brought taken back: fields go, values are as they were.
fn taken_back(reply: &Value, release: &Release, resource: &str, key: Option<&str>) -> Value {
    let mut reply = reply.clone();
    let items: Vec<&mut Value> = match key {
        Some(key) => match &mut reply[key] {
            Value::Array(list) => list.iter_mut().collect(),
            Value::Null => Vec::new(),
            one => vec![one],
        },
        None => vec![&mut reply],
    };
    for item in items {
        let Some(item) = item.as_object_mut() else { continue };
        item.retain(|name, _| !added(release, resource).contains(name.as_str()));
        for change in release.changes {
            let Change::Value { field, value, older } = change else { continue };
            let Some(name) = field.strip_prefix(resource).and_then(|rest| rest.strip_prefix('.')) else {
                continue;
            };
            if let Some(shown) = item.get_mut(name).filter(|shown| *shown == value) {
                *shown = match older {
                    Older::Null => Value::Null,
                    Older::As(text) => json!(text),
                    Older::Refused => shown.clone(),
                };
            }
        }
    }
    reply
}

#[tokio::test]
async fn replies_differ_by_the_rows_of_the_release() {
    let site = Site::new().await;
    let document = document();
    let mut seen = BTreeSet::new();
    let mut compared = 0;
    for (method, path, operation) in operations(&document) {
        let Some((resource, key)) = resource(operation).filter(|_| method == "GET") else { continue };
        let mut url = contract::request(&site, "GET", &path, NEWEST).await.0;
        let params = operation["parameters"].to_string();
        if params.contains("\"limit\"") {
            url.push_str("?limit=1");
        }
        // A list that is not paged is short: it is asked for whole objects, from the version on that knows how.
        let whole = key.is_some() && params.contains("\"detail\"") && !url.contains('?');
        if whole {
            url.push_str("?detail=true");
        }
        let mut before: Option<Value> = None;
        for release in RELEASES {
            let answer = site.call("GET", &url, release.minor, Value::Null).await;
            let now = (answer.code() == 200).then(|| answer.json());
            let below = route(release, "GET", &path);
            let place = format!("1.{} {path}", release.minor);
            match (&before, &now) {
                (Some(before), Some(now)) => {
                    let back = taken_back(now, release, &resource, key.as_deref());
                    assert_eq!(&back, before, "{place}");
                    assert_eq!(below, None, "{place} was there before");
                    let shown = key.as_ref().map_or(now, |key| &now[key]);
                    let item = shown.as_array().map_or(shown, |list| list.first().unwrap_or(&Value::Null));
                    let shown = added(release, &resource).into_iter().filter(|name| item.get(name).is_some());
                    seen.extend(shown.map(|name| (release.minor, resource.clone(), name)));
                    compared += 1;
                }
                (None, Some(now)) if whole => {
                    let item = key.as_ref().map_or(now, |key| &now[key][0]);
                    let shown = added(release, &resource).into_iter().filter(|name| item.get(name).is_some());
                    seen.extend(shown.map(|name| (release.minor, resource.clone(), name)));
                }
                (None, Some(_)) => {
                    assert!(release.minor == 1 || below.is_some(), "{place} comes unannounced");
                }
                (Some(_), None) => panic!("{place} goes: {}", answer.text),
                (None, None) => assert!(whole || below.is_none(), "{place} is announced: {}", answer.text),
            }
            before = now;
        }
        assert!(before.is_some(), "{path} has no reply at all");
    }
    assert!(compared > 3000, "{compared}");
    let resources: BTreeSet<String> = operations(&document)
        .iter()
        .filter_map(|(_, _, operation)| resource(operation))
        .map(|(name, _)| name)
        .collect();
    for release in RELEASES {
        for resource in &resources {
            for field in added(release, resource) {
                assert!(
                    seen.contains(&(release.minor, resource.clone(), field)),
                    "1.{} {resource}.{field}",
                    release.minor
                );
            }
        }
    }
}

#[tokio::test]
async fn routes_come_with_the_rows_of_the_release() {
    let site = Site::new().await;
    let document = document();
    let mut rows = 0;
    for (method, path, _) in operations(&document).into_iter().filter(|(_, path, _)| path.len() > 3) {
        // A parameter that nothing has is refused after the route was let through, and before anything is done.
        let url = contract::request(&site, &method, &path, NEWEST).await.0;
        let url = format!("{url}{}bogus=1", if url.contains('?') { '&' } else { '?' });
        let mut before = None;
        for release in RELEASES {
            let answer = site.call(&method, &url, release.minor, Value::Null).await;
            let is_there = answer.text.contains("Unexpected arguments") || path.ends_with("openapi.json");
            let was_there = before.replace(is_there);
            let below = route(release, &method, &path);
            assert_eq!(
                was_there == Some(false) && is_there,
                below.is_some(),
                "1.{} {method} {path}",
                release.minor
            );
            // Agents from before the route was named ask without a version, and are answered: 1.1 stands for none.
            let asked_without = path == "/v1/continue_inspection" && release.minor == 2;
            assert!(
                was_there != Some(true) || is_there || asked_without,
                "1.{} {method} {path} goes",
                release.minor
            );
            rows += usize::from(below.is_some());
        }
    }
    assert!(rows > 50, "{rows}");
}

/// A value that a query parameter takes.
fn sample(schema: &Value) -> String {
    match (schema["type"].as_str(), schema["format"].as_str()) {
        (Some("boolean"), _) => "true".to_owned(),
        (Some("integer"), _) => "5".to_owned(),
        (_, Some("uuid")) => uuid::Uuid::new_v4().to_string(),
        (Some("array"), _) => schema["items"]["enum"][0].as_str().unwrap_or("a").to_owned(),
        _ if schema["pattern"].is_string() => "52:54:00:12:34:56".to_owned(),
        _ => schema["enum"][0].as_str().unwrap_or("active").to_owned(),
    }
}

#[tokio::test]
async fn query_parameters_come_with_the_rows_of_the_release() {
    let site = Site::new().await;
    let document = document();
    let mut found = BTreeMap::new();
    for (method, path, operation) in operations(&document) {
        let url = contract::request(&site, &method, &path, NEWEST).await.0;
        let url = url.split('?').next().unwrap();
        let first = operation["x-since"].as_str().unwrap()[2..].parse::<u16>().unwrap();
        for param in operation["parameters"].as_array().unwrap().iter().filter(|param| param["in"] == "query")
        {
            let name = param["name"].as_str().unwrap();
            let url = format!("{url}?{name}={}", sample(&param["schema"]));
            let mut below = None;
            for minor in first..=NEWEST {
                let answer = site.call(&method, &url, minor, json!([])).await;
                assert!(!answer.text.contains("Unexpected arguments"), "{url}");
                if answer.text.contains(&format!("The parameter '{name}' needs")) {
                    assert!(minor == first || below.is_some(), "1.{minor} {url} was there before");
                    below = Some(answer.code());
                } else if let Some(status) = below.take() {
                    found.insert((minor, name.to_owned()), status);
                }
            }
            assert_eq!(below, None, "{url} never comes");
        }
    }
    let mut named = BTreeMap::new();
    for release in RELEASES {
        for change in release.changes {
            if let Change::Param { at, name, below } = change
                && !BODIES.contains(at)
                && document["paths"].to_string().contains(&format!("\"name\":\"{name}\""))
            {
                named.insert((release.minor, (*name).to_owned()), *below);
            }
        }
    }
    // A parameter may be as old as its route: then there is no version that lacks it.
    for (key, below) in &found {
        assert_eq!(named.get(key), Some(below), "{key:?}");
    }
    assert!(found.len() > 20, "{found:?}");
}

/// A body that uses what a row of the releases is about, with the method and the path that take it.
fn use_of(change: &Change) -> Option<(&'static str, &'static str, Value)> {
    const STATES: &str = "/v1/nodes/{node_ident}/states/";
    let provision = |body: Value| ("PUT", "/v1/nodes/{node_ident}/states/provision", body);
    let step = json!([{"interface": "deploy", "step": "a", "args": {}, "priority": 1}]);
    let drive = |value: Value| provision(json!({"target": "active", "configdrive": value}));
    Some(match *change {
        Change::Verb { name: "clean" } => provision(json!({"target": "clean", "clean_steps": step})),
        Change::Verb { name: "service" } => provision(json!({"target": "service", "service_steps": step})),
        Change::Verb { name: "rescue" } => provision(json!({"target": "rescue", "rescue_password": "p"})),
        Change::Verb { name } => provision(json!({"target": name})),
        Change::Value { field: "power.target", value, .. } => {
            assert!("/v1/nodes/{node_ident}/states/power".starts_with(STATES));
            ("PUT", "/v1/nodes/{node_ident}/states/power", json!({"target": value}))
        }
        Change::Param { at: "power", .. } => {
            ("PUT", "/v1/nodes/{node_ident}/states/power", json!({"target": "power on", "timeout": 5}))
        }
        Change::Param { at: "provision", name, .. } => match name {
            "clean with disable_ramdisk" => {
                provision(json!({"target": "clean", "clean_steps": step, "disable_ramdisk": true}))
            }
            "service with disable_ramdisk" => {
                provision(json!({"target": "service", "service_steps": step, "disable_ramdisk": true}))
            }
            "deploy_steps" => provision(json!({"target": "active", "deploy_steps": step})),
            "configdrive object" => drive(json!({"meta_data": {"a": "b"}})),
            "configdrive vendor_data" => drive(json!({"vendor_data": {"a": "b"}})),
            "rebuild with configdrive" => provision(json!({"target": "rebuild", "configdrive": "aaaa"})),
            "runbook" => provision(json!({"target": "clean", "runbook": "CUSTOM_NONE"})),
            name => panic!("{name}: say how it is used"),
        },
        Change::Param { at: "vif", name, .. } => {
            ("POST", "/v1/nodes/{node_ident}/vifs", json!({"id": "v", name: uuid::Uuid::new_v4()}))
        }
        Change::Param { at: "heartbeat", name, .. } => {
            let value = if name == "agent_status" { "start" } else { "v" };
            let mut body =
                json!({"callback_url": "https://192.0.2.1:9999", "agent_token": "t", "agent_version": "13"});
            body[name] = json!(value);
            ("POST", "/v1/heartbeat/{node_ident}", body)
        }
        _ => return None,
    })
}

#[tokio::test]
async fn members_of_bodies_come_with_the_rows_of_the_release() {
    let site = Site::new().await;
    let mut rows = 0;
    for release in RELEASES {
        for change in release.changes {
            let Some((method, route, mut body)) = use_of(change) else { continue };
            let path = contract::request(&site, method, route, NEWEST).await.0;
            let below = match change {
                Change::Param { below, .. } => *below,
                _ => 406,
            };
            let old = release.minor - 1;
            let answer = site.call(method, &path, old, body.clone()).await;
            assert_eq!(answer.code(), below, "1.{old} {change:?}: {}", answer.text);
            if old < 36 && route.starts_with("/v1/heartbeat") {
                // The version of the agent is newer than the heartbeat itself.
                body.as_object_mut().unwrap().remove("agent_version");
            }
            let answer = site.call(method, &path, release.minor, body).await;
            let needs = answer.text.contains("needs API version");
            assert!(!needs && answer.code() != 406, "1.{} {change:?}: {}", release.minor, answer.text);
            rows += 1;
        }
    }
    assert!(rows > 25, "{rows}");
}

#[test]
fn the_history_has_every_row() {
    let page = include_str!("../../../../docs/reference/api-versions.md");
    assert!(page == microversion::history_page(), "run `cargo xtask codegen`");
    let contract = include_str!("../../../../contract/microversions.tsv");
    for row in contract.lines().skip(1) {
        let (version, summary) = row.split_once('\t').unwrap();
        assert!(page.contains(&format!("\n## {version} ")), "{version}");
        assert!(page.contains(summary), "{summary}");
    }
}
