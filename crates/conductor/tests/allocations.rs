//! Allocations by way of the real router, with a real conductor, on both stores.
#![expect(clippy::unwrap_used, reason = "a test stops where something is missing")]

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use api::{ApiState, NoAuth, router};
use arc_swap::ArcSwap;
use axum::Router;
use axum::body::Body;
use conductor::{Conductor, Options};
use db::{DatabaseUrl, Db};
use driver::Registry;
use http::{Method, Request};
use http_body_util::BodyExt as _;
use model::{Allocation, Lease, Node, PowerState, ProvisionState, Timestamp};
use serde_json::{Value, json};
use tower::ServiceExt as _;

struct Site {
    db: Db,
    conductor: Arc<Conductor>,
    router: Router,
}

impl Site {
    async fn start(db: Db) -> Self {
        let options = Options { lock_retry: Duration::from_millis(300), ..Options::default() };
        let conductor = Arc::new(Conductor::start(db.clone(), Registry::default(), options).await.unwrap());
        let state = ApiState {
            db: db.clone(),
            conductors: Arc::clone(&conductor) as Arc<dyn conductor_api::Conductors>,
            authenticator: Arc::new(NoAuth),
            policy: Arc::new(ArcSwap::from_pointee(policy::Policy::defaults(policy::Settings::default()))),
            options: api::Options { lock_retry: Duration::from_millis(5), ..api::Options::default() },
        };
        Self { db, conductor, router: router(state) }
    }

    async fn call(&self, method: Method, path: &str, body: Value) -> (u16, Value) {
        let body = if body.is_null() { Body::empty() } else { Body::from(body.to_string()) };
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("x-openstack-ironic-api-version", "1.115")
            .header("content-type", "application/json")
            .header("host", "api.test:6385")
            .body(body)
            .unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        (status, serde_json::from_slice(&bytes).unwrap_or(Value::Null))
    }

    async fn get(&self, path: &str) -> Value {
        self.call(Method::GET, path, Value::Null).await.1
    }

    async fn ask(&self, body: Value) -> String {
        let (status, made) = self.call(Method::POST, "/v1/allocations", body).await;
        assert_eq!(status, 201, "{made}");
        made["uuid"].as_str().unwrap().to_owned()
    }

    /// The allocation once it is settled.
    async fn settled(&self, uuid: &str) -> Value {
        let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
        loop {
            let shown = self.get(&format!("/v1/allocations/{uuid}")).await;
            if shown["state"] != "allocating" {
                return shown;
            }
            assert!(tokio::time::Instant::now() < deadline, "still {shown}");
            tokio::time::sleep(Duration::from_millis(3)).await;
        }
    }

    async fn node(&self, change: impl FnOnce(&mut Node)) -> Node {
        let mut node = Node::new("test", Timestamp::now());
        node.provision_state = ProvisionState::Available;
        node.power_state = Some(PowerState::Off);
        node.resource_class = Some("gold".to_owned());
        change(&mut node);
        self.db.create_node(node).await.unwrap()
    }
}

async fn sqlite(dir: &tempfile::TempDir) -> Db {
    Db::open(&db::Options::new(DatabaseUrl::sqlite(dir.path().join("test.db")))).await.unwrap()
}

/// Fifty at once for forty nodes: each node is given once, ten find none.
async fn fifty_for_forty(db: Db) {
    let site = Arc::new(Site::start(db).await);
    for _ in 0..40 {
        site.node(|node| node.traits = vec!["CUSTOM_A".parse().unwrap()]).await;
    }
    let asked: Vec<_> = (0..50)
        .map(|_| {
            let site = Arc::clone(&site);
            tokio::spawn(async move {
                let uuid = site.ask(json!({"resource_class": "gold", "traits": ["CUSTOM_A"]})).await;
                site.settled(&uuid).await
            })
        })
        .collect();
    let (mut given, mut without) = (BTreeSet::new(), 0);
    for asked in asked {
        let settled = asked.await.unwrap();
        if settled["state"] == "active" {
            let node = settled["node_uuid"].as_str().unwrap();
            assert!(given.insert(node.to_owned()), "{node} was given twice");
            let shown = site.get(&format!("/v1/nodes/{node}")).await;
            assert_eq!(
                (&shown["allocation_uuid"], &shown["instance_uuid"]),
                (&settled["uuid"], &settled["uuid"])
            );
            assert_eq!(shown["instance_info"]["traits"], json!(["CUSTOM_A"]));
        } else {
            without += 1;
            assert_eq!(settled["node_uuid"], Value::Null);
            assert!(settled["last_error"].as_str().unwrap().contains("Failed to process allocation"));
        }
    }
    assert_eq!((given.len(), without), (40, 10));
    site.conductor.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_node_is_given_twice_on_sqlite() {
    let dir = tempfile::tempdir().unwrap();
    fifty_for_forty(sqlite(&dir).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_node_is_given_twice_on_postgres() {
    let server = lab::Postgres::start().await.unwrap();
    let url = server.create_database("allocations").await.unwrap();
    let db = Db::open(&db::Options::new(url.parse().unwrap())).await.unwrap();
    fifty_for_forty(db.clone()).await;
    db.close().await;
    server.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_reason_is_told_when_there_is_no_node() {
    let dir = tempfile::tempdir().unwrap();
    let site = Site::start(sqlite(&dir).await).await;
    let node = site.node(|_| ()).await;
    let held = site.node(|node| node.resource_class = Some("held".to_owned())).await;
    let lease = Lease {
        holder: "elsewhere".to_owned(),
        expires_at: Timestamp::now().plus(Duration::from_mins(10)),
        reason: "deploying".to_owned(),
    };
    let after = Node { lease: Some(lease), ..held.clone() };
    site.db.update_node(&held, after).await.unwrap();
    for (body, word) in [
        (json!({"resource_class": "silver"}), "no available nodes match the resource class silver"),
        (json!({"resource_class": "silver", "candidate_nodes": [node.uuid]}), "none of the requested nodes"),
        (json!({"resource_class": "gold", "traits": ["CUSTOM_A"]}), "traits CUSTOM_A"),
        (json!({"resource_class": "gold", "owner": "p"}), "no available nodes"),
        (json!({"resource_class": "held"}), "locked"),
    ] {
        let uuid = site.ask(body.clone()).await;
        let settled = site.settled(&uuid).await;
        assert_eq!(settled["state"], "error", "{body}");
        assert!(settled["last_error"].as_str().unwrap().contains(word), "{settled}");
    }
    site.conductor.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_that_is_given_back_in_time_costs_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let site = Site::start(sqlite(&dir).await).await;
    let node = site.node(|_| ()).await;
    // The lease runs out between the first and the last look.
    let lease = Lease {
        holder: "elsewhere".to_owned(),
        expires_at: Timestamp::now().plus(Duration::from_millis(200)),
        reason: "power".to_owned(),
    };
    let after = Node { lease: Some(lease), ..node.clone() };
    site.db.update_node(&node, after).await.unwrap();
    let uuid = site.ask(json!({"resource_class": "gold"})).await;
    let settled = site.settled(&uuid).await;
    assert_eq!((&settled["state"], &settled["node_uuid"]), (&json!("active"), &json!(node.uuid)));
    site.conductor.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_of_the_same_name_comes_first() {
    let dir = tempfile::tempdir().unwrap();
    let site = Site::start(sqlite(&dir).await).await;
    for index in 0..12 {
        site.node(|node| node.name = Some(format!("web-{index}"))).await;
    }
    for index in [7, 3, 11] {
        let name = format!("web-{index}");
        let uuid = site.ask(json!({"resource_class": "gold", "name": name})).await;
        let settled = site.settled(&uuid).await;
        let node = site.get(&format!("/v1/nodes/{}", settled["node_uuid"].as_str().unwrap())).await;
        assert_eq!(node["name"], name.as_str());
    }
    site.conductor.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_process_left_is_taken_up_again() {
    let dir = tempfile::tempdir().unwrap();
    let db = sqlite(&dir).await;
    // Recorded by a process that died before anybody looked for a node.
    let wish = Allocation { resource_class: Some("gold".to_owned()), ..Allocation::new(Timestamp::now()) };
    let left = db.create_allocation(wish).await.unwrap();
    let mut node = Node::new("test", Timestamp::now());
    node.provision_state = ProvisionState::Available;
    node.power_state = Some(PowerState::Off);
    node.resource_class = Some("gold".to_owned());
    let node = db.create_node(node).await.unwrap();
    let site = Site::start(db).await;
    let settled = site.settled(&left.uuid.to_string()).await;
    assert_eq!(settled["node_uuid"], json!(node.uuid));
    // Given back, the node can be had again.
    let path = format!("/v1/nodes/{}/allocation", node.uuid);
    assert_eq!(site.call(Method::DELETE, &path, Value::Null).await.0, 204);
    let uuid = site.ask(json!({"resource_class": "gold"})).await;
    assert_eq!(site.settled(&uuid).await["node_uuid"], json!(node.uuid));
    site.conductor.stop().await;
}
