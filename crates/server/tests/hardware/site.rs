//! A site in one process: a store in a temporary directory, a conductor with the shipped drivers, the API's router.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use api::{ApiState, Authenticator, NoAuth, Refusal, router};
use arc_swap::ArcSwap;
use axum::Router;
use axum::body::Body;
use conductor::Conductor;
use db::{DatabaseUrl, Db, NodeKey, Scope};
use futures_util::future::BoxFuture;
use http::{HeaderMap, Request};
use http_body_util::BodyExt as _;
use model::{Lease, Node, NodeUuid, Timestamp};
use policy::Caller;
use serde_json::{Value, json};
use tempfile::TempDir;
use tower::ServiceExt as _;

pub(crate) const NEWEST: u16 = 115;
/// The interfaces that a node can do without, as fakes.
pub(crate) const FAKES: [&str; 5] = ["bios", "console", "firmware", "raid", "vendor"];

pub(crate) struct Site {
    db: Db,
    router: Router,
    conductor: Arc<Conductor>,
    _dir: TempDir,
}

/// Everybody is this caller.
struct Always(Caller);

impl Authenticator for Always {
    fn authenticate<'a>(&'a self, _: &'a HeaderMap) -> BoxFuture<'a, Result<Caller, Refusal>> {
        Box::pin(async { Ok(self.0.clone()) })
    }
}

impl Site {
    pub(crate) async fn start() -> Self {
        Self::with(|_| ()).await
    }

    /// A site all of whose requests come from `caller`.
    pub(crate) async fn of(caller: Caller) -> Self {
        Self::build(|_| (), Arc::new(Always(caller))).await
    }

    /// A site whose conductor has other settings.
    pub(crate) async fn with(change: impl FnOnce(&mut conductor::Options)) -> Self {
        Self::build(change, Arc::new(NoAuth)).await
    }

    async fn build(
        change: impl FnOnce(&mut conductor::Options),
        authenticator: Arc<dyn Authenticator>,
    ) -> Self {
        server::install_tls_provider();
        let dir = tempfile::tempdir().unwrap();
        let db = Db::open(&db::Options::new(DatabaseUrl::sqlite(dir.path().join("site.db")))).await.unwrap();
        let web = images::Web::new(images::WebOptions::default()).unwrap();
        let registry = drivers::registry(&drivers::Options {
            enabled_hardware_types: ["fake-hardware", "ipmi"].map(str::to_owned).to_vec(),
            interfaces: drivers::InterfaceChoice::default(),
            bmcs: drivers::Bmcs {
                ipmi: bmc::IpmiPool::new(bmc::Options::default()),
                redfish: bmc::redfish::RedfishPool::new(bmc::redfish::Options::default()),
            },
            redfish: drivers::RedfishOptions::default(),
            images: images::ImageCache::open(images::Options::new(dir.path().join("images")), web).unwrap(),
            images_url: "http://127.0.0.1/images".to_owned(),
            ramdisk_configured: false,
            log_dir: dir.path().join("logs"),
            step_priorities: BTreeMap::new(),
        });
        let mut options = conductor::Options { hostname: "conductor-1".to_owned(), ..Default::default() };
        change(&mut options);
        let conductor =
            Arc::new(Box::pin(Conductor::start(db.clone(), registry.unwrap(), options)).await.unwrap());
        let state = ApiState {
            db: db.clone(),
            conductors: Arc::clone(&conductor) as _,
            authenticator,
            policy: Arc::new(ArcSwap::from_pointee(policy::Policy::defaults(policy::Settings::default()))),
            options: api::Options { lock_retry: Duration::from_millis(5), ..api::Options::default() },
        };
        Self { db, router: router(state), conductor, _dir: dir }
    }

    pub(crate) async fn stop(self) {
        self.conductor.stop().await;
    }

    /// The status and the body, null when there is none.
    pub(crate) async fn call(&self, method: &str, path: &str, minor: u16, body: Value) -> (u16, Value) {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        self.raw(method, path, minor, body).await
    }

    /// With a body that need not be JSON, at the newest version.
    pub(crate) async fn text(&self, method: &str, path: &str, body: &str) -> (u16, Value) {
        self.raw(method, path, NEWEST, body.to_owned()).await
    }

    async fn raw(&self, method: &str, path: &str, minor: u16, body: String) -> (u16, Value) {
        let body = if body.is_empty() { Body::empty() } else { Body::from(body) };
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("x-openstack-ironic-api-version", format!("1.{minor}"))
            .header("content-type", "application/json")
            .header("host", "api.test:6385")
            .body(body)
            .unwrap();
        let response = Box::pin(self.router.clone().oneshot(request)).await.unwrap();
        let status = response.status().as_u16();
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        let body = if bytes.is_empty() { Value::Null } else { serde_json::from_slice(&bytes).unwrap() };
        (status, body)
    }

    /// At the newest version.
    pub(crate) async fn send(&self, method: &str, path: &str, body: Value) -> (u16, Value) {
        self.call(method, path, NEWEST, body).await
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        let (status, body) = self.send("GET", path, Value::Null).await;
        assert_eq!(status, 200, "{path}: {body}");
        body
    }

    /// The status alone.
    pub(crate) async fn code(&self, method: &str, path: &str, body: Value) -> u16 {
        self.send(method, path, body).await.0
    }

    /// A node of fake hardware, made by the API; `fakes` are the interfaces that are to be fakes, too. Its path.
    pub(crate) async fn node(&self, fakes: &[&str]) -> String {
        let mut body = json!({"driver": "fake-hardware"});
        for kind in fakes {
            body[format!("{kind}_interface")] = json!("fake");
        }
        let (status, node) = self.send("POST", "/v1/nodes", body).await;
        assert_eq!(status, 201, "{node}");
        format!("/v1/nodes/{}", node["uuid"].as_str().unwrap())
    }

    /// The same, verified.
    pub(crate) async fn manageable(&self, fakes: &[&str]) -> String {
        let path = self.node(fakes).await;
        self.order(&path, json!({"target": "manage"}), "manageable").await;
        path
    }

    /// Orders a change of the provision state and waits for where it leads.
    pub(crate) async fn order(&self, path: &str, order: Value, leads_to: &str) {
        let (status, body) = self.send("PUT", &format!("{path}/states/provision"), order).await;
        assert_eq!(status, 202, "{body}");
        self.until(path, leads_to).await;
    }

    pub(crate) async fn until(&self, path: &str, state: &str) {
        let look = async {
            loop {
                let node = self.get(path).await;
                assert_eq!(node["last_error"], Value::Null, "{node}");
                if node["provision_state"] == state && node["reservation"].is_null() {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_mins(1), look).await.unwrap();
    }

    /// The stored node behind a path.
    pub(crate) async fn stored(&self, path: &str) -> Node {
        let uuid: NodeUuid = path.rsplit('/').next().unwrap().parse().unwrap();
        self.db.get_node(&NodeKey::Uuid(uuid), &Scope::All).await.unwrap().unwrap()
    }

    /// Changes the stored node in a way that the API has no request for.
    pub(crate) async fn change(&self, path: &str, change: impl FnOnce(&mut Node)) {
        let before = self.stored(path).await;
        let mut after = before.clone();
        change(&mut after);
        Box::pin(self.db.update_node(&before, after)).await.unwrap();
    }

    /// Somebody works on the node for a while.
    pub(crate) async fn lock(&self, path: &str) {
        let lease = Lease {
            holder: "conductor-2".to_owned(),
            expires_at: Timestamp::now().plus(Duration::from_mins(10)),
            reason: "deploy".to_owned(),
        };
        self.change(path, |node| node.lease = Some(lease)).await;
    }
}
