//! Every rule of every route: with the rules that the route names everything goes, without one of them it does not.

use std::sync::Arc;

use api::{ENFORCED, Enforced, NoAuth};
use http::StatusCode;
use model::{Node, ProvisionState};
use serde_json::{Value, json};

use crate::contract;
use crate::fixture::{Answer, NEWEST, Site, options, rules_of};

/// A file in which these rules allow everybody, and all others nobody.
fn only(allowed: &[&str]) -> String {
    let rows = policy::TABLE.iter().map(|row| {
        let check = if allowed.contains(&row.name) { "@" } else { "!" };
        format!("{}: '{check}'\n", row.name)
    });
    rows.collect()
}

/// What the route takes. Some routes are not in the contract's table, or say more there.
async fn sample(site: &Site, row: &Enforced) -> (String, Value) {
    if row.path == "/v1/nodes/validate" {
        let node = site.node(|_| ()).await;
        return (format!("{}?node={}", row.path, node.uuid), Value::Null);
    }
    if row.path.contains("/vendor_passthru") {
        let (path, _) = Box::pin(contract::request(site, row.method, row.path, NEWEST)).await;
        let in_query = if row.path.ends_with("/vendor_passthru") { "?method=m" } else { "" };
        return (path + in_query, json!({}));
    }
    if row.path == "/v1/events/stream" {
        return (row.path.to_owned(), Value::Null);
    }
    if row.path == "/v1/agent/{node_uuid}/progress" {
        let report =
            json!({"agent_token": "t", "command": "c", "phase": "p", "bytes_done": 1, "bytes_total": null});
        return (row.path.replace("{node_uuid}", &model::NodeUuid::random().to_string()), report);
    }
    Box::pin(contract::request(site, row.method, row.path, NEWEST)).await
}

/// Sends what the route takes, once all is made ready that it needs.
async fn send(site: &Site, row: &Enforced, allowed: &[&str]) -> Answer {
    site.policy.store(Arc::new(rules_of("")));
    let (path, body) = sample(site, row).await;
    site.policy.store(Arc::new(rules_of(&only(allowed))));
    site.call(row.method, &path, NEWEST, body).await
}

/// A node that a body names and that may not be read is told as one that is not there: 400.
fn is_refused(answer: &Answer) -> bool {
    [StatusCode::FORBIDDEN, StatusCode::NOT_FOUND].contains(&answer.status)
        || (answer.status == StatusCode::BAD_REQUEST && answer.fault().contains("could not be found"))
}

#[tokio::test]
async fn routes_ask_the_rules_they_name_and_no_others() {
    let site = Site::with(options(), |_| Arc::new(NoAuth)).await;
    let mut wrong = Vec::new();
    for row in ENFORCED {
        let mut allowed: Vec<&str> = row.always.iter().copied().flatten().copied().collect();
        // The sample of this route is a patch of what has no rule of its own.
        let general = row.sometimes.iter().find(|rule| rule.ends_with(":update")).copied();
        if row.path.starts_with("/v1/nodes") {
            allowed.extend(general.map(|_| "baremetal:node:update_extra"));
        } else {
            allowed.extend(general);
        }
        let answer = send(&site, row, &allowed).await;
        if is_refused(&answer) {
            wrong.push(format!("{} {} asks more: {}", row.method, row.path, answer.text));
        }
        for group in row.always {
            let rest: Vec<&str> = allowed.iter().filter(|rule| !group.contains(rule)).copied().collect();
            let answer = send(&site, row, &rest).await;
            if !is_refused(&answer) {
                wrong.push(format!("{} {} does not ask {group:?}: {}", row.method, row.path, answer.text));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// A patch of a node, or another request about one, that asks a rule beside those that are asked always.
async fn special(site: &Site, rule: &str, allowed: &[&str]) -> Answer {
    let other = site.node(|_| ()).await;
    let chassis = crate::parts::stored(site, "/v1/chassis", &other).await;
    let is_active = rule.ends_with("update_owner_provisioned");
    let node = site.node(|node| {
        node.provision_state = match rule {
            _ if is_active || rule.ends_with("service_steps") => ProvisionState::Active,
            _ => ProvisionState::Manageable,
        };
    });
    let node = node.await;
    let (path, value) = match rule.trim_start_matches("baremetal:node:") {
        "update" => ("description", json!("x")),
        "update_extra" => ("extra/a", json!(1)),
        "update_instance_info" => ("instance_info/a", json!(1)),
        "update:driver_info" => ("driver_info/a", json!(1)),
        "update:properties" => ("properties/a", json!(1)),
        "update:chassis_uuid" => ("chassis_uuid", json!(chassis.rsplit('/').next().unwrap())),
        "update:instance_uuid" => ("instance_uuid", json!(uuid::Uuid::new_v4())),
        "update:lessee" => ("lessee", json!("p")),
        "update:owner" | "update_owner_provisioned" => ("owner", json!("p")),
        "update:driver_interfaces" => ("power_interface", json!("other")),
        "update:network_data" => ("network_data", json!({"links": [], "networks": [], "services": []})),
        "update:conductor_group" => ("conductor_group", json!("g")),
        "update:name" => ("name", json!(format!("n-{}", node.uuid))),
        "update:retired" => ("retired", json!(true)),
        "update:shard" => ("shard", json!("s")),
        "update:parent_node" => ("parent_node", json!(other.uuid)),
        "update:disable_power_off" => ("disable_power_off", json!(true)),
        "disable_cleaning" => ("automated_clean", json!(false)),
        _ => ("", Value::Null),
    };
    site.policy.store(Arc::new(rules_of(&only(allowed))));
    let node = format!("/v1/nodes/{}", node.uuid);
    if path.is_empty() {
        return steps(site, &node, rule).await;
    }
    site.patch(&node, json!([{"op": "add", "path": format!("/{path}"), "value": value}])).await
}

async fn steps(site: &Site, node: &str, rule: &str) -> Answer {
    let verb = if rule.ends_with("clean_steps") { "clean" } else { "service" };
    let step = json!({"interface": "deploy", "step": "s", "args": {}});
    let body = json!({"target": verb, format!("{verb}_steps"): [step]});
    site.call("PUT", &format!("{node}/states/provision"), NEWEST, body).await
}

#[tokio::test]
async fn parts_of_nodes_have_rules_of_their_own() {
    let site = Site::with(options(), |_| Arc::new(NoAuth)).await;
    let mut count = 0;
    for row in ENFORCED.iter().filter(|row| row.path.starts_with("/v1/nodes/{node_ident}")) {
        for rule in row.sometimes.iter().filter(|rule| rule.starts_with("baremetal:node:")) {
            count += 1;
            let mut others: Vec<&str> = row.always.iter().copied().flatten().copied().collect();
            if rule.ends_with("update_owner_provisioned") {
                others.push("baremetal:node:update:owner");
            }
            site.policy.store(Arc::new(rules_of("")));
            let refused = special(&site, rule, &others).await;
            let expected = if rule.ends_with("update_owner_provisioned") { 409 } else { 403 };
            assert_eq!(refused.code(), expected, "{rule}: {}", refused.text);
            others.push(rule);
            site.policy.store(Arc::new(rules_of("")));
            let done = special(&site, rule, &others).await;
            assert!(done.status.is_success(), "{rule}: {}", done.text);
        }
    }
    assert_eq!(count, 21);
}

#[tokio::test]
async fn owners_and_publicity_of_runbooks_have_rules_of_their_own() {
    let site = Site::with(options(), |_| Arc::new(NoAuth)).await;
    for (rule, field, value) in [
        ("baremetal:runbook:update", "description", json!("x")),
        ("baremetal:runbook:update:owner", "owner", json!("p")),
        ("baremetal:runbook:update:public", "public", json!(true)),
    ] {
        for allowed in [vec!["baremetal:runbook:get"], vec!["baremetal:runbook:get", rule]] {
            site.policy.store(Arc::new(rules_of("")));
            let (path, _) =
                Box::pin(contract::request(&site, "PATCH", "/v1/runbooks/{runbook_ident}", NEWEST)).await;
            site.policy.store(Arc::new(rules_of(&only(&allowed))));
            let body = json!([{"op": "add", "path": format!("/{field}"), "value": value}]);
            let answer = site.patch(&path, body).await;
            assert_eq!(answer.code(), if allowed.len() == 2 { 200 } else { 403 }, "{rule}: {}", answer.text);
        }
    }
}

#[tokio::test]
async fn what_is_shown_of_a_node_has_rules() {
    let site = Site::with(options(), |_| Arc::new(NoAuth)).await;
    let node = site.node(|node| {
        node.last_error = Some("hidden-1".to_owned());
        node.driver_info.set("address", json!("hidden-2"));
        node.driver_info.set("ipmi_password", json!("secret-1"));
        node.driver_internal_info.set("agent_url", json!("hidden-3"));
        node.instance_info.set("configdrive", json!("secret-2"));
        node.lease = Some(model::Lease {
            holder: "hidden-4".to_owned(),
            expires_at: model::Timestamp::from_micros(i64::MAX),
            reason: "power".to_owned(),
        });
    });
    let node: Node = node.await;
    let text = async |rules: &[&str]| {
        let rules = [rules, &["baremetal:node:get", "baremetal:node:list_all"]].concat();
        site.policy.store(Arc::new(rules_of(&only(&rules))));
        let one = site.get(&format!("/v1/nodes/{}", node.uuid)).await;
        let list = site.get("/v1/nodes/detail").await;
        let states = site.get(&format!("/v1/nodes/{}/states", node.uuid)).await;
        assert_eq!((one.code(), list.code(), states.code()), (200, 200, 403));
        for word in ["hidden-1", "hidden-2", "hidden-3", "hidden-4", "secret-1", "secret-2"] {
            assert_eq!(one.text.contains(word), list.text.contains(word), "{word}");
        }
        one.text
    };
    let shown = async |rules: &[&str]| {
        let text = text(rules).await;
        let words = ["hidden-1", "hidden-2", "hidden-3", "hidden-4", "secret-1", "secret-2"];
        words.into_iter().filter(|word| text.contains(word)).collect::<Vec<_>>()
    };
    assert_eq!(shown(&[]).await, [""; 0]);
    assert!(text(&[]).await.contains("** Redacted - requires baremetal:node:get:driver_info permission. **"));
    assert_eq!(shown(&["baremetal:node:get:last_error"]).await, ["hidden-1"]);
    assert_eq!(shown(&["baremetal:node:get:driver_info"]).await, ["hidden-2"]);
    assert_eq!(shown(&["baremetal:node:get:driver_internal_info"]).await, ["hidden-3"]);
    assert_eq!(shown(&["baremetal:node:get:reservation"]).await, ["hidden-4"]);
    let beyond = "baremetal:node:get:filter_threshold";
    assert_eq!(shown(&[beyond]).await, ["hidden-1", "hidden-2", "hidden-3", "hidden-4"]);
    assert_eq!(shown(&[beyond, "show_password"]).await.last(), Some(&"secret-1"));
    assert_eq!(shown(&["show_password"]).await, [""; 0], "what is redacted has no secrets");
    assert_eq!(shown(&["show_instance_secrets"]).await, ["secret-2"]);
}
