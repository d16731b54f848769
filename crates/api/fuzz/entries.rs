//! What fuzzing calls: each takes any bytes and must neither panic nor break an invariant. Shared by the libFuzzer targets
//! and by tests/suite/random.rs; whoever includes it has the modules `fixture` and `conductors` of tests/suite.

use std::sync::OnceLock;

use api_types::{CHASSIS, NODE, PORT, Patch, Resource, create};
use microversion::Version;
use model::{Chassis, MacAddr, Node, Port, Timestamp};
use serde_json::Value;
use tokio::runtime::Runtime;

use crate::fixture::Site;

/// A node, its name, and a runtime: made once.
fn site() -> &'static (Runtime, Site) {
    static SITE: OnceLock<(Runtime, Site)> = OnceLock::new();
    SITE.get_or_init(|| {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
        let site = runtime.block_on(async {
            let site = Site::new().await;
            let node = site.node(|node| node.name = Some("n".to_owned())).await;
            site.port(&node).await;
            site
        });
        (runtime, site)
    })
}

const METHODS: [&str; 5] = ["GET", "POST", "PUT", "PATCH", "DELETE"];

/// A request: a byte for the method, one for the version, a path with its query up to the first NUL, and a body.
///
/// It has an answer that is not our fault, and whose body is JSON.
pub(crate) fn request(data: &[u8]) {
    let [method, minor, rest @ ..] = data else { return };
    let mut parts = rest.splitn(2, |byte| *byte == 0);
    let path = parts.next().unwrap_or_default();
    let body = parts.next().unwrap_or_default().to_vec();
    let (runtime, site) = site();
    let request = http::Request::builder()
        .method(METHODS[usize::from(*method) % METHODS.len()])
        .uri(format!("/v1/{}", String::from_utf8_lossy(path)))
        .header("x-openstack-ironic-api-version", format!("1.{}", u16::from(*minor) % 115 + 1))
        .body(body.into());
    // What is no URI does not come through the server's parser either.
    let Ok(request) = request else { return };
    let answer = runtime.block_on(site.send(request));
    assert!(answer.code() < 500, "{}", answer.text);
    assert!(answer.text.is_empty() || serde_json::from_str::<Value>(&answer.text).is_ok(), "{}", answer.text);
}

/// A body: a byte for the version, then text that is taken as what things are made of and as a patch of them.
///
/// What is made of it can be written, and is JSON.
pub(crate) fn body(data: &[u8]) {
    let [minor, text @ ..] = data else { return };
    let Some(version) = Version::new(u16::from(*minor) % 115 + 1) else { return };
    let Ok(value) = serde_json::from_slice::<Value>(text) else { return };
    let now = Timestamp::from_micros(0);
    let node = Node::new("fake-hardware", now);
    make(&PORT, Port::new(node.uuid, MacAddr::new([2; 6]), now), &value, version);
    make(&CHASSIS, Chassis::new(now), &value, version);
    make(&NODE, node, &value, version);
}

fn make<T: Clone>(resource: &Resource<T>, item: T, value: &Value, version: Version) {
    let nobody = |_: &Node| None;
    let now = Timestamp::from_micros(0);
    let cx = api_types::Context {
        base: "http://a",
        version,
        now,
        reveal: true,
        shown: &api_types::Shown::default(),
        conductor_of: &nobody,
        alive_since: now,
    };
    let mut made = Vec::new();
    if let Value::Object(map) = value {
        let mut new = item.clone();
        if create(resource, &mut new, map.clone(), version).is_ok() {
            made.push(new);
        }
    }
    if let Ok(patch) = Patch::parse(value.clone())
        && patch.check(resource, version).is_ok()
        && let Ok(patched) = patch.apply(resource, &item, &cx)
    {
        made.push(patched);
    }
    let selection = api_types::Selection::new(resource, &api_types::Shape::Full, version).expect("a shape");
    for item in made {
        let mut out = api_types::Writer::with_capacity(1024);
        selection.write(&item, &cx, &mut out);
        let text = String::from_utf8(out.into_bytes()).expect("UTF-8");
        assert!(serde_json::from_str::<Value>(&text).is_ok(), "{text}");
    }
}
