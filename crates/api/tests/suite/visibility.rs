//! What the default rules mean for people: owners, lessees, strangers, and those of the whole system.

use std::sync::Arc;

use model::{Node, Runbook, Timestamp};
use serde_json::{Value, json};

use crate::fixture::{SaidBy, Site, caller, options};

const ADMIN: usize = 0;
const OWNER: usize = 1;
const LESSEE: usize = 2;
const STRANGER: usize = 3;
const OWNER_READER: usize = 4;
const SYSTEM_READER: usize = 5;
const NOBODY: usize = 6;

async fn site() -> Site {
    let admin = ["admin", "manager", "member", "reader"];
    let callers = vec![
        caller(None, &admin),
        caller(Some("owner"), &admin),
        caller(Some("lessee"), &admin),
        caller(Some("stranger"), &admin),
        caller(Some("owner"), &["reader"]),
        caller(None, &["reader"]),
        caller(Some("owner"), &[]),
    ];
    Site::with(options(), |_| Arc::new(SaidBy(callers))).await
}

async fn owned(site: &Site) -> Node {
    let node = site.node(|node| {
        node.owner = Some("owner".to_owned());
        node.lessee = Some("lessee".to_owned());
        node.last_error = Some("broken".to_owned());
    });
    node.await
}

#[tokio::test]
async fn what_may_not_be_read_is_not_there() {
    let site = site().await;
    let node = owned(&site).await;
    let port = site.port(&node).await;
    for path in [format!("/v1/nodes/{}", node.uuid), format!("/v1/ports/{}", port.uuid)] {
        let get = async |number| site.call_as(number, "GET", &path, Value::Null).await;
        for number in [ADMIN, OWNER, LESSEE, OWNER_READER, SYSTEM_READER] {
            assert_eq!(get(number).await.code(), 200, "{path} {number}");
        }
        let hidden = get(STRANGER).await;
        assert_eq!(hidden.code(), 404);
        let unknown = path.replace(path.rsplit('/').next().unwrap(), &uuid::Uuid::nil().to_string());
        let absent = site.call_as(STRANGER, "GET", &unknown, Value::Null).await;
        let of = |fault: String| fault.split_whitespace().next().map(str::to_owned);
        assert_eq!(
            (absent.code(), of(absent.fault())),
            (404, of(hidden.fault())),
            "one cannot tell which it is"
        );
        assert_eq!(get(NOBODY).await.code(), 404);
    }
}

#[tokio::test]
async fn what_may_be_read_and_not_done_is_refused() {
    let site = site().await;
    let node = owned(&site).await;
    let path = format!("/v1/nodes/{}", node.uuid);
    let patch = async |number, field: &str, value: Value| {
        let body = json!([{"op": "add", "path": format!("/{field}"), "value": value}]);
        site.call_as(number, "PATCH", &path, body).await.code()
    };
    assert_eq!(patch(LESSEE, "extra/a", json!(1)).await, 200);
    assert_eq!(patch(LESSEE, "instance_info/a", json!(1)).await, 200);
    assert_eq!(patch(LESSEE, "driver_info/a", json!(1)).await, 403);
    assert_eq!(patch(OWNER, "driver_info/a", json!(1)).await, 200);
    assert_eq!(patch(OWNER, "owner", json!("stranger")).await, 403);
    assert_eq!(patch(OWNER_READER, "extra/a", json!(1)).await, 403);
    assert_eq!(patch(STRANGER, "extra/a", json!(1)).await, 404);
    assert_eq!(patch(SYSTEM_READER, "extra/a", json!(1)).await, 403);
    let power = async |number| {
        let path = format!("{path}/states/power");
        site.call_as(number, "PUT", &path, json!({"target": "power on"})).await
    };
    assert_eq!(power(LESSEE).await.code(), 202);
    let refused = power(OWNER_READER).await;
    let text = "Access was denied to the following resource: baremetal:node:set_power_state";
    assert_eq!((refused.code(), refused.fault().as_str()), (403, text));
    for path in ["/v1/chassis", "/v1/drivers", "/v1/conductors", "/v1/deploy_templates", "/v1/shards"] {
        assert_eq!(site.call_as(OWNER, "GET", path, Value::Null).await.code(), 403, "{path}");
        assert_eq!(site.call_as(SYSTEM_READER, "GET", path, Value::Null).await.code(), 200, "{path}");
    }
}

#[tokio::test]
async fn lists_show_what_reading_shows() {
    let site = site().await;
    let mine = owned(&site).await;
    let other = site.node(|node| node.owner = Some("stranger".to_owned())).await;
    let listed = async |number, query: &str| -> Result<Vec<String>, u16> {
        let answer = site.call_as(number, "GET", &format!("/v1/nodes{query}"), Value::Null).await;
        if answer.code() != 200 {
            return Err(answer.code());
        }
        let nodes = answer.json()["nodes"].as_array().unwrap().clone();
        Ok(nodes.iter().map(|node| node["uuid"].as_str().unwrap().to_owned()).collect())
    };
    let (mine, other) = (mine.uuid.to_string(), other.uuid.to_string());
    let both = Ok(vec![mine.clone(), other.clone()]);
    assert_eq!(listed(ADMIN, "").await, both);
    assert_eq!(listed(SYSTEM_READER, "").await, both);
    assert_eq!(listed(OWNER, "").await, Ok(vec![mine.clone()]));
    assert_eq!(listed(LESSEE, "?owner=stranger").await, Ok(vec![]));
    assert_eq!(listed(STRANGER, "").await, Ok(vec![other.clone()]));
    assert_eq!(listed(STRANGER, "?project=stranger").await, Ok(vec![other.clone()]));
    assert_eq!(listed(STRANGER, "?project=owner").await, Err(403));
    assert_eq!(listed(ADMIN, "?project=lessee").await, Ok(vec![mine.clone()]));
    assert_eq!(listed(STRANGER, &format!("?marker={mine}")).await, Err(404), "a hidden marker is unknown");
    assert_eq!(listed(NOBODY, "").await, Err(403));
}

#[tokio::test]
async fn lessees_see_less_of_a_node() {
    let site = site().await;
    let node = owned(&site).await;
    for path in [format!("/v1/nodes/{}", node.uuid), format!("/v1/nodes/{}/states", node.uuid)] {
        let error = async |number| {
            let answer = site.call_as(number, "GET", &path, Value::Null).await;
            answer.json()["last_error"].as_str().unwrap().to_owned()
        };
        for number in [ADMIN, OWNER, OWNER_READER, SYSTEM_READER] {
            assert_eq!(error(number).await, "broken");
        }
        assert!(error(LESSEE).await.contains("Requires baremetal:node:get:last_error"), "{path}");
    }
}

#[tokio::test]
async fn projects_enrol_nodes_of_their_own() {
    let site = site().await;
    let create = async |number, body: Value| site.call_as(number, "POST", "/v1/nodes", body).await;
    let made = create(OWNER, json!({"driver": "fake-hardware"})).await;
    assert_eq!((made.code(), &made.json()["owner"]), (201, &json!("owner")));
    assert_eq!(create(OWNER, json!({"driver": "fake-hardware", "owner": "owner"})).await.code(), 201);
    assert_eq!(create(OWNER, json!({"driver": "fake-hardware", "owner": "stranger"})).await.code(), 400);
    assert_eq!(create(OWNER_READER, json!({"driver": "fake-hardware"})).await.code(), 403);
    let free = create(ADMIN, json!({"driver": "fake-hardware", "owner": "stranger"})).await;
    assert_eq!((free.code(), &free.json()["owner"]), (201, &json!("stranger")));
    let uuid = |answer: &crate::fixture::Answer| answer.json()["uuid"].as_str().unwrap().to_owned();
    let delete = async |number, uuid: String| {
        site.call_as(number, "DELETE", &format!("/v1/nodes/{uuid}"), Value::Null).await.code()
    };
    assert_eq!(delete(OWNER, uuid(&free)).await, 404);
    assert_eq!(delete(OWNER_READER, uuid(&made)).await, 403);
    assert_eq!(delete(OWNER, uuid(&made)).await, 204);
    assert_eq!(delete(ADMIN, uuid(&free)).await, 204);
    let mut closed = options();
    closed.project_admin_can_manage_own_nodes = false;
    let callers = vec![caller(Some("owner"), &["admin", "member", "reader"])];
    let site = Site::with(closed, |_| Arc::new(SaidBy(callers))).await;
    let body = json!({"driver": "fake-hardware"});
    assert_eq!(site.call_as(0, "POST", "/v1/nodes", body).await.code(), 403);
}

#[tokio::test]
async fn runbooks_of_projects_are_their_own() {
    let site = site().await;
    let step = json!({"interface": "bios", "step": "apply", "args": {}, "order": 1});
    let create = async |number, more: Value| {
        let mut body = json!({"name": format!("r-{}", uuid::Uuid::new_v4()), "steps": [step]});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        site.call_as(number, "POST", "/v1/runbooks", body).await
    };
    let made = create(OWNER, json!({})).await;
    assert_eq!((made.code(), &made.json()["owner"]), (201, &json!("owner")), "{}", made.text);
    assert_eq!(create(OWNER, json!({"owner": "stranger"})).await.code(), 400);
    assert_eq!(create(OWNER, json!({"public": true})).await.code(), 400);
    assert_eq!(create(OWNER_READER, json!({})).await.code(), 403);
    let public = Runbook { public: true, ..Runbook::new("public", Timestamp::now()) };
    site.db.create_runbook(public).await.unwrap();
    let path = format!("/v1/runbooks/{}", made.json()["uuid"].as_str().unwrap());
    let status =
        async |number, method, path: &str, body| site.call_as(number, method, path, body).await.code();
    assert_eq!(status(OWNER_READER, "GET", &path, Value::Null).await, 200);
    assert_eq!(status(STRANGER, "GET", &path, Value::Null).await, 404);
    assert_eq!(status(STRANGER, "GET", "/v1/runbooks/public", Value::Null).await, 200);
    let patch =
        |field: &str, value: Value| json!([{"op": "add", "path": format!("/{field}"), "value": value}]);
    assert_eq!(status(OWNER, "PATCH", &path, patch("description", json!("x"))).await, 200);
    assert_eq!(status(OWNER, "PATCH", &path, patch("owner", json!("stranger"))).await, 403);
    assert_eq!(status(OWNER, "PATCH", &path, patch("public", json!(true))).await, 403);
    assert_eq!(status(OWNER_READER, "PATCH", &path, patch("description", json!("x"))).await, 403);
    assert_eq!(status(STRANGER, "DELETE", &path, Value::Null).await, 404);
    assert_eq!(status(STRANGER, "DELETE", "/v1/runbooks/public", Value::Null).await, 403);
    let listed = async |number, query: &str| {
        let answer = site.call_as(number, "GET", &format!("/v1/runbooks{query}"), Value::Null).await;
        answer.json()["runbooks"].as_array().map(Vec::len)
    };
    assert_eq!(
        (listed(OWNER, "").await, listed(STRANGER, "").await, listed(ADMIN, "").await),
        (Some(2), Some(1), Some(2))
    );
    assert_eq!(
        (listed(ADMIN, "?project=x").await, listed(STRANGER, "?project=owner").await),
        (Some(1), None)
    );
    assert_eq!(status(OWNER, "DELETE", &path, Value::Null).await, 204);
}

#[tokio::test]
async fn who_may_use_a_runbook_is_asked_of_public_ones_too() {
    let site = site().await;
    let named: model::Trait = "CUSTOM_A".parse().unwrap();
    let node = site
        .node(|node| {
            node.provision_state = model::ProvisionState::Manageable;
            node.owner = Some("owner".to_owned());
            node.traits = vec![named.clone()];
        })
        .await;
    let path = format!("/v1/nodes/{}/states/provision", node.uuid);
    for (name, owner, public) in [("shared", None, true), ("own", Some("owner"), false)] {
        let runbook = Runbook {
            public,
            owner: owner.map(str::to_owned),
            traits: vec![named.clone()],
            ..Runbook::new(name, Timestamp::now())
        };
        site.db.create_runbook(runbook).await.unwrap();
        let uses = async |number| {
            let body = json!({"target": "clean", "runbook": name});
            site.call_as(number, "PUT", &path, body).await.code()
        };
        assert_eq!(
            site.call_as(OWNER, "GET", &format!("/v1/runbooks/{name}"), Value::Null).await.code(),
            200
        );
        assert_eq!(uses(OWNER).await, if public { 403 } else { 202 }, "{name}");
        assert_eq!(uses(ADMIN).await, 202, "{name}");
    }
}

#[tokio::test]
async fn how_a_machine_booted_is_for_those_who_read_its_history() {
    let site = site().await;
    let node = owned(&site).await;
    for part in ["boot-trace", "history"] {
        let path = format!("/v1/nodes/{}/{part}", node.uuid);
        for (number, status) in [
            (ADMIN, 200),
            (SYSTEM_READER, 200),
            (OWNER, 200),
            (OWNER_READER, 200),
            (LESSEE, 403),
            (STRANGER, 404),
        ] {
            assert_eq!(
                site.call_as(number, "GET", &path, Value::Null).await.code(),
                status,
                "{part} {number}"
            );
        }
    }
}
