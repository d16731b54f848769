//! What a request costs at the store: a few statements, however much is stored.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::contract::{self, observed};
use crate::fixture::{NEWEST, Site};
use crate::{parts, plans};

/// The most statements of a request: of one that reads, and of one that writes.
const READ: u64 = 4;
const WRITE: u64 = 9;

/// Statements of one request to each route served, at a site where there are `many` of everything, of the node asked
/// about, too. Conductors are not counted: they have the other side of their seam to themselves.
async fn costs(many: usize) -> BTreeMap<String, u64> {
    let site = Site::new().await;
    for _ in 0..many {
        let node = site.node(|node| node.traits = vec!["CUSTOM_B".parse().unwrap()]).await;
        furnish(&site, &node, 1).await;
    }
    let mut costs = BTreeMap::new();
    for (method, route) in observed() {
        let (path, body) = contract::request(&site, method, route, NEWEST).await;
        let node = site.conductors.found.lock().unwrap().clone().unwrap();
        let node = site.db.get_node(&node.uuid.into(), &db::Scope::All).await.unwrap().unwrap();
        furnish(&site, &node, many).await;
        let path = with_limit(route, path);
        let before = site.db.statements_executed();
        let answer = site.call(method, &path, NEWEST, body).await;
        let spent = site.db.statements_executed() - before;
        assert!(answer.code() < 500, "{method} {route}: {}", answer.text);
        costs.insert(format!("{method} {route}"), spent);
    }
    costs
}

/// `many` ports, portgroups, volumes, traits and children for a node, and plans for all.
async fn furnish(site: &Site, node: &model::Node, many: usize) {
    let mut after = node.clone();
    after.traits.extend((0..many).map(|index| format!("CUSTOM_T{index}").parse().unwrap()));
    let node = site.db.update_node(node, after).await.unwrap();
    for _ in 0..many {
        site.port(&node).await;
        parts::stored(site, "/v1/portgroups", &node).await;
        if node.power_state == Some(model::PowerState::Off) {
            parts::stored(site, "/v1/volume/connectors", &node).await;
            parts::stored(site, "/v1/volume/targets", &node).await;
        }
        site.node(|child| child.parent_node = Some(node.uuid)).await;
        for route in ["/v1/deploy_templates/{template_ident}", "/v1/runbooks/{runbook_ident}"] {
            plans::stored(site, route, &node).await;
        }
    }
}

/// A list is asked for as a page from its middle costs most: all columns, whatever comes after.
fn with_limit(route: &str, path: String) -> String {
    if ["/v1/nodes", "/v1/ports", "/v1/portgroups", "/v1/runbooks", "/v1/deploy_templates"].contains(&route) {
        return path + "?detail=true";
    }
    path
}

#[tokio::test]
async fn no_request_costs_more_because_there_is_more() {
    let (few, more) = (costs(1).await, costs(12).await);
    assert!(few.len() > 90, "{} routes", few.len());
    let mut wrong = Vec::new();
    for (route, spent) in &more {
        let bound = if route.starts_with("GET") { READ } else { WRITE };
        if spent != &few[route] || *spent > bound {
            wrong.push(format!("{route}: {} statements, {spent} at the larger site", few[route]));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[tokio::test]
async fn replacing_many_costs_as_much_as_replacing_one() {
    let site = Site::new().await;
    let mut seen = Vec::new();
    for many in [1, 40] {
        let node = site.node(|_| ()).await;
        let traits: Vec<Value> = (0..many).map(|index| json!(format!("CUSTOM_{index}"))).collect();
        let before = site.db.statements_executed();
        let path = format!("/v1/nodes/{}/traits", node.uuid);
        let answer = site.call("PUT", &path, NEWEST, json!({"traits": traits})).await;
        assert_eq!(answer.code(), 204, "{}", answer.text);
        let steps: Vec<Value> = (0..many)
            .map(|priority| json!({"interface": "bios", "step": format!("s{priority}"), "args": {}, "priority": priority}))
            .collect();
        let name = format!("CUSTOM_TEMPLATE_{many}");
        let body = json!({"name": name, "steps": steps});
        let answer = site.call("POST", "/v1/deploy_templates", NEWEST, body).await;
        assert_eq!(answer.code(), 201, "{}", answer.text);
        seen.push(site.db.statements_executed() - before);
        let stored = site.get(&format!("/v1/deploy_templates/{name}")).await.json();
        assert_eq!(stored["steps"].as_array().unwrap().len(), many);
        let stored = site.get(&path).await.json();
        assert_eq!(stored["traits"].as_array().unwrap().len(), many);
    }
    assert_eq!(seen[0], seen[1]);
}
