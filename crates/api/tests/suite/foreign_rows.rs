//! Random objects of random owners and lessees, callers of every role and scope, every list with its filters and pages:
//! nobody sees a foreign row, and everybody sees every row that they should. On both stores.
//!
//! Who should see what is written down here once more, apart from the policy. Which rows a filter selects is taken from
//! what an administrator is answered.

use std::collections::HashMap;
use std::sync::Arc;

use db::{DatabaseUrl, Db};
use model::{Chassis, Node, PlannedStep, Port, Portgroup, Runbook, Timestamp, VolumeConnector, VolumeTarget};
use policy::Caller;
use serde_json::Value;

use crate::fixture::{SaidBy, Site, address, caller, options};

const NODES: usize = 24;
const PROJECTS: [&str; 3] = ["a", "b", "c"];
const ADMIN: usize = 0;

/// Chances that are the same in every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: usize) -> usize {
        // xorshift64*
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let end = u64::try_from(end).unwrap();
        usize::try_from(self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) % end).unwrap()
    }

    fn one<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }

    fn project(&mut self) -> Option<String> {
        (self.below(4) > 0).then(|| (*self.one(&PROJECTS)).to_owned())
    }
}

/// Whose an object is; what belongs to a node is the node's.
#[derive(Clone, Default)]
struct Whose {
    owner: Option<String>,
    lessee: Option<String>,
    public: bool,
}

#[derive(Default)]
struct World {
    /// By UUID.
    whose: HashMap<String, Whose>,
    nodes: Vec<Node>,
    portgroups: Vec<Portgroup>,
    chassis: Vec<String>,
    addresses: Vec<String>,
}

fn callers() -> Vec<Caller> {
    let mut callers = vec![caller(None, &["admin", "manager", "member", "reader"])];
    let roles: [&[&str]; 6] =
        [&[], &["reader"], &["member"], &["reader", "member", "manager", "admin"], &["service"], &["other"]];
    for roles in roles {
        callers.push(caller(None, roles));
        for project in PROJECTS {
            callers.push(caller(Some(project), roles));
        }
        // Of a domain, and of nothing at all.
        let of_domain = Caller { domain: Some("default".to_owned()), system: false, ..caller(None, roles) };
        callers.push(of_domain);
        callers.push(Caller { system: false, ..caller(None, roles) });
    }
    callers
}

fn has(caller: &Caller, role: &str) -> bool {
    caller.roles.iter().any(|had| had == role)
}

/// Whether the caller may list anything at all.
fn may_list(caller: &Caller) -> bool {
    let reads = has(caller, "reader") || has(caller, "service");
    reads && caller.domain.is_none() && (caller.system || caller.project.is_some())
}

/// Whether the caller sees something of a node.
fn sees_node(caller: &Caller, whose: &Whose) -> bool {
    if caller.domain.is_some() {
        return false;
    }
    if caller.system {
        return has(caller, "reader") || has(caller, "service");
    }
    let Some(project) = &caller.project else { return false };
    let (owns, leases) = (whose.owner.as_ref() == Some(project), whose.lessee.as_ref() == Some(project));
    (has(caller, "reader") && (owns || leases)) || (has(caller, "service") && owns)
}

/// Whether a list shows the caller a runbook.
fn sees_runbook(caller: &Caller, whose: &Whose) -> bool {
    let owns = caller.project.is_some() && whose.owner == caller.project;
    whose.public || caller.system || owns
}

async fn populate(db: &Db, dice: &mut Dice) -> World {
    let mut world = World::default();
    let now = Timestamp::now();
    for _ in 0..3 {
        let chassis = db.create_chassis(Chassis::new(now)).await.unwrap();
        world.chassis.push(chassis.uuid.to_string());
    }
    for number in 0..NODES {
        let node = random_node(&world, number, dice);
        let node = db.create_node(node).await.unwrap();
        let whose = Whose { owner: node.owner.clone(), lessee: node.lessee.clone(), public: false };
        parts(db, &mut world, &node, &whose, dice).await;
        world.whose.insert(node.uuid.to_string(), whose);
        world.nodes.push(node);
    }
    for number in 0..12 {
        let mut runbook = Runbook::new(format!("CUSTOM_{number}"), now);
        runbook.public = dice.below(4) == 0;
        runbook.owner = if runbook.public { None } else { dice.project() };
        runbook.steps = vec![PlannedStep {
            interface: "bios".to_owned(),
            step: "apply".to_owned(),
            args: model::JsonObject::default(),
            priority: 1,
        }];
        let runbook = db.create_runbook(runbook).await.unwrap();
        let whose = Whose { owner: runbook.owner, lessee: None, public: runbook.public };
        world.whose.insert(runbook.uuid.to_string(), whose);
    }
    world
}

fn random_node(world: &World, number: usize, dice: &mut Dice) -> Node {
    let mut node = Node::new(*dice.one(&["ipmi", "fake-hardware"]), Timestamp::now());
    node.name = Some(format!("n-{number}"));
    node.owner = dice.project();
    node.lessee = dice.project();
    node.maintenance = dice.below(2) == 0;
    node.resource_class = Some((*dice.one(&["gold", "iron"])).to_owned());
    (*dice.one(&["", "g"])).clone_into(&mut node.conductor_group);
    node.shard = (dice.below(2) == 0).then(|| "s".to_owned());
    node.description = (dice.below(2) == 0).then(|| "Words".to_owned());
    node.instance_uuid = (dice.below(3) == 0).then(|| uuid::Uuid::new_v4().to_string());
    let chassis = dice.one(&world.chassis).clone();
    node.chassis_uuid = (dice.below(2) == 0).then(|| chassis.parse().unwrap());
    if !world.nodes.is_empty() && dice.below(4) == 0 {
        node.parent_node = Some(dice.one(&world.nodes).uuid);
    }
    node
}

async fn parts(db: &Db, world: &mut World, node: &Node, whose: &Whose, dice: &mut Dice) {
    let now = Timestamp::now();
    let mut made = Vec::new();
    let mut group = None;
    if dice.below(2) == 0 {
        let portgroup = Portgroup { address: Some(address()), ..Portgroup::new(node.uuid, now) };
        let portgroup = db.create_portgroup(portgroup).await.unwrap();
        made.push(portgroup.uuid.to_string());
        group = Some(portgroup.uuid);
        world.portgroups.push(portgroup);
    }
    for _ in 0..dice.below(3) {
        let mut port = Port::new(node.uuid, address(), now);
        port.portgroup_uuid = group.filter(|_| dice.below(2) == 0);
        port.description = (dice.below(2) == 0).then(|| "Words".to_owned());
        let port = db.create_port(port).await.unwrap();
        world.addresses.push(port.address.to_string());
        made.push(port.uuid.to_string());
    }
    for number in 0..dice.below(3) {
        let mut connector = VolumeConnector::new(node.uuid, now);
        (connector.kind, connector.connector_id) = ("iqn".to_owned(), uuid::Uuid::new_v4().to_string());
        made.push(db.create_volume_connector(connector).await.unwrap().uuid.to_string());
        let mut target = VolumeTarget::new(node.uuid, now);
        (target.volume_type, target.volume_id) = ("iscsi".to_owned(), uuid::Uuid::new_v4().to_string());
        target.boot_index = i64::try_from(number).unwrap();
        made.push(db.create_volume_target(target).await.unwrap().uuid.to_string());
    }
    world.whose.extend(made.into_iter().map(|uuid| (uuid, whose.clone())));
}

/// A request for a list.
struct Asked {
    path: String,
    key: &'static str,
    query: Vec<(String, String)>,
    /// The object that it names in its path or its query: who does not see that is told that it is not there.
    named: Option<String>,
    /// The project that it asks for.
    project: Option<String>,
}

fn ask(world: &World, dice: &mut Dice) -> Asked {
    let node = dice.one(&world.nodes).uuid.to_string();
    let portgroup = dice.one(&world.portgroups).uuid.to_string();
    let chassis = dice.one(&world.chassis).clone();
    let routes: [(String, &'static str, Option<&String>); 15] = [
        ("nodes".to_owned(), "nodes", None),
        ("nodes".to_owned(), "nodes", None),
        ("nodes/detail".to_owned(), "nodes", None),
        (format!("chassis/{chassis}/nodes"), "nodes", None),
        (format!("chassis/{chassis}/nodes/detail"), "nodes", None),
        ("ports".to_owned(), "ports", None),
        ("ports/detail".to_owned(), "ports", None),
        (format!("nodes/{node}/ports"), "ports", Some(&node)),
        (format!("portgroups/{portgroup}/ports"), "ports", Some(&portgroup)),
        ("portgroups".to_owned(), "portgroups", None),
        (format!("nodes/{node}/portgroups/detail"), "portgroups", Some(&node)),
        ("volume/connectors".to_owned(), "connectors", None),
        ("volume/targets".to_owned(), "targets", None),
        (format!("nodes/{node}/volume/targets"), "targets", Some(&node)),
        ("runbooks".to_owned(), "runbooks", None),
    ];
    let (path, key, named) = dice.one(&routes).clone();
    let mut asked =
        Asked { path: format!("/v1/{path}"), key, query: Vec::new(), named: named.cloned(), project: None };
    let is_alone = asked.named.is_none();
    for (name, value) in filters(world, key, is_alone, dice) {
        match name {
            "node" | "portgroup" => asked.named = Some(value.clone()),
            "project" => asked.project = Some(value.clone()),
            _ => {}
        }
        asked.query.push((name.to_owned(), value));
    }
    let sort = dice.one(&["id", "uuid", "created_at"]);
    asked.query.push(("sort_key".to_owned(), (*sort).to_owned()));
    asked.query.push(("sort_dir".to_owned(), (*dice.one(&["asc", "desc"])).to_owned()));
    asked
}

/// Some of the filters that lists of this kind have. `is_alone`: nothing else is named yet.
fn filters(world: &World, key: &str, is_alone: bool, dice: &mut Dice) -> Vec<(&'static str, String)> {
    let project = (*dice.one(&PROJECTS)).to_owned();
    let node = dice.one(&world.nodes).uuid.to_string();
    let portgroup = dice.one(&world.portgroups).uuid.to_string();
    let chance = dice.below(3);
    let all: Vec<(&'static str, String)> = match key {
        "nodes" => vec![
            ("owner", project.clone()),
            ("lessee", project.clone()),
            ("project", project),
            ("maintenance", "true".to_owned()),
            ("associated", "false".to_owned()),
            ("driver", "ipmi".to_owned()),
            ("resource_class", "gold".to_owned()),
            ("conductor_group", "g".to_owned()),
            ("shard", "s".to_owned()),
            ("sharded", "false".to_owned()),
            ("description_contains", "word".to_owned()),
            ("include_children", "true".to_owned()),
            ("parent_node", node),
        ],
        // One of these at a time.
        "ports" if is_alone => {
            let address = dice.one(&world.addresses).clone();
            let one =
                [("node", node), ("portgroup", portgroup), ("shard", "s".to_owned()), ("address", address)];
            return if chance == 0 { Vec::new() } else { vec![dice.one(&one).clone()] };
        }
        "ports" => vec![("description_contains", "word".to_owned())],
        "portgroups" if is_alone => {
            let one = [("node", node), ("shard", "s".to_owned()), ("conductor_groups", "g".to_owned())];
            return if chance == 0 { Vec::new() } else { vec![dice.one(&one).clone()] };
        }
        "connectors" | "targets" if is_alone => vec![("node", node)],
        "runbooks" => vec![("project", project)],
        _ => Vec::new(),
    };
    all.into_iter().filter(|_| dice.below(4) == 0).collect()
}

/// All pages of a list, or the status of the refusal.
async fn collect(site: &Site, number: usize, asked: &Asked, limit: usize) -> Result<Vec<String>, u16> {
    let mut found: Vec<String> = Vec::new();
    loop {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(&asked.query).append_pair("limit", &limit.to_string());
        if let Some(last) = found.last() {
            query.append_pair("marker", last);
        }
        let path = format!("{}?{}", asked.path, query.finish());
        let answer = site.call_as(number, "GET", &path, Value::Null).await;
        if answer.code() != 200 {
            return Err(answer.code());
        }
        let body = answer.json();
        let page = body[asked.key].as_array().unwrap();
        found.extend(page.iter().map(|item| item["uuid"].as_str().unwrap().to_owned()));
        if page.len() < limit {
            assert!(body.get("next").is_none(), "a page that is not full is the last: {path}");
            return Ok(found);
        }
    }
}

/// What the caller should be answered, given what an administrator is.
fn expected(world: &World, caller: &Caller, asked: &Asked, all: &[String]) -> Result<Vec<String>, u16> {
    let other = asked.project.as_ref().filter(|asked| Some(*asked) != caller.project.as_ref());
    let refused = !may_list(caller) || (!caller.system && other.is_some());
    let hidden = asked.named.as_ref().is_some_and(|named| !sees_node(caller, &world.whose[named]));
    // What is named in the path is looked at before, what is named in the query after the question who may list.
    let in_path = asked.named.as_ref().is_some_and(|named| asked.path.contains(named.as_str()));
    if in_path && hidden {
        return Err(404);
    }
    if refused {
        return Err(403);
    }
    if hidden {
        return Err(404);
    }
    let sees = if asked.key == "runbooks" { sees_runbook } else { sees_node };
    Ok(all.iter().filter(|uuid| sees(caller, &world.whose[*uuid])).cloned().collect())
}

async fn nobody_sees_what_is_foreign(url: DatabaseUrl, seed: u64, questions: usize) {
    let mut dice = Dice(seed);
    let callers = callers();
    let site = Site::at(url, options(), |_| Arc::new(SaidBy(callers.clone())), "").await;
    let world = populate(&site.db, &mut dice).await;
    let mut shown = 0;
    for _ in 0..questions {
        let asked = ask(&world, &mut dice);
        let all = collect(&site, ADMIN, &asked, 1000).await.unwrap();
        for (number, caller) in callers.iter().enumerate() {
            let limit = 1 + dice.below(6);
            let got = collect(&site, number, &asked, limit).await;
            let wanted = expected(&world, caller, &asked, &all);
            shown += got.as_ref().map_or(0, Vec::len);
            // Volumes named in the query are looked for before the list is.
            let by_query = asked.key == "connectors" || asked.key == "targets";
            if by_query && matches!((&got, &wanted), (Err(404), Err(403))) {
                continue;
            }
            assert_eq!(got, wanted, "{caller:?} asks {} {:?} by {limit}", asked.path, asked.query);
        }
    }
    assert!(shown > questions, "the questions show something");
    for node in &world.nodes {
        for (number, caller) in callers.iter().enumerate() {
            let path = format!("/v1/nodes/{}", node.uuid);
            let answer = site.call_as(number, "GET", &path, Value::Null).await.code();
            let sees = sees_node(caller, &world.whose[&node.uuid.to_string()]);
            assert_eq!(answer, if sees { 200 } else { 404 }, "{caller:?}");
            let path = format!("{path}/children");
            let children = site.call_as(number, "GET", &path, Value::Null).await;
            assert_eq!(children.code(), if sees { 200 } else { 404 });
            for child in children.json()["children"].as_array().into_iter().flatten() {
                assert!(sees_node(caller, &world.whose[child.as_str().unwrap()]));
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_sqlite() {
    let dir = tempfile::tempdir().unwrap();
    for seed in [7, 8] {
        let url = DatabaseUrl::sqlite(dir.path().join(format!("{seed}.db")));
        nobody_sees_what_is_foreign(url, seed, 40).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_postgresql() {
    let server = lab::Postgres::start().await.unwrap();
    let url = server.create_database("foreign_rows").await.unwrap();
    nobody_sees_what_is_foreign(url.parse().unwrap(), 9, 40).await;
    server.stop().await.unwrap();
}
