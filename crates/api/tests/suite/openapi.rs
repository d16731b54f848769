//! The API's own description: where it is, and that it speaks of the API that is there.

use std::collections::BTreeSet;
use std::sync::Arc;

use api::HttpBasic;
use serde_json::Value;

use crate::fixture::{NEWEST, Site};

const ROUTES: &str = include_str!("../../../../contract/api.tsv");

#[tokio::test]
async fn it_is_served_to_everybody_at_every_version() {
    let site = Site::with(crate::fixture::options(), |db| Arc::new(HttpBasic::new(db.clone()))).await;
    assert_eq!(site.get("/v1/nodes").await.code(), 401, "everything else asks who calls");
    for minor in [1, 90, 91, NEWEST] {
        for path in ["/v1/openapi.json", "/openapi.json"] {
            let answer = site.call("GET", path, minor, Value::Null).await;
            assert_eq!((answer.code(), answer.header("content-type")), (200, Some("application/json")));
            assert_eq!(answer.json()["openapi"], "3.1.0");
        }
    }
}

#[test]
fn the_contracts_routes_have_their_parameters_and_statuses() {
    let document: Value = serde_json::from_str(api::openapi_text()).unwrap();
    let mut rows = 0;
    for row in ROUTES.lines().skip(1) {
        let cells: Vec<&str> = row.split('\t').collect();
        let (method, path, since, status) = (cells[0].to_lowercase(), cells[1], cells[2], cells[4]);
        let path = path.replace("{port_uuid}", "{port_ident}");
        let operation = &document["paths"][&path][&method];
        // What is not served is missing here, and named by the tests of the contract.
        if operation.is_null() || operation["responses"].get("2XX").is_some() {
            continue;
        }
        rows += 1;
        assert!(operation["responses"].get(status).is_some(), "{row}: {}", operation["responses"]);
        let min = since.split(' ').next().unwrap();
        assert_eq!(operation["x-since"], min, "{row}");
        let named: BTreeSet<&str> = operation["parameters"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|param| param["in"] == "query")
            .map(|param| param["name"].as_str().unwrap())
            .collect();
        if method == "get" && cells[5].starts_with("query: limit") {
            let said: BTreeSet<&str> = cells[5]["query: ".len()..].split(' ').collect();
            assert_eq!(named, said, "{row}");
        }
    }
    assert!(rows > 90, "{rows}");
}
