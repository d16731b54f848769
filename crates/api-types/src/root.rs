//! Discovery documents: `/` and `/v1`.

use microversion::Version;
use serde_json::{Map, Value, json};

/// Collections named in the version document, with the first minor version that shows each.
const COLLECTIONS: &[(&str, u16)] = &[
    ("nodes", 1),
    ("ports", 1),
    ("chassis", 1),
    ("drivers", 1),
    ("lookup", 22),
    ("heartbeat", 22),
    ("portgroups", 23),
    ("volume", 32),
    ("conductors", 49),
    ("allocations", 52),
    ("events", 54),
    ("deploy_templates", 55),
    ("shards", 82),
    ("continue_inspection", 84),
    ("runbooks", 92),
    ("inspection_rules", 96),
];

fn version_entry(base: &str, max: Version) -> Value {
    json!({
        "id": "v1",
        "links": [{"href": format!("{base}/v1/"), "rel": "self"}],
        "status": "CURRENT",
        "min_version": Version::MIN.to_string(),
        "version": max.to_string(),
    })
}

/// The body of `GET /`; `max` is the newest version on offer.
pub fn root_document(base: &str, max: Version) -> String {
    json!({
        "name": "OpenStack Ironic API",
        "description": "Bare Metal provisioning: discovers, configures, deploys and recycles physical machines.",
        "default_version": version_entry(base, max),
        "versions": [version_entry(base, max)],
    })
    .to_string()
}

/// The body of `GET /v1` as `version` shows it; `max` is the newest version on offer.
pub fn v1_document(base: &str, version: Version, max: Version) -> String {
    let mut body = Map::new();
    body.insert("id".to_owned(), json!("v1"));
    let links = json!([
        {"href": format!("{base}/v1/"), "rel": "self"},
        {"href": format!("{base}/v1/openapi.json"), "rel": "describedby", "type": "application/json"},
    ]);
    body.insert("links".to_owned(), links);
    body.insert(
        "media_types".to_owned(),
        json!({"base": "application/json", "type": "application/vnd.openstack.ironic.v1+json"}),
    );
    body.insert("version".to_owned(), version_entry(base, max));
    for (name, _) in COLLECTIONS.iter().filter(|(_, min)| version.at_least(*min)) {
        let links = json!([
            {"href": format!("{base}/v1/{name}/"), "rel": "self"},
            {"href": format!("{base}/{name}/"), "rel": "bookmark"},
        ]);
        body.insert((*name).to_owned(), links);
    }
    Value::Object(body).to_string()
}
