//! Lists: pages, order, filters, shapes.

use std::collections::BTreeSet;

use model::{Fault, ProvisionState};
use serde_json::{Value, json};

use crate::fixture::Site;

/// Follows `next` from `path` to the end; the items of every page.
async fn walk(site: &Site, path: &str, key: &str) -> Vec<Vec<String>> {
    let mut pages = Vec::new();
    let mut path = path.to_owned();
    loop {
        let answer = site.get(&path).await;
        assert_eq!(answer.code(), 200, "{path}: {}", answer.text);
        let body = answer.json();
        let name = if key == "conductors" { "hostname" } else { "uuid" };
        pages.push(
            body[key]
                .as_array()
                .unwrap()
                .iter()
                .map(|item| item[name].as_str().unwrap().to_owned())
                .collect(),
        );
        match body["next"].as_str() {
            Some(next) => next.strip_prefix("http://api.test:6385").unwrap().clone_into(&mut path),
            None => return pages,
        }
    }
}

#[tokio::test]
async fn pages_are_complete_and_keep_filters() {
    let site = Site::new().await;
    let mut wanted = Vec::new();
    for number in 0..9 {
        let node = site.node(|node| {
            node.resource_class = Some(if number % 3 == 0 { "other" } else { "gold" }.to_owned());
            node.name = Some(format!("n-{}", 9 - number));
        });
        let node = node.await;
        if number % 3 != 0 {
            wanted.push(node.uuid.to_string());
        }
    }
    let pages = walk(&site, "/v1/nodes?resource_class=gold&limit=2&fields=uuid", "nodes").await;
    assert_eq!(pages.iter().map(Vec::len).collect::<Vec<_>>(), [2, 2, 2, 0]);
    assert_eq!(pages.concat(), wanted);
    let by_name =
        walk(&site, "/v1/nodes?resource_class=gold&limit=4&sort_key=name&sort_dir=desc", "nodes").await;
    assert_eq!(by_name.concat(), wanted);
    let below_max = site.get("/v1/nodes?limit=100000").await.json();
    assert_eq!((below_max["nodes"].as_array().unwrap().len(), below_max.get("next")), (9, None));
    let keys: BTreeSet<String> = site.get("/v1/nodes?limit=1&fields=name").await.json()["nodes"][0]
        .as_object()
        .unwrap()
        .keys()
        .cloned()
        .collect();
    assert_eq!(keys, BTreeSet::from(["links".to_owned(), "name".to_owned()]));
}

#[tokio::test]
async fn bad_pages_are_refused() {
    let site = Site::new().await;
    for (query, status) in [
        ("limit=0", 400),
        ("limit=-1", 400),
        ("limit=x", 400),
        ("sort_dir=up", 400),
        ("sort_key=bogus", 400),
        ("sort_key=extra", 400),
        ("sort_key=traits", 400),
        ("marker=bogus", 400),
        ("marker=1be26c0b-03f2-4d2e-ae87-c02d7f33c123", 404),
        ("bogus=1", 400),
        ("fields=bogus", 400),
        ("fields=uuid&detail=true", 400),
        ("detail=perhaps", 400),
        ("provision_state=bogus", 400),
        ("fault=bogus", 400),
        ("associated=perhaps", 400),
        ("instance_uuid=x", 400),
        ("sort_key=power_interface", 200),
        ("provision_state=ENROLL", 400),
    ] {
        assert_eq!(site.get(&format!("/v1/nodes?{query}")).await.code(), status, "{query}");
    }
    let old = async |query: &str, minor| {
        site.call("GET", &format!("/v1/nodes?{query}"), minor, Value::Null).await.code()
    };
    assert_eq!((old("detail=1", 42).await, old("detail=1", 43).await), (400, 200));
    assert_eq!((old("fields=uuid", 7).await, old("fields=uuid", 8).await), (406, 200));
    assert_eq!((old("sort_key=shard", 81).await, old("sort_key=shard", 82).await), (406, 200));
    for (name, value, min) in [
        ("provision_state", "enroll", 9),
        ("driver", "x", 16),
        ("resource_class", "x", 21),
        ("fault", "power%20failure", 42),
        ("conductor_group", "x", 46),
        ("conductor", "x", 49),
        ("owner", "x", 50),
        ("lessee", "x", 65),
        ("shard", "x", 82),
        ("sharded", "1", 82),
        ("include_children", "1", 83),
        ("instance_name", "x", 104),
    ] {
        let query = format!("{name}={value}");
        assert_eq!((old(&query, min - 1).await, old(&query, min).await), (406, 200), "{name}");
    }
    assert_eq!(site.get("/v1/nodes/detail?fields=uuid").await.code(), 400);
}

#[tokio::test]
async fn filters_of_nodes() {
    let site = Site::new().await;
    let parent = site.node(|node| {
        node.name = Some("parent".to_owned());
        node.driver = "ipmi".to_owned();
        node.owner = Some("o".to_owned());
        node.shard = Some("Rack-1".to_owned());
    });
    let parent = parent.await;
    let child = site.node(|node| {
        node.name = Some("child".to_owned());
        node.parent_node = Some(parent.uuid);
    });
    child.await;
    let busy = site.node(|node| {
        node.name = Some("busy".to_owned());
        node.provision_state = ProvisionState::Active;
        node.instance_uuid = Some("1be26c0b-03f2-4d2e-ae87-c02d7f33c123".to_owned());
        node.instance_name = Some("vm".to_owned());
        node.maintenance = true;
        node.fault = Some(Fault::Power);
        node.retired = true;
        node.lessee = Some("l".to_owned());
        node.shard = Some("rack-2".to_owned());
        node.conductor_group = "blue".to_owned();
        node.resource_class = Some("gold".to_owned());
        node.description = Some("In the Cellar".to_owned());
    });
    busy.await;
    for (query, names) in [
        ("", "busy,parent"),
        ("include_children=true", "busy,child,parent"),
        (&format!("parent_node={}", parent.uuid), "child"),
        // Whoever is no UUID is nobody's parent.
        ("parent_node=parent", ""),
        ("driver=ipmi", "parent"),
        ("provision_state=active", "busy"),
        ("associated=true", "busy"),
        ("associated=false", "parent"),
        ("maintenance=True", "busy"),
        ("fault=power%20failure", "busy"),
        ("retired=yes", "busy"),
        ("owner=o", "parent"),
        ("lessee=l", "busy"),
        ("project=l", "busy"),
        ("shard=Rack-1,x", "parent"),
        ("shard=Rack-1,rack-1,Rack-2", "busy,parent"),
        ("shard=RACK-1", ""),
        ("sharded=true", "busy,parent"),
        ("sharded=false&include_children=true", "child"),
        ("conductor_group=BLUE", "busy"),
        ("resource_class=gold", "busy"),
        ("description_contains=cellar", "busy"),
        ("instance_name=vm", "busy"),
        ("instance_uuid=1be26c0b-03f2-4d2e-ae87-c02d7f33c123", "busy"),
        ("conductor=conductor-1", "busy,parent"),
        ("conductor=other", ""),
    ] {
        let body = site.get(&format!("/v1/nodes?sort_key=name&{query}")).await.json();
        let found: Vec<&str> =
            body["nodes"].as_array().unwrap().iter().map(|node| node["name"].as_str().unwrap()).collect();
        assert_eq!(found.join(","), names, "{query}");
    }
    let shards =
        json!([{"name": "None", "count": 1}, {"name": "Rack-1", "count": 1}, {"name": "rack-2", "count": 1}]);
    let mut told = site.get("/v1/shards").await.json()["shards"].clone();
    told.as_array_mut().unwrap().sort_by_key(|shard| shard["name"].to_string());
    assert_eq!(told, shards);
    assert_eq!(site.get("/v1/nodes?sort_key=allocation_uuid").await.code(), 400);
    let one = "/v1/nodes?limit=1&instance_uuid=1be26c0b-03f2-4d2e-ae87-c02d7f33c123";
    assert!(site.get(one).await.json().get("next").is_none());
}

#[tokio::test]
async fn lists_of_ports() {
    let site = Site::new().await;
    let node = site.node(|node| {
        node.name = Some("n-1".to_owned());
        node.shard = Some("a".to_owned());
        node.conductor_group = "blue".to_owned();
    });
    let node = node.await;
    let other = site.node(|_| ()).await;
    let mine = [site.port(&node).await, site.port(&node).await, site.port(&node).await];
    site.port(&other).await;
    let uuids: Vec<String> = mine.iter().map(|port| port.uuid.to_string()).collect();
    for query in [
        format!("node={}", node.uuid),
        "node=n-1".to_owned(),
        format!("node_uuid={}", node.uuid),
        "shard=a".to_owned(),
        "conductor_groups=Blue,x".to_owned(),
    ] {
        assert_eq!(
            walk(&site, &format!("/v1/ports?{query}&limit=2"), "ports").await.concat(),
            uuids,
            "{query}"
        );
    }
    let below = walk(&site, "/v1/nodes/n-1/ports?limit=3", "ports").await;
    assert_eq!(below, [uuids.clone(), Vec::new()]);
    let upper = mine[1].address.to_string().to_uppercase();
    assert_eq!(walk(&site, &format!("/v1/ports?address={upper}"), "ports").await.concat(), uuids[1..2]);
    let short = site.get("/v1/ports").await.json();
    assert_eq!(short["ports"][0].as_object().unwrap().len(), 3);
    assert!(site.get("/v1/ports/detail").await.json()["ports"][0].get("extra").is_some());
    for (query, status) in [
        ("node=n-1&shard=a", 403),
        ("node=n-1&portgroup=1be26c0b-03f2-4d2e-ae87-c02d7f33c123", 403),
        ("conductor_groups=a&node=n-1", 400),
        ("node=none", 404),
        ("address=x", 400),
        ("sort_key=extra", 400),
        ("bogus=1", 400),
    ] {
        assert_eq!(site.get(&format!("/v1/ports?{query}")).await.code(), status, "{query}");
    }
}

#[tokio::test]
async fn lists_of_drivers_and_conductors() {
    let site = Site::new().await;
    let drivers = site.get("/v1/drivers").await.json();
    let names: Vec<&Value> =
        drivers["drivers"].as_array().unwrap().iter().map(|driver| &driver["name"]).collect();
    assert_eq!(names, [&json!("fake-hardware"), &json!("ipmi")]);
    assert_eq!(drivers["drivers"][1]["hosts"], json!(["conductor-1"]));
    assert!(drivers["drivers"][1].get("default_power_interface").is_none());
    let detailed = site.get("/v1/drivers?detail=true").await.json();
    assert_eq!(detailed["drivers"][1]["enabled_power_interfaces"], json!(["ipmitool", "other"]));
    let one = site.get("/v1/drivers/ipmi").await.json();
    assert_eq!((&one["default_power_interface"], &one["type"]), (&json!("ipmitool"), &json!("dynamic")));
    assert_eq!(site.get("/v1/drivers?type=classic").await.json(), json!({"drivers": []}));
    assert_eq!(site.get("/v1/drivers?type=other").await.code(), 400);
    assert_eq!(site.call("GET", "/v1/drivers?type=dynamic", 29, Value::Null).await.code(), 406);
    assert_eq!(site.call("GET", "/v1/drivers?fields=name", 76, Value::Null).await.code(), 406);
    assert_eq!(site.get("/v1/drivers/none").await.code(), 404);
    let properties = site.get("/v1/drivers/ipmi/properties").await.json();
    assert!(properties["ipmi_address"].is_string());

    let mut terms = Vec::new();
    for name in ["conductor-0", "conductor-2"] {
        let registration = db::Registration {
            hostname: name.to_owned(),
            conductor_group: "blue".to_owned(),
            hardware_types: Vec::new(),
        };
        terms.push(db::Term::from(&site.db.register_conductor(registration).await.unwrap()));
    }
    site.db.set_conductor_offline(&terms[1]).await.unwrap();
    let pages = walk(&site, "/v1/conductors?sort_key=hostname&limit=2", "conductors").await;
    assert_eq!(pages, [vec!["conductor-0", "conductor-1"], vec!["conductor-2"]]);
    let alive = async |name: &str| site.get(&format!("/v1/conductors/{name}")).await.json()["alive"].clone();
    assert_eq!((alive("conductor-0").await, alive("conductor-2").await), (json!(true), json!(false)));
    assert_eq!(site.get("/v1/conductors/none").await.code(), 404);
    assert_eq!(site.get("/v1/conductors?sort_key=alive").await.code(), 400);
    assert_eq!(site.get("/v1/conductors?marker=none").await.code(), 404);
}
