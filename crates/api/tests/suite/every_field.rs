//! Every row of contract/fields.tsv on the wire, for all of its resources: type, default, version, place in short lists,
//! what is refused, and what the state of a node allows.

use std::collections::{BTreeMap, BTreeSet};

use model::{BiosSetting, FirmwareComponent, Node, PowerState, ProvisionState, Timestamp};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::conductors::HOST;
use crate::fixture::{NEWEST, Site, address};
use crate::{contract, parts, plans};

const FIELDS: &str = include_str!("../../../../contract/fields.tsv");
const STATES: &str = include_str!("../../../../contract/states_meta.tsv");

/// One row.
#[derive(Debug, Clone, Copy)]
struct Row {
    resource: &'static str,
    field: &'static str,
    ty: &'static str,
    read: Option<u16>,
    create: bool,
    patch: bool,
    refused: &'static str,
    default: &'static str,
    short: bool,
}

fn rows() -> impl Iterator<Item = Row> {
    FIELDS.lines().skip(1).map(|line| {
        let cells: Vec<&str> = line.split('\t').collect();
        Row {
            resource: cells[0],
            field: cells[1],
            ty: cells[2],
            read: cells[3].strip_prefix("1.").map(|minor| minor.parse().unwrap()),
            create: cells[4].starts_with("yes"),
            patch: cells[5].starts_with("yes"),
            refused: cells[6],
            default: cells[7],
            short: cells[8] == "yes",
        }
    })
}

/// Where the objects of a resource are: collection, and the first version that has it.
fn collection(resource: &str) -> (&'static str, u16) {
    match resource {
        "node" => ("/v1/nodes", 1),
        "port" => ("/v1/ports", 1),
        "portgroup" => ("/v1/portgroups", 23),
        "chassis" => ("/v1/chassis", 1),
        "volume_connector" => ("/v1/volume/connectors", 32),
        "volume_target" => ("/v1/volume/targets", 32),
        "allocation" => ("/v1/allocations", 52),
        "deploy_template" => ("/v1/deploy_templates", 55),
        "runbook" => ("/v1/runbooks", 92),
        "inspection_rule" => ("/v1/inspection_rules", 96),
        "driver" => ("/v1/drivers", 1),
        "conductor" => ("/v1/conductors", 49),
        "node_history" => ("/v1/nodes/{}/history", 78),
        "node_states" => ("/v1/nodes/{}/states", 1),
        "bios_setting" => ("/v1/nodes/{}/bios", 40),
        "firmware_component" => ("/v1/nodes/{}/firmware", 86),
        other => panic!("{other}"),
    }
}

/// Resources that callers make.
const MADE: [&str; 10] = [
    "node",
    "port",
    "portgroup",
    "chassis",
    "volume_connector",
    "volume_target",
    "allocation",
    "deploy_template",
    "runbook",
    "inspection_rule",
];

/// The least that makes one.
fn least(resource: &str, node: &Node) -> Value {
    let path = collection(resource).0;
    match resource {
        "node" => json!({"driver": "fake-hardware"}),
        "port" => json!({"node_uuid": node.uuid, "address": address().to_string()}),
        _ => plans::body("POST", path).unwrap_or_else(|| parts::body(path, node)),
    }
}

/// A node that is off, with a history, settings and firmware.
async fn populated(site: &Site) -> Node {
    let node = site.node(|node| node.power_state = Some(PowerState::Off)).await;
    let now = Timestamp::now();
    site.db.put_bios_settings(node.uuid, vec![BiosSetting::new("Boot", None, now)]).await.unwrap();
    site.db.note_firmware(node.uuid, vec![FirmwareComponent::new("bmc", None, now)]).await.unwrap();
    contract::history(site, &node).await;
    node
}

/// The path of the one object of each resource, all of them made with the least.
async fn one_of_each(site: &Site) -> BTreeMap<&'static str, String> {
    let node = populated(site).await;
    let mut paths = BTreeMap::new();
    for resource in rows().map(|row| row.resource).collect::<BTreeSet<_>>() {
        let (path, _) = collection(resource);
        let path = path.replace("{}", &node.uuid.to_string());
        let one = match resource {
            resource if MADE.contains(&resource) => {
                let answer = site.call("POST", &path, NEWEST, least(resource, &node)).await;
                assert_eq!(answer.code(), 201, "{resource}: {}", answer.text);
                format!("{path}/{}", answer.json()["uuid"].as_str().unwrap())
            }
            "driver" => format!("{path}/fake-hardware"),
            "conductor" => format!("{path}/{HOST}"),
            "node_history" => {
                let list = site.get(&path).await.json();
                format!("{path}/{}", list["history"][0]["uuid"].as_str().unwrap())
            }
            "bios_setting" => format!("{path}/Boot"),
            _ => path,
        };
        paths.insert(resource, one);
    }
    paths
}

/// The whole object at `path`; nothing where the version has none.
async fn whole(site: &Site, resource: &str, path: &str, minor: u16) -> Value {
    let answer = site.call("GET", path, minor, Value::Null).await;
    if answer.code() != 200 {
        return Value::Null;
    }
    match resource {
        "bios_setting" if minor >= 74 => {
            let list = path.strip_suffix("/Boot").unwrap();
            let list = site.call("GET", &format!("{list}?detail=true"), minor, Value::Null).await;
            list.json()["bios"][0].clone()
        }
        "bios_setting" => answer.json()["Boot"].clone(),
        "firmware_component" => answer.json()["firmware"][0].clone(),
        _ => answer.json(),
    }
}

/// Whether `value` is of the type that the contract names.
fn has_type(ty: &str, value: &Value) -> bool {
    if let Some(ty) = ty.strip_suffix("|null") {
        return value.is_null() || has_type(ty, value);
    }
    let is_link = |link: &Value| link["href"].is_string() && link["rel"].is_string();
    let list = |item: &dyn Fn(&Value) -> bool| value.as_array().is_some_and(|list| list.iter().all(item));
    match ty {
        "string" => value.is_string(),
        "string(uuid)" => value.as_str().is_some_and(|text| Uuid::parse_str(text).is_ok()),
        "string(date-time)" => value
            .as_str()
            .is_some_and(|text| text.len() >= 25 && text.contains('T') && text.ends_with("+00:00")),
        "string(mac)" => value.as_str().is_some_and(|text| text.parse::<model::MacAddr>().is_ok()),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64(),
        "object" => value.is_object(),
        "array[string]" => list(&Value::is_string),
        "array[link]" => list(&is_link),
        "array[array[link]]" => {
            list(&|inner| inner.as_array().is_some_and(|links| links.iter().all(is_link)))
        }
        ty => {
            let members = ty.strip_prefix("array[{").and_then(|rest| rest.strip_suffix("}]")).expect(ty);
            let needed: Vec<&str> = members.split(',').filter(|name| !name.ends_with('?')).collect();
            list(&|item| needed.iter().all(|name| item.get(name).is_some()))
        }
    }
}

/// What a field is when nobody said; `None` where the contract leaves that to the service.
fn default_of(row: Row) -> Option<Value> {
    Some(match row.default {
        "null"
        | "null or project id"
        | "null; project id for project admins"
        | "[DEFAULT]default_resource_class (null)" => Value::Null,
        "[DEFAULT]default_portgroup_mode=active-backup" => json!("active-backup"),
        "enroll (available below 1.11)" => json!("enroll"),
        "{}" => json!({}),
        "[]" => json!([]),
        "\"\"" => json!(""),
        "true" => json!(true),
        "false" => json!(false),
        "0" => json!(0),
        word @ ("main" | "allocating" | "INFO" | "dynamic") => json!(word),
        "now" | "links" | "generated" | "computed" | "config" | "computed from config" | "-" => return None,
        text if text.starts_with("required") || text.starts_with("generated") => return None,
        text => panic!("{text}: say what it is"),
    })
}

/// Fields that have a value here already: the node was off before, and to register is a conductor's first sign of life.
fn is_set_here(row: Row) -> bool {
    matches!((row.resource, row.field), ("node_states", "power_state") | ("conductor", "updated_at"))
}

#[tokio::test]
async fn fresh_objects_have_types_and_defaults() {
    let site = Site::new().await;
    let paths = one_of_each(&site).await;
    let mut count = 0;
    for row in rows() {
        count += 1;
        let object = whole(&site, row.resource, &paths[row.resource], NEWEST).await;
        let shown = object.get(row.field);
        assert_eq!(shown.is_some(), row.read.is_some(), "{row:?} {object}");
        let Some(value) = shown else { continue };
        assert!(has_type(row.ty, value), "{row:?} {value}");
        if let Some(default) = default_of(row).filter(|_| !is_set_here(row)) {
            assert_eq!(*value, default, "{row:?}");
        }
        if row.default == "links" {
            assert!(
                row.field == "nodes" || value.as_array().is_some_and(|links| !links.is_empty()),
                "{row:?}"
            );
        }
    }
    assert_eq!(count, 257);
    for (resource, path) in &paths {
        let object = whole(&site, resource, path, NEWEST).await;
        let shown: BTreeSet<&str> = object.as_object().unwrap().keys().map(String::as_str).collect();
        let named = rows().filter(|row| row.resource == *resource && row.read.is_some());
        let named: BTreeSet<&str> = named.map(|row| row.field).collect();
        assert_eq!(shown, named, "{resource}");
    }
}

#[tokio::test]
async fn reading_shows_each_field_from_its_version_on() {
    let site = Site::new().await;
    let paths = one_of_each(&site).await;
    for row in rows() {
        let Some(min) = row.read else { continue };
        let (_, first) = collection(row.resource);
        let path = &paths[row.resource];
        let shows = async |minor| whole(&site, row.resource, path, minor).await.get(row.field).is_some();
        assert!(shows(min).await && shows(NEWEST).await, "{row:?}");
        if min > first {
            assert!(!shows(min - 1).await, "{row:?}");
        }
        if !takes_fields(row.resource) {
            continue;
        }
        let named = format!("{path}?fields={}", row.field);
        let code = async |minor| site.call("GET", &named, minor, Value::Null).await.code();
        assert_eq!(code(min.max(8)).await, 200, "{row:?}");
        if min > first {
            assert_eq!(code(min - 1).await, 406, "{row:?}");
        }
    }
}

/// Whether one object of the resource can be asked for some of its fields alone.
fn takes_fields(resource: &str) -> bool {
    MADE.contains(&resource)
}

#[tokio::test]
async fn short_lists_have_the_fields_that_are_marked_so() {
    let site = Site::new().await;
    let paths = one_of_each(&site).await;
    for (resource, path) in &paths {
        let (list, _) = match *resource {
            "firmware_component" => (path.as_str(), ""),
            "node_states" => continue,
            _ => path.rsplit_once('/').unwrap(),
        };
        let answer = site.get(list).await.json();
        let mut lists = answer.as_object().unwrap().values().filter_map(Value::as_array);
        let item = lists.next().unwrap_or_else(|| panic!("{answer}"))[0].clone();
        let shown: BTreeSet<&str> = item.as_object().unwrap().keys().map(String::as_str).collect();
        let marked = rows().filter(|row| row.resource == *resource && row.short);
        assert_eq!(shown, marked.map(|row| row.field).collect(), "{resource}");
    }
}

/// A value that the field takes and that is not its default.
async fn sample(site: &Site, row: Row, node: &Node) -> Value {
    match (row.resource, row.field) {
        (_, "uuid" | "instance_uuid" | "connector_id" | "volume_id") => json!(Uuid::new_v4()),
        (_, "address") => json!(address().to_string()),
        (_, "name") => json!(format!("CUSTOM_{}", Uuid::new_v4().simple().to_string().to_uppercase())),
        (_, "driver") => json!("fake-hardware"),
        (_, "node" | "node_ident") => json!(node.uuid),
        (_, "node_uuid" | "parent_node") => json!(site.node(|_| ()).await.uuid),
        (_, "chassis_uuid") => uuid_of(&parts::stored(site, "/v1/chassis", node).await),
        (_, "portgroup_uuid") => uuid_of(&parts::stored(site, "/v1/portgroups", node).await),
        (_, "candidate_nodes") => json!([node.uuid]),
        (_, "boot_mode") => json!("uefi"),
        (_, "boot_index") => json!(Uuid::new_v4().as_fields().0),
        ("volume_connector", "type") => json!("ip"),
        (_, "volume_type") => json!("fibre_channel"),
        (_, "mode") => json!("802.3ad"),
        (_, "phase") => json!("main"),
        (_, "steps" | "actions" | "conditions") => plans::value(row.resource, row.field),
        (_, "traits") => json!(["CUSTOM_A"]),
        (_, "pxe_enabled" | "standalone_ports_supported" | "available_for_dynamic_portgroup") => json!(false),
        (_, "network_data") => json!({"links": [], "networks": [], "services": []}),
        (_, "local_link_connection") => {
            json!({"switch_id": "52:54:00:00:00:01", "port_id": "p", "hostname": "h"})
        }
        (_, field) if field.ends_with("_interface") => json!("other"),
        _ => match row.ty.trim_end_matches("|null") {
            "string" => json!("value"),
            "boolean" => json!(true),
            "integer" => json!(7),
            "object" => json!({"a": 1}),
            ty => panic!("{ty}: give a sample for {}", row.field),
        },
    }
}

/// The last part of a path.
fn uuid_of(path: &str) -> Value {
    json!(path.rsplit('/').next())
}

/// What has to be true beside the field for it to be taken.
fn beside(row: Row, body: &mut Value) {
    match row.field {
        "retired_reason" => body["retired"] = json!(true),
        "is_smartnic" => body["local_link_connection"] = json!({"port_id": "p", "hostname": "h"}),
        // A backfill takes the class of its node.
        "node" => drop(body.as_object_mut().unwrap().remove("resource_class")),
        "node_ident" => drop(body.as_object_mut().unwrap().remove("node_uuid")),
        _ => {}
    }
}

/// A node with which every field of what it has can be written.
async fn host(site: &Site, row: Row) -> Node {
    site.node(|node| {
        node.power_state = Some(PowerState::Off);
        if row.resource == "allocation" && row.field == "node" {
            node.provision_state = ProvisionState::Active;
            node.resource_class = Some("gold".to_owned());
        }
    })
    .await
}

#[tokio::test]
async fn creation_takes_what_it_may_and_refuses_the_rest() {
    let site = Site::new().await;
    for row in rows().filter(|row| MADE.contains(&row.resource)) {
        let node = host(&site, row).await;
        let path = collection(row.resource).0;
        let mut body = least(row.resource, &node);
        beside(row, &mut body);
        if !row.create {
            for value in [Value::Null, json!("value"), json!({}), json!(true)] {
                body[row.field] = value;
                let answer = site.call("POST", path, NEWEST, body.clone()).await;
                assert_eq!(answer.code(), 400, "{row:?} {}", answer.text);
            }
            continue;
        }
        let value = sample(&site, row, &node).await;
        body[row.field] = value.clone();
        let answer = site.call("POST", path, NEWEST, body.clone()).await;
        assert_eq!(answer.code(), 201, "{row:?} {}", answer.text);
        if row.read.is_some() && row.field != "sensitive" {
            assert_eq!(answer.json()[row.field], value, "{row:?}");
        }
        // Another type than that of the field, and what no store can hold.
        for bad in wrong(row) {
            body[row.field] = bad;
            let answer = site.call("POST", path, NEWEST, body.clone()).await;
            assert_eq!(answer.code(), 400, "{row:?} {body} {}", answer.text);
        }
    }
}

/// Values of the wrong type.
fn wrong(row: Row) -> Vec<Value> {
    match row.ty.trim_end_matches("|null") {
        "string" | "string(uuid)" | "string(mac)" => {
            vec![json!(1.5), json!(["a"]), json!({"a": 1}), json!("a\0b")]
        }
        "boolean" => vec![json!("perhaps"), json!(2), json!([]), json!({})],
        "integer" => vec![json!("many"), json!(1.5), json!([]), json!(true)],
        "object" => vec![json!("text"), json!(1), json!([1])],
        _ => vec![json!("text"), json!(1), json!({"a": 1}), json!([1])],
    }
}

#[tokio::test]
async fn patches_change_what_they_may_and_refuse_the_rest() {
    let site = Site::new().await;
    for row in rows().filter(|row| MADE.contains(&row.resource)) {
        let node = host(&site, row).await;
        let mut body = least(row.resource, &node);
        beside(row, &mut body);
        if row.field == "node_ident" {
            body["node_uuid"] = json!(node.uuid);
        }
        let path = collection(row.resource).0;
        let made = site.call("POST", path, NEWEST, least(row.resource, &node)).await;
        let path = format!("{path}/{}", made.json()["uuid"].as_str().unwrap());
        let op =
            |op: &str, value: Value| json!([{"op": op, "path": format!("/{}", row.field), "value": value}]);
        if !row.patch {
            for (verb, value) in [("replace", json!("value")), ("add", json!({})), ("remove", Value::Null)] {
                let answer = site.patch(&path, op(verb, value)).await;
                assert_eq!(answer.code(), 400, "{row:?} {}", answer.text);
            }
            continue;
        }
        let value = sample(&site, row, &node).await;
        let (path, patch) = prepared(&site, row, path, op("replace", value.clone())).await;
        let answer = site.patch(&path, patch).await;
        assert_eq!(answer.code(), 200, "{row:?} {}", answer.text);
        assert_eq!(answer.json()[row.field], value, "{row:?}");
        for bad in wrong(row) {
            let answer = site.patch(&path, op("replace", bad.clone())).await;
            assert_eq!(answer.code(), 400, "{row:?} {bad} {}", answer.text);
        }
        let removed = site.patch(&path, op("remove", Value::Null)).await;
        if row.default.starts_with("required") || stays(row) {
            assert_eq!(removed.code(), 400, "{row:?} {}", removed.text);
            continue;
        }
        assert_eq!(removed.code(), 200, "{row:?} {}", removed.text);
        match default_of(row) {
            Some(default) => assert_eq!(removed.json()[row.field], default, "{row:?}"),
            None => assert!(has_type(row.ty, &removed.json()[row.field]), "{row:?}"),
        }
    }
}

/// What cannot be removed though it need not be given.
fn stays(row: Row) -> bool {
    matches!((row.resource, row.field), ("portgroup", "mode") | ("inspection_rule", "sensitive"))
}

/// What a patch needs beside its own operation; protection is for nodes in use.
async fn prepared(site: &Site, row: Row, path: String, mut patch: Value) -> (String, Value) {
    if row.field.starts_with("protected") {
        let node = site.node_in(ProvisionState::Active).await;
        if row.field == "protected_reason" {
            let flag = json!({"op": "replace", "path": "/protected", "value": true});
            patch.as_array_mut().unwrap().push(flag);
        }
        return (format!("/v1/nodes/{}", node.uuid), patch);
    }
    let beside = match row.field {
        "retired_reason" => json!({"op": "replace", "path": "/retired", "value": true}),
        "is_smartnic" => {
            json!({"op": "replace", "path": "/local_link_connection", "value": {"port_id": "p", "hostname": "h"}})
        }
        _ => return (path, patch),
    };
    patch.as_array_mut().unwrap().push(beside);
    (path, patch)
}

/// A state with what the contract says of patches in it.
struct State {
    name: ProvisionState,
    target: Option<ProvisionState>,
    nodes: bool,
    ports: bool,
}

fn states() -> impl Iterator<Item = State> {
    STATES.lines().skip(1).map(|row| {
        let cells: Vec<&str> = row.split('\t').collect();
        let yes = |cell: &str| cell.starts_with("yes");
        let target = (cells[3] != "-").then(|| cells[3].parse().unwrap());
        State { name: cells[0].parse().unwrap(), target, nodes: yes(cells[4]), ports: yes(cells[5]) }
    })
}

/// Whether the state is in a list of the contract, `409 outside a, b, c unless maintenance`.
fn is_outside(row: Row, state: &State) -> bool {
    let Some((_, list)) = row.refused.split_once("409 outside ") else { return false };
    let list = list.split(" unless ").next().unwrap().split(" once ").next().unwrap();
    !list.split(", ").any(|name| name.parse::<ProvisionState>().is_ok_and(|named| named == state.name))
}

fn patched_node(row: Row, state: &State, maintenance: bool) -> u16 {
    let excused = maintenance && row.field != "resource_class";
    let special = match row.field {
        "protected" => !matches!(state.name, ProvisionState::Active | ProvisionState::Rescue),
        "retired" => state.name == ProvisionState::Available,
        "driver" => {
            !["enroll", "inspecting", "inspect wait", "manageable", "available"]
                .contains(&state.name.to_string().as_str())
                && !maintenance
        }
        _ => false,
    };
    if !state.nodes || is_outside(row, state) && !excused || special { 409 } else { 200 }
}

#[tokio::test]
async fn states_allow_what_the_contract_says_of_nodes() {
    let site = Site::new().await;
    let mut count = 0;
    for row in rows().filter(|row| row.resource == "node" && row.patch) {
        for state in states() {
            for maintenance in [false, true] {
                count += 1;
                let node = site
                    .node(|node| {
                        node.provision_state = state.name;
                        node.target_provision_state = state.target;
                        node.maintenance = maintenance;
                        node.resource_class = Some("gold".to_owned());
                        node.protected = row.field == "protected_reason";
                        node.retired = row.field == "retired_reason";
                    })
                    .await;
                let value = match row.field {
                    "driver" => json!("ipmi"),
                    "maintenance" => json!(!maintenance),
                    _ => sample(&site, row, &node).await,
                };
                let reset = if row.field == "driver" { "?reset_interfaces=true" } else { "" };
                let path = format!("/v1/nodes/{}{reset}", node.uuid);
                let patch = json!([{"op": "replace", "path": format!("/{}", row.field), "value": value}]);
                let answer = site.patch(&path, patch).await;
                let expected = patched_node(row, &state, maintenance);
                let place = format!("{} {} maintenance={maintenance}", row.field, state.name);
                assert_eq!(answer.code(), expected, "{place} {}", answer.text);
            }
        }
    }
    assert!(count > 2000, "{count}");
}

#[tokio::test]
async fn states_allow_what_the_contract_says_of_ports_and_portgroups() {
    let site = Site::new().await;
    for row in rows().filter(|row| ["port", "portgroup"].contains(&row.resource) && row.patch) {
        for state in states() {
            for maintenance in [false, true] {
                let node = site
                    .node(|node| {
                        node.provision_state = state.name;
                        node.target_provision_state = state.target;
                        node.maintenance = maintenance;
                    })
                    .await;
                let path = if row.resource == "port" {
                    format!("/v1/ports/{}", site.port(&node).await.uuid)
                } else {
                    let group = model::Portgroup::new(node.uuid, Timestamp::now());
                    format!("/v1/portgroups/{}", site.db.create_portgroup(group).await.unwrap().uuid)
                };
                let value = match row.field {
                    "portgroup_uuid" => {
                        let group = model::Portgroup::new(node.uuid, Timestamp::now());
                        json!(site.db.create_portgroup(group).await.unwrap().uuid)
                    }
                    _ => sample(&site, row, &node).await,
                };
                let patch = json!([{"op": "replace", "path": format!("/{}", row.field), "value": value}]);
                let (path, patch) = prepared(&site, row, path, patch).await;
                let answer = site.patch(&path, patch).await;
                let in_use = row.field == "address" && row.resource == "port";
                let refused = !state.ports
                    || (is_outside(row, &state)
                        || in_use && state.name == ProvisionState::Active
                        || needs_wiring(row) && is_unwirable(state.name))
                        && !maintenance;
                let place = format!("{}.{} {} {maintenance}", row.resource, row.field, state.name);
                assert_eq!(answer.code(), if refused { 409 } else { 200 }, "{place} {}", answer.text);
            }
        }
    }
}

/// A Smart NIC is one by what it is connected to.
fn needs_wiring(row: Row) -> bool {
    row.field == "is_smartnic"
}

fn is_unwirable(state: ProvisionState) -> bool {
    use ProvisionState as S;
    !matches!(state, S::Enroll | S::Inspecting | S::InspectWait | S::Manageable)
}

#[tokio::test]
async fn volumes_change_while_the_node_is_off() {
    let site = Site::new().await;
    for row in rows().filter(|row| row.resource.starts_with("volume") && row.patch) {
        for (power, expected) in [(PowerState::Off, 200), (PowerState::On, 400)] {
            let node = site.node(|node| node.power_state = Some(PowerState::Off)).await;
            let path = parts::stored(&site, collection(row.resource).0, &node).await;
            let mut after = node.clone();
            after.power_state = Some(power);
            let node = site.db.update_node(&node, after).await.unwrap();
            let value = sample(&site, row, &node).await;
            let patch = json!([{"op": "replace", "path": format!("/{}", row.field), "value": value}]);
            assert_eq!(site.patch(&path, patch).await.code(), expected, "{row:?} {power}");
        }
    }
}
