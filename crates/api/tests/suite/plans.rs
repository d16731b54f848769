//! Deploy templates, runbooks, inspection rules, and the small collections: shards, children, inventories, events.

use model::{
    DeployTemplate, InspectionRule, JsonList, JsonObject, Node, NodeInventory, PlannedStep, Runbook,
    Timestamp,
};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::fixture::{NEWEST, Site, ranges};

const OBSERVED: &str = include_str!("../../../../contract/extra/field_write_status_by_version.tsv");

/// A trait name that nothing has yet; a runbook may be called so in every version.
fn fresh() -> String {
    format!("CUSTOM_{}", Uuid::new_v4().simple().to_string().to_uppercase())
}

fn steps() -> Vec<PlannedStep> {
    vec![PlannedStep {
        interface: "bios".to_owned(),
        step: "apply".to_owned(),
        args: JsonObject::parse(r#"{"password": "hunter2", "x": 1}"#).unwrap(),
        priority: 5,
    }]
}

/// The path of a stored resource of the kind that `route` is about, in place of the route's open part.
pub(crate) async fn stored(site: &Site, route: &str, node: &Node) -> String {
    let now = Timestamp::now();
    if route.contains("{template_ident}") {
        let template = DeployTemplate { steps: steps(), ..DeployTemplate::new(fresh(), now) };
        let template = site.db.create_deploy_template(template).await.unwrap();
        return route.replace("{template_ident}", &template.uuid.to_string());
    }
    if route.contains("{runbook_ident}") {
        let runbook = Runbook { steps: steps(), ..Runbook::new(fresh(), now) };
        let runbook = site.db.create_runbook(runbook).await.unwrap();
        return route.replace("{runbook_ident}", &runbook.uuid.to_string());
    }
    if route.contains("/inspection_rules/{uuid}") {
        let actions = JsonList::from(vec![json!({"op": "fail", "args": {"msg": "no"}})]);
        let rule = InspectionRule { actions, ..InspectionRule::new(now) };
        let rule = site.db.create_inspection_rule(rule).await.unwrap();
        return route.replace("{uuid}", &rule.uuid.to_string());
    }
    if route.contains("/allocation") {
        return crate::allocations::stored(site, route, node).await;
    }
    if route.ends_with("/inventory") {
        site.db.put_inventory(node.uuid, NodeInventory::default()).await.unwrap();
    }
    route.to_owned()
}

/// What a request to `route` sends, when it is about these resources.
pub(crate) fn body(method: &str, route: &str) -> Option<Value> {
    let step = |turn: &str| json!({"interface": "bios", "step": "apply", "args": {}, turn: 1});
    Some(match (method, route) {
        ("POST", "/v1/deploy_templates") => json!({"name": fresh(), "steps": [step("priority")]}),
        ("POST", "/v1/runbooks") => json!({"name": fresh(), "steps": [step("order")]}),
        ("POST", "/v1/inspection_rules") => {
            json!({"conditions": [], "actions": [{"op": "log", "args": {"msg": "here"}}]})
        }
        ("PATCH", "/v1/inspection_rules/{uuid}") => {
            json!([{"op": "replace", "path": "/priority", "value": 5}])
        }
        ("POST", "/v1/continue_inspection") => {
            json!({"inventory": {"interfaces": [{"mac_address": "52:54:00:12:34:56"}]}, "error": null})
        }
        ("POST", "/v1/allocations") => json!({"resource_class": "gold"}),
        ("POST", "/v1/events") => json!({"events": [event()]}),
        _ => return None,
    })
}

fn event() -> Value {
    json!({
        "event": "network.bind_port",
        "port_id": Uuid::new_v4(),
        "mac_address": "52:54:00:12:34:56",
        "status": "ACTIVE",
        "device_id": null,
        "binding:host_id": "host",
    })
}

pub(crate) fn value(resource: &str, field: &str) -> Value {
    match field {
        "uuid" => json!(Uuid::new_v4()),
        "name" => json!(fresh()),
        "extra" => json!({"a": 1}),
        "public" | "disable_ramdisk" | "sensitive" => json!(true),
        "priority" => json!(7),
        "phase" => json!("main"),
        "traits" => json!(["CUSTOM_A"]),
        "actions" => json!([{"op": "add-trait", "args": {"name": "CUSTOM_A"}}]),
        "conditions" => json!([{"op": "!eq", "args": {"values": [1, 2]}}]),
        "steps" => body("POST", &format!("/v1/{resource}s")).unwrap()["steps"].clone(),
        _ => json!("text"),
    }
}

/// The route of one object of `resource`.
fn route(resource: &str) -> Option<&'static str> {
    match resource {
        "deploy_template" => Some("/v1/deploy_templates/{template_ident}"),
        "runbook" => Some("/v1/runbooks/{runbook_ident}"),
        "inspection_rule" => Some("/v1/inspection_rules/{uuid}"),
        _ => None,
    }
}

#[tokio::test]
async fn writing_answers_as_observed_at_the_ends_of_every_range() {
    let site = Site::new().await;
    let node = site.node(|_| ()).await;
    let mut rows = 0;
    for row in OBSERVED.lines().skip(1) {
        let cells: Vec<&str> = row.split('\t').collect();
        let (resource, operation, field) = (cells[0], cells[1], cells[2]);
        let Some(one) = route(resource) else { continue };
        // No field of that name can be patched: 400, as everywhere else.
        let refused =
            resource == "inspection_rule" && operation == "patch" && ["uuid", "scope"].contains(&field);
        rows += 1;
        for (first, last, status) in ranges(cells[3]) {
            for minor in [first, last] {
                let answer = if operation == "create" {
                    let path = format!("/v1/{resource}s");
                    let mut body = body("POST", &path).unwrap();
                    body[field] = value(resource, field);
                    site.call("POST", &path, minor, body).await
                } else {
                    let patch = json!([{"op": "replace", "path": format!("/{field}"), "value": value(resource, field)}]);
                    site.call("PATCH", &stored(&site, one, &node).await, minor, patch).await
                };
                let expected = if refused { 400 } else { status };
                assert_eq!(answer.code(), expected, "1.{minor} {row}: {}", answer.text);
            }
        }
    }
    assert_eq!(rows, 44);
}

#[tokio::test]
async fn a_template_lives() {
    let site = Site::new().await;
    let body = json!({
        "name": "CUSTOM_BIOS",
        "steps": [{"interface": "bios", "step": "apply", "args": {"api_token": "t", "x": 1}, "priority": "150"}],
    });
    let made = site.call("POST", "/v1/deploy_templates", NEWEST, body.clone()).await;
    assert_eq!(made.code(), 201, "{}", made.text);
    let uuid = made.json()["uuid"].as_str().unwrap().to_owned();
    let url = format!("http://api.test:6385/v1/deploy_templates/{uuid}");
    assert_eq!(made.header("location"), Some(url.as_str()));
    assert_eq!(made.json()["links"][0]["href"], url);
    assert_eq!(
        made.json()["steps"],
        json!([{"interface": "bios", "step": "apply", "args": {"api_token": "******", "x": 1}, "priority": 150}])
    );
    assert_eq!(site.call("POST", "/v1/deploy_templates", NEWEST, body).await.code(), 409);
    assert_eq!(site.get("/v1/deploy_templates/CUSTOM_BIOS").await.json()["uuid"], json!(uuid));
    let path = format!("/v1/deploy_templates/{uuid}");
    let patch = json!([
        {"op": "replace", "path": "/steps/0/priority", "value": 0},
        {"op": "add", "path": "/extra/a", "value": 1},
    ]);
    let changed = site.patch(&path, patch).await.json();
    assert_eq!((&changed["steps"][0]["priority"], &changed["extra"]), (&json!(0), &json!({"a": 1})));
    assert!(changed["updated_at"].is_string());
    // A patch that touches the steps keeps the secret that it was not shown.
    let key = db::DeployTemplateKey::Name("CUSTOM_BIOS".to_owned());
    let template = site.db.get_deploy_template(&key).await.unwrap().unwrap();
    assert_eq!(template.steps[0].args.get_str("api_token").as_deref(), Some("t"));
    for (patch, part) in [
        (json!([{"op": "remove", "path": "/steps/0"}]), "/steps: expected 1 to 256"),
        (json!([{"op": "remove", "path": "/name"}]), "/name: it is required"),
        (json!([{"op": "replace", "path": "/name", "value": "lower"}]), "/name: 'lower' is not a trait"),
        (
            json!([{"op": "replace", "path": "/steps/0/interface", "value": "x"}]),
            "/steps/0/interface: expected one of",
        ),
        (json!([{"op": "replace", "path": "/steps", "value": null}]), "/steps: it is required"),
    ] {
        let answer = site.patch(&path, patch).await;
        assert_eq!(answer.code(), 400, "{}", answer.text);
        assert!(answer.fault().contains(part), "{}", answer.fault());
    }
    assert_eq!(site.call("DELETE", &path, NEWEST, Value::Null).await.code(), 204);
    assert_eq!(site.get(&path).await.code(), 404);
    assert_eq!(site.call("DELETE", &path, NEWEST, Value::Null).await.code(), 404);
}

#[tokio::test]
async fn bad_bodies_are_never_the_services_fault() {
    let site = Site::new().await;
    let long = "x".repeat(300);
    for path in ["/v1/deploy_templates", "/v1/runbooks", "/v1/inspection_rules"] {
        for field in [
            "name",
            "steps",
            "actions",
            "conditions",
            "priority",
            "uuid",
            "extra",
            "public",
            "phase",
            "owner",
        ] {
            for value in [
                json!(null),
                json!(1),
                json!(-1),
                json!("x y"),
                json!([]),
                json!([1]),
                json!({}),
                json!(long),
            ] {
                let mut bad = body("POST", path).unwrap();
                bad[field] = value;
                let answer = site.call("POST", path, NEWEST, bad.clone()).await;
                assert!([201, 400].contains(&answer.code()), "{path} {bad}: {}", answer.text);
            }
            let mut less = body("POST", path).unwrap();
            if less.as_object_mut().unwrap().remove(field).is_some() {
                let expected = if field == "conditions" { 201 } else { 400 };
                assert_eq!(site.call("POST", path, NEWEST, less).await.code(), expected, "{path} {field}");
            }
        }
        for bad in [json!([]), json!("x"), json!(1)] {
            assert_eq!(site.call("POST", path, NEWEST, bad).await.code(), 400);
        }
    }
}

#[tokio::test]
async fn identifiers_and_orders() {
    let site = Site::new().await;
    let node = site.node(|_| ()).await;
    for resource in ["deploy_template", "runbook", "inspection_rule"] {
        let paths = [
            stored(&site, route(resource).unwrap(), &node).await,
            stored(&site, route(resource).unwrap(), &node).await,
        ];
        let code = async |path: String| site.get(&path).await.code();
        let list = format!("/v1/{resource}s");
        assert_eq!(code(format!("{list}/{}", Uuid::new_v4())).await, 404);
        assert_eq!(code(format!("{list}/{}", Uuid::new_v4().simple())).await, 404);
        let name = code(format!("{list}/no-such")).await;
        assert_eq!(name, if resource == "inspection_rule" { 400 } else { 404 });
        assert_eq!(code(format!("{list}?sort_key=uuid&sort_dir=desc&limit=1")).await, 200);
        for bad in ["sort_key=extra", "sort_key=steps", "sort_key=actions", "bogus=1", "fields=bogus"] {
            assert_eq!(code(format!("{list}?{bad}")).await, 400, "{resource} {bad}");
        }
        // Templates are looked up by their markers, whatever these look like.
        let marker = if resource == "deploy_template" { 404 } else { 400 };
        assert_eq!(code(format!("{list}?marker=x")).await, marker, "{resource}");
        assert_eq!(code(format!("{list}?marker={}", Uuid::new_v4())).await, 404);
        let first = site.get(&format!("{list}?limit=1")).await.json();
        assert_eq!(first[format!("{resource}s")][0]["uuid"], paths[0].rsplit('/').next().unwrap());
        let next = first["next"].as_str().unwrap().strip_prefix("http://api.test:6385").unwrap();
        let second = site.get(next).await.json();
        assert_eq!(second[format!("{resource}s")][0]["uuid"], paths[1].rsplit('/').next().unwrap());
        let whole = site.get(&format!("{list}?detail=true")).await.json();
        assert!(whole[format!("{resource}s")][1]["created_at"].is_string() && whole.get("next").is_none());
    }
}

#[tokio::test]
async fn public_runbooks_have_no_owner() {
    let site = Site::new().await;
    let mut body = body("POST", "/v1/runbooks").unwrap();
    body["name"] = json!("restart-everything");
    assert_eq!(site.call("POST", "/v1/runbooks", 111, body.clone()).await.code(), 400);
    body["owner"] = json!("p");
    body["public"] = json!(true);
    assert_eq!(site.call("POST", "/v1/runbooks", NEWEST, body.clone()).await.code(), 400);
    body["public"] = json!(false);
    let made = site.call("POST", "/v1/runbooks", NEWEST, body).await;
    assert_eq!(made.code(), 201, "{}", made.text);
    let path = "/v1/runbooks/restart-everything";
    for (project, count) in [("p", 1), ("q", 0)] {
        let list = site.get(&format!("/v1/runbooks?project={project}")).await.json();
        assert_eq!(list["runbooks"].as_array().unwrap().len(), count);
    }
    let public = site.patch(path, json!([{"op": "replace", "path": "/public", "value": true}])).await.json();
    assert_eq!((&public["public"], &public["owner"]), (&json!(true), &Value::Null));
    let owner = json!([{"op": "add", "path": "/owner", "value": "p"}]);
    assert_eq!(site.patch(path, owner).await.code(), 400);
    let list = site.get("/v1/runbooks?project=q").await.json();
    assert_eq!(list["runbooks"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn traits_of_runbooks() {
    let site = Site::new().await;
    let node = site.node(|_| ()).await;
    let path = format!("{}/traits", stored(&site, route("runbook").unwrap(), &node).await);
    let call =
        async |method: &str, path: &str, body: Value| site.call(method, path, NEWEST, body).await.code();
    let traits = async || site.get(&path).await.json()["traits"].clone();
    assert_eq!(call("PUT", &path, json!({"traits": ["CUSTOM_B", "CUSTOM_A", "CUSTOM_B"]})).await, 204);
    assert_eq!(traits().await, json!(["CUSTOM_A", "CUSTOM_B"]));
    assert_eq!(call("PUT", &format!("{path}/CUSTOM_C"), Value::Null).await, 204);
    assert_eq!(call("DELETE", &format!("{path}/CUSTOM_A"), Value::Null).await, 204);
    assert_eq!(call("DELETE", &format!("{path}/CUSTOM_A"), Value::Null).await, 204);
    assert_eq!(traits().await, json!(["CUSTOM_B", "CUSTOM_C"]));
    for bad in [json!({}), json!({"traits": ["x"]}), json!({"traits": [1]}), json!({"traits": [], "x": 1})] {
        assert_eq!(call("PUT", &path, bad.clone()).await, 400, "{bad}");
    }
    assert_eq!(call("PUT", &format!("{path}/lower"), Value::Null).await, 400);
    assert_eq!(call("DELETE", &path, Value::Null).await, 204);
    assert_eq!(traits().await, json!([]));
}

#[tokio::test]
async fn sensitive_rules_stay_so() {
    let site = Site::new().await;
    let node = site.node(|_| ()).await;
    let path = stored(&site, route("inspection_rule").unwrap(), &node).await;
    assert_eq!(site.get(&path).await.json()["actions"][0]["op"], "fail");
    let hidden =
        site.patch(&path, json!([{"op": "replace", "path": "/sensitive", "value": true}])).await.json();
    assert_eq!((&hidden["actions"], &hidden["conditions"]), (&Value::Null, &Value::Null));
    // What is not shown can still be added to.
    let more = json!([{"op": "add", "path": "/actions/-", "value": {"op": "log", "args": {"msg": "m"}}}]);
    assert_eq!(site.patch(&path, more).await.code(), 200);
    let uuid = path.rsplit('/').next().unwrap().parse().unwrap();
    assert_eq!(site.db.get_inspection_rule(uuid).await.unwrap().unwrap().actions.to_vec().len(), 2);
    for op in [
        json!({"op": "replace", "path": "/sensitive", "value": false}),
        json!({"op": "remove", "path": "/sensitive"}),
    ] {
        assert_eq!(site.patch(&path, json!([op])).await.code(), 400);
    }
    for (field, value) in [("priority", json!(10_000)), ("priority", json!(-1)), ("phase", json!("early"))] {
        let patch = json!([{"op": "replace", "path": format!("/{field}"), "value": value}]);
        assert_eq!(site.patch(&path, patch).await.code(), 400, "{field}");
    }
}

#[tokio::test]
async fn discovery_names_each_collection_from_its_version_on() {
    let site = Site::new().await;
    for (name, min) in
        [("events", 54), ("deploy_templates", 55), ("shards", 82), ("runbooks", 92), ("inspection_rules", 96)]
    {
        let shows =
            async |minor| site.call("GET", "/v1", minor, Value::Null).await.json().get(name).is_some();
        assert!(shows(min).await && !shows(min - 1).await, "{name}");
    }
}

#[tokio::test]
async fn shards_are_counted() {
    let site = Site::new().await;
    assert_eq!(site.get("/v1/shards").await.json(), json!({"shards": []}));
    for shard in [None, Some("a"), Some("a")] {
        site.node(|node| node.shard = shard.map(str::to_owned)).await;
    }
    let expected = json!({"shards": [{"name": "None", "count": 1}, {"name": "a", "count": 2}]});
    assert_eq!(site.get("/v1/shards").await.json(), expected);
    assert_eq!(site.get("/v1/shards/a").await.code(), 404);
}

#[tokio::test]
async fn children_are_listed() {
    let site = Site::new().await;
    let parent = site.node(|node| node.name = Some("parent".to_owned())).await;
    let child = site.node(|node| node.parent_node = Some(parent.uuid)).await;
    let href = format!("http://api.test:6385/v1/nodes?parent_node={}", parent.uuid);
    assert_eq!(
        site.get("/v1/nodes/parent/children").await.json(),
        json!({"children": [child.uuid], "links": {"href": href, "rel": "children"}})
    );
    let none = site.get(&format!("/v1/nodes/{}/children", child.uuid)).await.json();
    assert_eq!(none["children"], json!([]));
}

#[tokio::test]
async fn an_inventory_is_shown_once_there_is_one() {
    let site = Site::new().await;
    let node = site.node(|_| ()).await;
    let path = format!("/v1/nodes/{}/inventory", node.uuid);
    assert_eq!(site.get(&path).await.code(), 404);
    let inventory = JsonObject::parse(r#"{"cpu": {"count": 4}}"#).unwrap();
    site.db.put_inventory(node.uuid, NodeInventory { inventory, ..NodeInventory::default() }).await.unwrap();
    let expected = json!({"inventory": {"cpu": {"count": 4}}, "plugin_data": {}});
    assert_eq!(site.get(&path).await.json(), expected);
}

#[tokio::test]
async fn events_are_checked() {
    let site = Site::new().await;
    let code = async |body: Value| site.call("POST", "/v1/events", NEWEST, body).await.code();
    assert_eq!(code(json!({"events": [event(), event()]})).await, 204);
    let with = |key: &str, value: Value| {
        let mut event = event();
        event[key] = value;
        json!({"events": [event]})
    };
    for bad in [
        json!({}),
        json!({"events": []}),
        json!({"events": {}}),
        json!({"events": ["x"]}),
        json!({"events": [event()], "x": 1}),
        json!({"events": [{"event": "network.bind_port"}]}),
        with("event", json!("network.fly")),
        with("port_id", json!("x")),
        with("mac_address", json!("x")),
        with("status", json!(1)),
        with("status", Value::Null),
        with("device_id", json!(1)),
        with("bogus", json!("x")),
    ] {
        assert_eq!(code(bad.clone()).await, 400, "{bad}");
    }
}

#[tokio::test]
async fn others_than_administrators_see_nothing() {
    let site = Site::with(crate::fixture::options(), |_| std::sync::Arc::new(Outsider)).await;
    for path in ["/v1/deploy_templates", "/v1/runbooks", "/v1/inspection_rules", "/v1/shards"] {
        assert_eq!(site.get(path).await.code(), 403, "{path}");
    }
    let event = json!({"events": [event()]});
    assert_eq!(site.call("POST", "/v1/events", NEWEST, event).await.code(), 403);
    let private = Runbook { steps: steps(), ..Runbook::new("private", Timestamp::now()) };
    let public = Runbook { steps: steps(), public: true, ..Runbook::new("public", Timestamp::now()) };
    for runbook in [private, public] {
        site.db.create_runbook(runbook).await.unwrap();
    }
    assert_eq!(site.get("/v1/runbooks/private").await.code(), 404);
    assert_eq!(site.get("/v1/runbooks/public").await.code(), 200);
    assert_eq!(site.call("DELETE", "/v1/runbooks/public", NEWEST, Value::Null).await.code(), 403);
    let patch = json!([{"op": "add", "path": "/extra/a", "value": 1}]);
    assert_eq!(site.patch("/v1/runbooks/public", patch).await.code(), 403);
}

/// Everybody is somebody of one project.
struct Outsider;

impl api::Authenticator for Outsider {
    fn authenticate<'a>(
        &'a self,
        _: &'a http::HeaderMap,
    ) -> futures_util::future::BoxFuture<'a, Result<policy::Caller, api::Refusal>> {
        Box::pin(async { Ok(policy::Caller { project: Some("p".to_owned()), ..policy::Caller::default() }) })
    }
}
