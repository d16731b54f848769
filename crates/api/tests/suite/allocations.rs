//! Allocations as callers see them; the conductor that finds nodes is a knob here.

use model::{Node, ProvisionState as S};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::fixture::{NEWEST, Site, ranges};

const OBSERVED: &str = include_str!("../../../../contract/extra/field_write_status_by_version.tsv");

/// Makes an allocation that has `node`, and puts it in the open part of `route`.
pub(crate) async fn stored(site: &Site, route: &str, node: &Node) -> String {
    if !route.contains('{') {
        return route.to_owned();
    }
    let mut wish = model::Allocation::new(model::Timestamp::now());
    wish.resource_class = Some("gold".to_owned());
    let after = provision::allocation::claimed(node.clone(), &wish);
    let wish = site.db.create_allocation_for(wish, node, after).await.unwrap();
    route.replace("{allocation_ident}", &wish.uuid.to_string())
}

/// A node that somebody uses.
async fn active(site: &Site) -> Node {
    site.node(|node| {
        node.provision_state = S::Active;
        node.resource_class = Some("gold".to_owned());
        node.traits = vec!["CUSTOM_A".parse().unwrap()];
    })
    .await
}

async fn post(site: &Site, body: Value) -> crate::fixture::Answer {
    site.call("POST", "/v1/allocations", NEWEST, body).await
}

/// An allocation that has a node in `available`; its identifier, and the node.
async fn with_node(site: &Site) -> (String, Node) {
    let node = site.node_in(S::Available).await;
    let path = stored(site, "/v1/allocations/{allocation_ident}", &node).await;
    let path = path.rsplit('/').next().unwrap().to_owned();
    let node = site.get(&format!("/v1/nodes/{}", node.uuid)).await.json();
    assert_eq!(node["allocation_uuid"], json!(path));
    let key = db::NodeKey::Uuid(node["uuid"].as_str().unwrap().parse().unwrap());
    (path, site.db.get_node(&key, &db::Scope::All).await.unwrap().unwrap())
}

async fn state(site: &Site, node: &Node, change: impl FnOnce(&mut Node)) -> Node {
    let mut after = node.clone();
    change(&mut after);
    site.db.update_node(node, after).await.unwrap()
}

#[tokio::test]
async fn a_new_one_looks_for_a_node() {
    let site = Site::new().await;
    let node = site.node(|node| node.name = Some("n".to_owned())).await;
    let body = json!({
        "name": "a", "resource_class": "gold", "traits": ["CUSTOM_A"], "candidate_nodes": ["n", node.uuid],
        "extra": {"k": 1}, "owner": "p",
    });
    let answer = post(&site, body).await;
    assert_eq!(answer.code(), 201, "{}", answer.text);
    let made = answer.json();
    let uuid = made["uuid"].as_str().unwrap();
    assert_eq!(made["state"], "allocating");
    assert_eq!(made["candidate_nodes"], json!([node.uuid, node.uuid]));
    assert_eq!(
        (made["node_uuid"].clone(), made["last_error"].clone(), made["updated_at"].clone()),
        (Value::Null, Value::Null, Value::Null)
    );
    assert_eq!(answer.header("location"), Some(&*format!("http://api.test:6385/v1/allocations/{uuid}")));
    assert_eq!(site.conductors.taken(), ["allocate"]);
    for ident in [uuid, "a"] {
        assert_eq!(site.get(&format!("/v1/allocations/{ident}")).await.json(), made);
    }
    let list = site.get("/v1/allocations").await.json();
    assert_eq!(list["allocations"], json!([made]));
    let narrow = site.get("/v1/allocations/a?fields=name,state").await.json();
    assert_eq!(narrow.as_object().unwrap().len(), 3, "{narrow}");
    let old = site.call("GET", "/v1/allocations/a", 59, Value::Null).await.json();
    assert!(old.get("owner").is_none() && old.get("state").is_some());
}

#[tokio::test]
async fn what_makes_no_sense_is_refused() {
    let site = Site::new().await;
    assert_eq!(post(&site, json!({"name": "a", "resource_class": "gold"})).await.code(), 201);
    for (body, status) in [
        (json!({}), 400),
        (json!({"name": "x"}), 400),
        (json!({"resource_class": null}), 400),
        (json!({"resource_class": "c".repeat(81)}), 400),
        (json!({"resource_class": "gold", "name": "not a name"}), 400),
        (json!({"resource_class": "gold", "traits": ["bad"]}), 400),
        (json!({"resource_class": "gold", "candidate_nodes": ["nobody"]}), 400),
        (json!({"resource_class": "gold", "candidate_nodes": [1]}), 400),
        (json!({"resource_class": "gold", "uuid": "x"}), 400),
        (json!({"resource_class": "gold", "state": "active"}), 400),
        (json!({"resource_class": "gold", "bogus": 1}), 400),
        (json!({"resource_class": "gold", "name": "a"}), 409),
        (json!({"node": "nobody"}), 400),
        (json!([]), 400),
    ] {
        let answer = post(&site, body.clone()).await;
        assert_eq!(answer.code(), status, "{body} {}", answer.text);
    }
    for (path, status) in [
        ("/v1/allocations/nobody", 404),
        ("/v1/allocations/a%20b", 400),
        ("/v1/allocations?node=nobody", 400),
        ("/v1/allocations?detail=true", 400),
        ("/v1/allocations?sort_key=traits", 400),
        ("/v1/allocations?sort_key=name", 200),
    ] {
        assert_eq!(site.get(path).await.code(), status, "{path}");
    }
    let gated = site.call("GET", "/v1/allocations?owner=p", 59, Value::Null).await;
    assert_eq!(gated.code(), 406);
}

#[tokio::test]
async fn writing_answers_as_observed_at_the_ends_of_every_range() {
    let site = Site::new().await;
    let mut rows = 0;
    for row in OBSERVED.lines().filter(|row| row.starts_with("allocation\t")) {
        let cells: Vec<&str> = row.split('\t').collect();
        let (operation, field) = (cells[1], cells[2]);
        rows += 1;
        for (first, last, status) in ranges(cells[3]) {
            for minor in [first, last] {
                let value = match field {
                    "candidate_nodes" => json!([site.node(|_| ()).await.uuid]),
                    "extra" => json!({"a": 1}),
                    "name" => json!(Uuid::new_v4().simple().to_string() + "-name"),
                    "node" => json!(active(&site).await.uuid),
                    "traits" => json!(["CUSTOM_A"]),
                    "uuid" => json!(Uuid::new_v4()),
                    _ => json!("gold"),
                };
                let answer = if operation == "create" {
                    let mut body = json!({"resource_class": "gold"});
                    body[field] = value;
                    site.call("POST", "/v1/allocations", minor, body).await
                } else {
                    let (uuid, _) = with_node(&site).await;
                    let path = format!("/v1/allocations/{uuid}");
                    let patch = json!([{"op": "replace", "path": format!("/{field}"), "value": value}]);
                    site.call("PATCH", &path, minor, patch).await
                };
                // Observed with a conductor that knew no node; and patches came with the route.
                let expected = match (operation, field) {
                    ("create", "node") => {
                        if minor < 58 {
                            400
                        } else {
                            201
                        }
                    }
                    ("patch", "extra" | "name") => status,
                    ("patch", _) => {
                        if minor < 57 {
                            405
                        } else {
                            400
                        }
                    }
                    _ => status,
                };
                assert_eq!(answer.code(), expected, "1.{minor} {row}: {}", answer.text);
            }
        }
    }
    assert_eq!(rows, 16);
}

#[tokio::test]
async fn a_node_in_use_gets_its_allocation_afterwards() {
    let site = Site::new().await;
    let node = active(&site).await;
    let node = state(&site, &node, |node| node.instance_uuid = Some(Uuid::new_v4().to_string())).await;
    for (body, status, word) in [
        (json!({"resource_class": "silver"}), 400, "resource class"),
        (json!({"traits": ["CUSTOM_B"]}), 400, "traits"),
        (json!({"uuid": Uuid::new_v4()}), 409, "associated"),
    ] {
        let mut body = body;
        body["node"] = json!(node.uuid);
        let answer = post(&site, body).await;
        assert_eq!(answer.code(), status, "{}", answer.text);
        assert!(answer.fault().contains(word), "{}", answer.fault());
    }
    let idle = site.node_in(S::Available).await;
    assert_eq!(post(&site, json!({"node": idle.uuid})).await.code(), 400);
    // A refused one leaves nothing behind.
    assert_eq!(site.get("/v1/allocations").await.json()["allocations"], json!([]));

    let answer = post(&site, json!({"node": node.uuid, "resource_class": null})).await;
    assert_eq!(answer.code(), 201, "{}", answer.text);
    let made = answer.json();
    assert_eq!(made["uuid"], json!(node.instance_uuid));
    assert_eq!((&made["state"], &made["resource_class"]), (&json!("active"), &json!("gold")));
    assert_eq!(made["node_uuid"], json!(node.uuid));
    assert!(site.conductors.taken().is_empty(), "there is nothing to look for");
    let path = format!("/v1/nodes/{}/allocation", node.uuid);
    assert_eq!(site.get(&path).await.json(), made);
    let of_node = site.get(&format!("/v1/allocations?node={}", node.uuid)).await.json();
    assert_eq!(of_node["allocations"], json!([made]));
    assert_eq!(post(&site, json!({"node": node.uuid})).await.code(), 409);
}

#[tokio::test]
async fn patches_change_name_and_extra_alone() {
    let site = Site::new().await;
    let (uuid, _) = with_node(&site).await;
    let path = format!("/v1/allocations/{uuid}");
    let answer = site
        .patch(
            &path,
            json!([{"op": "add", "path": "/name", "value": "b"}, {"op": "add", "path": "/extra/k", "value": 1}]),
        )
        .await;
    let patched = answer.json();
    assert_eq!((&patched["name"], &patched["extra"]), (&json!("b"), &json!({"k": 1})));
    assert!(patched["updated_at"].is_string());
    assert_eq!(site.patch(&path, json!([])).await.code(), 200);
    for patch in [
        json!([{"op": "replace", "path": "/name", "value": "not a name"}]),
        json!([{"op": "replace", "path": "/state", "value": "error"}]),
        json!([{"op": "add", "path": "/bogus", "value": 1}]),
        json!([{"op": "remove", "path": "/extra/none"}]),
    ] {
        assert_eq!(site.patch(&path, patch.clone()).await.code(), 400, "{patch}");
    }
    let other = post(&site, json!({"name": "c", "resource_class": "gold"})).await;
    assert_eq!(other.code(), 201);
    let taken = json!([{"op": "replace", "path": "/name", "value": "c"}]);
    assert_eq!(site.patch(&path, taken).await.code(), 409);
    let gone = site.patch(&path, json!([{"op": "remove", "path": "/name"}])).await;
    assert_eq!(gone.json()["name"], Value::Null);
}

#[tokio::test]
async fn a_removal_gives_the_node_back_unless_it_is_used() {
    let site = Site::new().await;
    let delete = |path: String| {
        let site = &site;
        async move { site.call("DELETE", &path, NEWEST, Value::Null).await.code() }
    };
    let (uuid, node) = with_node(&site).await;
    let node = state(&site, &node, |node| node.provision_state = S::Active).await;
    let by_node = format!("/v1/nodes/{}/allocation", node.uuid);
    for path in [format!("/v1/allocations/{uuid}"), by_node.clone()] {
        assert_eq!(delete(path).await, 409);
    }
    let node = state(&site, &node, |node| {
        node.provision_state = S::Deploying;
        node.target_provision_state = Some(S::Active);
    })
    .await;
    assert_eq!(delete(by_node.clone()).await, 409);
    state(&site, &node, |node| node.maintenance = true).await;
    assert_eq!(delete(by_node.clone()).await, 204);
    assert_eq!(site.get(&format!("/v1/allocations/{uuid}")).await.code(), 404);
    let shown = site.get(&format!("/v1/nodes/{}", node.uuid)).await.json();
    assert_eq!((&shown["allocation_uuid"], &shown["instance_uuid"]), (&Value::Null, &Value::Null));
    assert_eq!(delete(by_node.clone()).await, 404);
    assert_eq!(site.get(&by_node).await.code(), 404);

    let (uuid, _) = with_node(&site).await;
    assert_eq!(delete(format!("/v1/allocations/{uuid}")).await, 204);
    // One that never had a node.
    assert_eq!(post(&site, json!({"name": "a", "resource_class": "gold"})).await.code(), 201);
    assert_eq!(delete("/v1/allocations/a".to_owned()).await, 204);
    assert_eq!(delete("/v1/allocations/a".to_owned()).await, 404);
}

#[tokio::test]
async fn a_node_that_loses_its_instance_or_goes_takes_the_allocation_along() {
    let site = Site::new().await;
    let (uuid, node) = with_node(&site).await;
    let path = format!("/v1/nodes/{}", node.uuid);
    let owner = json!([{"op": "add", "path": "/owner", "value": "q"}]);
    assert_eq!(site.patch(&path, owner.clone()).await.code(), 200, "nobody owns the allocation");
    let removal = json!([{"op": "remove", "path": "/instance_uuid"}]);
    let answer = site.patch(&path, removal).await;
    assert_eq!((answer.code(), &answer.json()["allocation_uuid"]), (200, &Value::Null));
    assert_eq!(site.get(&format!("/v1/allocations/{uuid}")).await.code(), 404);

    let node = site.node_in(S::Active).await;
    let made = post(&site, json!({"node": node.uuid, "owner": "p"})).await;
    assert_eq!(made.code(), 201, "{}", made.text);
    let path = format!("/v1/nodes/{}", node.uuid);
    assert_eq!(site.patch(&path, owner).await.code(), 409, "the allocation has an owner");
    assert_eq!(site.call("DELETE", &path, NEWEST, Value::Null).await.code(), 409);
    let maintenance = format!("{path}/maintenance");
    assert_eq!(site.call("PUT", &maintenance, NEWEST, Value::Null).await.code(), 202);
    assert_eq!(site.call("DELETE", &path, NEWEST, Value::Null).await.code(), 204);
    let uuid = made.json()["uuid"].as_str().unwrap().to_owned();
    assert_eq!(site.get(&format!("/v1/allocations/{uuid}")).await.code(), 404);
}
