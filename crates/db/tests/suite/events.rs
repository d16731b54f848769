//! Events: which change is told as what, to whom, in which order, how long.

use std::collections::BTreeSet;
use std::time::Duration;

use db::{Db, DbError, Event, EventQuery, EventRetention, NewEvent, Scope, Whose};
use model::{
    BootMode, Chassis, DeployTemplate, Fault, InspectionRule, InterfaceKind, JsonList, Lease, Node, NodeUuid,
    PlannedStep, Port, Portgroup, PowerState, PowerTarget, ProvisionState, Runbook, Stake, Timestamp, Trait,
    VolumeConnector, VolumeTarget,
};
use serde_json::Value;

use crate::fixtures::{bare, full, json, mac, time};

/// All events there are.
pub(crate) async fn told(db: &Db) -> Vec<Event> {
    db.events(&EventQuery::new(Scope::All, 0, usize::MAX)).await.unwrap().events
}

/// Kinds without what all begin with, and classes of payloads, since the event `after`.
async fn since(db: &Db, after: i64) -> Vec<(String, String)> {
    let page = db.events(&EventQuery::new(Scope::All, after, usize::MAX)).await.unwrap();
    let told = |event: &Event| {
        let payload: Value = serde_json::from_str(&event.payload).unwrap();
        let class = payload["ironic_object.name"].as_str().unwrap_or_default().to_owned();
        (event.kind.strip_prefix("baremetal.").unwrap_or(&event.kind).to_owned(), class)
    };
    page.events.iter().map(told).collect()
}

async fn last(db: &Db) -> i64 {
    db.last_event().await.unwrap()
}

/// A noun of a kind of event, and the class of its payload.
const PARTS: [(&str, &str); 8] = [
    ("port", "PortCRUDPayload"),
    ("portgroup", "PortgroupCRUDPayload"),
    ("volumeconnector", "VolumeConnectorCRUDPayload"),
    ("volumetarget", "VolumeTargetCRUDPayload"),
    ("chassis", "ChassisCRUDPayload"),
    ("deploytemplate", "DeployTemplateCRUDPayload"),
    ("runbook", "RunbookCRUDPayload"),
    ("inspectionrule", "InspectionRuleCRUDPayload"),
];

/// A rule's birth, change and end.
async fn life_of_a_rule(db: &Db, at: Timestamp) {
    let rule = InspectionRule {
        id: 0,
        uuid: model::InspectionRuleUuid::random(),
        description: None,
        phase: None,
        priority: 0,
        sensitive: false,
        conditions: JsonList::from_stored("[]"),
        actions: JsonList::from_stored("[]"),
        created_at: at,
        updated_at: None,
    };
    let rule = db.create_inspection_rule(rule).await.unwrap();
    let changed = InspectionRule { priority: 1, ..rule.clone() };
    db.update_inspection_rule(&rule, changed).await.unwrap();
    db.delete_inspection_rule(rule.uuid).await.unwrap();
}

pub(crate) async fn each_change_of_a_part_is_told(db: Db) {
    let node = db.create_node(full("a")).await.unwrap();
    let at = time(1_700_000_000_000_000);
    let seen = last(&db).await;
    macro_rules! life {
        ($item:expr, $create:ident, $update:ident, $delete:ident) => {{
            let before = db.$create($item).await.unwrap();
            let mut after = before.clone();
            after.extra = json(r#"{"b": 2}"#);
            let after = db.$update(&before, after).await.unwrap();
            db.$delete(after.uuid).await.unwrap();
            after.uuid.to_string()
        }};
    }
    let steps = vec![PlannedStep {
        interface: "deploy".to_owned(),
        step: "write_image".to_owned(),
        args: json("{}"),
        priority: 10,
    }];
    let mut template = DeployTemplate::new("CUSTOM_T", at);
    template.steps.clone_from(&steps);
    let mut runbook = Runbook::new("CUSTOM_R", at);
    runbook.steps = steps;
    let mut connector = VolumeConnector::new(node.uuid, at);
    connector.kind = String::from("iqn");
    let uuids = [
        life!(Port::new(node.uuid, mac(1), at), create_port, update_port, delete_port),
        life!(Portgroup::new(node.uuid, at), create_portgroup, update_portgroup, delete_portgroup),
        life!(connector, create_volume_connector, update_volume_connector, delete_volume_connector),
        life!(
            VolumeTarget::new(node.uuid, at),
            create_volume_target,
            update_volume_target,
            delete_volume_target
        ),
        life!(Chassis::new(at), create_chassis, update_chassis, delete_chassis),
        life!(template, create_deploy_template, update_deploy_template, delete_deploy_template),
        life!(runbook, create_runbook, update_runbook, delete_runbook),
    ];
    life_of_a_rule(&db, at).await;

    let expected: Vec<(String, String)> = PARTS
        .into_iter()
        .flat_map(|(noun, class)| {
            ["create", "update", "delete"].map(|action| (format!("{noun}.{action}.end"), class.to_owned()))
        })
        .collect();
    assert_eq!(since(&db, seen).await, expected);
    for (index, uuid) in uuids.into_iter().enumerate() {
        let query = EventQuery { resource: Some(uuid), ..EventQuery::new(Scope::All, seen, 10) };
        let found = db.events(&query).await.unwrap().events;
        assert_eq!(found.len(), 3, "{index}");
        assert_eq!(found[0].node, (index < 4).then_some(node.uuid), "what belongs to a node names it");
        let data = |event: &Event| {
            serde_json::from_str::<Value>(&event.payload).unwrap()["ironic_object.data"].clone()
        };
        assert_eq!(data(&found[1])["extra"]["b"], 2);
        assert_eq!(data(&found[2]), data(&found[1]), "what is deleted is told as it was, steps included");
        if let Some(steps) = data(&found[2]).get("steps") {
            assert_eq!(steps[0]["step"], "write_image");
        }
    }
}

/// Writes a node as `change` makes it and says what was told.
async fn changed(db: &Db, node: &mut Node, change: impl FnOnce(&mut Node)) -> Vec<(String, String)> {
    let seen = last(db).await;
    let mut after = node.clone();
    change(&mut after);
    *node = db.update_node(node, after).await.unwrap();
    since(db, seen).await
}

fn one(kind: &str, class: &str) -> Vec<(String, String)> {
    vec![(kind.to_owned(), class.to_owned())]
}

pub(crate) async fn each_change_of_a_node_is_told(db: Db) {
    let mut node = db.create_node(bare()).await.unwrap();
    assert_eq!(since(&db, 0).await, one("node.create.end", "NodeCRUDPayload"));
    let power = |kind: &str| one(kind, "NodeSetPowerStatePayload");
    let told = changed(&db, &mut node, |node| node.target_power_state = Some(PowerTarget::On)).await;
    assert_eq!(told, power("node.power_set.start"));
    let told = changed(&db, &mut node, |node| {
        (node.target_power_state, node.power_state) = (None, Some(PowerState::On));
    });
    assert_eq!(told.await, power("node.power_set.end"));
    let told = changed(&db, &mut node, |node| node.target_power_state = Some(PowerTarget::Off)).await;
    assert_eq!(told, power("node.power_set.start"));
    let told = changed(&db, &mut node, |node| node.target_power_state = None).await;
    assert_eq!(told, power("node.power_set.error"), "it is on still");
    let told = changed(&db, &mut node, |node| node.power_state = Some(PowerState::Off)).await;
    assert_eq!(told, one("node.power_state_corrected.success", "NodeCorrectedPowerStatePayload"));
    let lease = Lease { holder: "h".to_owned(), expires_at: time(i64::MAX), reason: "r".to_owned() };
    assert!(changed(&db, &mut node, |node| node.lease = Some(lease)).await.is_empty());
    let told = changed(&db, &mut node, |node| node.power_state = Some(PowerState::On)).await;
    assert_eq!(told, power("node.power_set.end"), "a flow switched it on");

    let provision = |kind: &str| one(kind, "NodeSetProvisionStatePayload");
    let told = changed(&db, &mut node, |node| node.provision_state = ProvisionState::Verifying).await;
    assert_eq!(told, provision("node.provision_set.start"));
    let told = changed(&db, &mut node, |node| node.provision_state = ProvisionState::Enroll).await;
    assert_eq!(told, provision("node.provision_set.error"));
    let event = crate::events::told(&db).await.pop().unwrap();
    let payload: Value = serde_json::from_str(&event.payload).unwrap();
    let data = &payload["ironic_object.data"];
    assert_eq!((&data["event"], &data["previous_provision_state"]), (&"fail".into(), &"verifying".into()));

    let told = changed(&db, &mut node, |node| {
        (node.maintenance, node.fault) = (true, Some(Fault::Power));
    });
    assert_eq!(told.await, one("node.maintenance_set.end", "NodePayload"));
    let told = changed(&db, &mut node, |node| node.console_enabled = true).await;
    assert_eq!(told, one("node.console_set.end", "NodePayload"));
    // What nobody else can see or set is not told.
    let told = changed(&db, &mut node, |node| {
        node.driver_internal_info = json(r#"{"agent_last_heartbeat": "now"}"#);
        node.lease_epoch += 1;
    });
    assert!(told.await.is_empty());
    let seen = last(&db).await;
    db.delete_node(&node).await.unwrap();
    assert_eq!(since(&db, seen).await, one("node.delete.end", "NodeCRUDPayload"));
}

pub(crate) async fn each_field_that_callers_set_is_told(db: Db) {
    let changes: [fn(&mut Node); 26] = [
        |node| node.name = Some("n".to_owned()),
        |node| "redfish".clone_into(&mut node.driver),
        |node| node.driver_info = json(r#"{"a": 1}"#),
        |node| node.properties = json(r#"{"a": 1}"#),
        |node| node.instance_info = json(r#"{"a": 1}"#),
        |node| node.instance_uuid = Some("i".to_owned()),
        |node| node.instance_name = Some("i".to_owned()),
        |node| node.extra = json(r#"{"a": 1}"#),
        |node| node.network_data = json(r#"{"a": 1}"#),
        |node| node.interfaces.set(InterfaceKind::Boot, Some("ipxe".to_owned())),
        |node| node.resource_class = Some("c".to_owned()),
        |node| node.traits = vec!["CUSTOM_A".parse::<Trait>().unwrap()],
        |node| "g".clone_into(&mut node.conductor_group),
        |node| node.automated_clean = Some(true),
        |node| node.protected = true,
        |node| node.protected_reason = Some("r".to_owned()),
        |node| node.retired = true,
        |node| node.retired_reason = Some("r".to_owned()),
        |node| node.owner = Some("o".to_owned()),
        |node| node.lessee = Some("l".to_owned()),
        |node| node.description = Some("d".to_owned()),
        |node| node.shard = Some("s".to_owned()),
        |node| node.parent_node = Some(NodeUuid::random()),
        |node| node.disable_power_off = true,
        |node| node.boot_mode = Some(BootMode::Uefi),
        |node| node.target_raid_config = json(r#"{"a": 1}"#),
    ];
    let mut node = db.create_node(bare()).await.unwrap();
    for (index, change) in changes.into_iter().enumerate() {
        let told = changed(&db, &mut node, change).await;
        assert_eq!(told, one("node.update.end", "NodeCRUDPayload"), "change {index}");
    }
}

pub(crate) async fn a_refused_write_is_not_told(db: Db) {
    let node = db.create_node(bare()).await.unwrap();
    let current = db.update_node(&node, Node { protected: true, ..node.clone() }).await.unwrap();
    let seen = last(&db).await;
    let stale = db.update_node(&node, Node { retired: true, ..node.clone() }).await;
    assert!(matches!(stale, Err(DbError::Conflict { .. })));
    assert!(matches!(db.delete_node(&node).await, Err(DbError::Conflict { .. })));
    assert!(matches!(db.create_node(current).await, Err(DbError::Duplicate { .. })));
    assert!(matches!(db.delete_port(model::PortUuid::random()).await, Err(DbError::NotFound { .. })));
    assert_eq!(last(&db).await, seen);
}

fn event(kind: &str, node: Option<NodeUuid>, whose: Whose) -> NewEvent {
    NewEvent { kind: kind.to_owned(), node, resource: None, whose, payload: "{}".to_owned(), at: time(20) }
}

pub(crate) async fn filters_select(db: Db) {
    let [one, two] = [NodeUuid::random(), NodeUuid::random()];
    let kinds = ["a.b.end", "a.bc.end", "b%.end", "b_.end"];
    let events =
        kinds.into_iter().flat_map(|kind| [one, two].map(|node| event(kind, Some(node), Whose::System)));
    db.record_events(events.collect()).await.unwrap();
    let newest = last(&db).await;
    let of = |kinds: &[&str], node: Option<NodeUuid>, after: i64, limit: usize| {
        let kinds = kinds.iter().map(|kind| (*kind).to_owned()).collect();
        let query = EventQuery { kinds, node, ..EventQuery::new(Scope::All, after, limit) };
        let db = db.clone();
        async move { db.events(&query).await.unwrap() }
    };
    let page = of(&["a.b"], None, 0, 10).await;
    assert_eq!((page.events.len(), page.cursor, page.full), (4, newest, false));
    assert_eq!(of(&["a.b."], Some(two), 0, 10).await.events.len(), 1);
    assert_eq!(of(&["b%", "a.bc"], Some(one), 0, 10).await.events.len(), 2, "patterns are no patterns here");
    let page = of(&[], None, 0, 3).await;
    assert_eq!((page.events.len(), page.cursor, page.full), (3, page.events[2].id, true));
    let page = of(&["nothing"], None, 0, 3).await;
    assert_eq!((page.events.len(), page.cursor), (0, newest), "what is not wanted is not read again");
}

pub(crate) async fn a_project_sees_its_own(db: Db) {
    let mut node = bare();
    (node.owner, node.lessee) = (Some("owner".to_owned()), Some("lessee".to_owned()));
    let node = db.create_node(node).await.unwrap();
    db.create_port(Port::new(node.uuid, mac(1), time(1))).await.unwrap();
    db.create_node(bare()).await.unwrap();
    db.create_chassis(Chassis::new(time(1))).await.unwrap();
    for (name, public, owner) in [("CUSTOM_A", true, None), ("CUSTOM_B", false, Some("owner".to_owned()))] {
        let runbook = Runbook { public, owner, ..Runbook::new(name, time(1)) };
        db.create_runbook(runbook).await.unwrap();
    }
    db.delete_node(&node).await.unwrap();
    let seen_by = async |scope: Scope| {
        let page = db.events(&EventQuery::new(scope, 0, 100)).await.unwrap();
        page.events.iter().map(|event| event.kind.replace("baremetal.", "")).collect::<Vec<_>>()
    };
    let project = |name: &str| Scope::project(name);
    assert_eq!(seen_by(Scope::All).await.len(), 7);
    let own = ["node.create.end", "port.create.end", "runbook.create.end", "node.delete.end"];
    assert_eq!(seen_by(project("lessee")).await, own, "also what is gone");
    assert_eq!(
        seen_by(project("owner")).await,
        [own[0], own[1], own[2], "runbook.create.end", own[3]],
        "its own runbook, too"
    );
    assert_eq!(seen_by(project("stranger")).await, ["runbook.create.end"]);
    let others = Scope::HasNot(Stake::Owner, "owner".to_owned());
    assert_eq!(
        seen_by(others).await,
        ["node.create.end", "runbook.create.end"],
        "the node without an owner, never what is for the system alone"
    );
}

/// Drops until nothing is left to drop.
async fn prune(db: &Db, age: Duration, count: u32, now: Timestamp) -> u64 {
    let mut dropped = 0;
    loop {
        match db.prune_events(EventRetention { age, count }, now).await.unwrap() {
            0 => return dropped,
            some => dropped += some,
        }
    }
}

pub(crate) async fn what_is_dropped_is_said(db: Db) {
    let hour = Duration::from_hours(1);
    for index in 0..30 {
        let at = time(1_000_000 * index);
        db.record_events(vec![NewEvent { at, ..event("k", None, Whose::System) }]).await.unwrap();
    }
    let all = told(&db).await;
    let now = time(1_000_000 * 29);
    assert_eq!(prune(&db, hour, 100, now).await, 0);
    assert_eq!(prune(&db, hour, 20, now).await, 10, "by number");
    assert_eq!(prune(&db, Duration::from_secs(9), 20, now).await, 10, "by age");
    let read = async |after| db.events(&EventQuery::new(Scope::All, after, 100)).await;
    let oldest = all[19].id;
    let page = read(oldest).await.unwrap();
    assert_eq!(page.events, all[20..]);
    let gone = read(oldest - 1).await.unwrap_err();
    assert!(matches!(gone, DbError::EventsGone { oldest: said, .. } if said == oldest), "{gone:?}");
    // With nothing left, the numbers go on.
    assert_eq!(prune(&db, Duration::ZERO, 100, now.plus(hour)).await, 10);
    let newest = all[29].id;
    assert_eq!(last(&db).await, newest);
    assert!(matches!(read(oldest).await, Err(DbError::EventsGone { .. })));
    assert_eq!(read(newest).await.unwrap().cursor, newest);
    let ahead = read(newest + 1).await.unwrap_err();
    assert!(matches!(ahead, DbError::EventsAhead { .. }), "{ahead:?}");
    db.record_events(vec![event("k", None, Whose::System)]).await.unwrap();
    assert_eq!(read(newest).await.unwrap().events.len(), 1);
    // More than one batch.
    for _ in 0..11 {
        db.record_events(vec![event("k", None, Whose::System); 1000]).await.unwrap();
    }
    assert_eq!(prune(&db, Duration::from_hours(1_000_000), 500, now).await, 11_001 - 500);
}

/// A number that follows from another one and looks like chance.
fn shuffle(seed: &mut u64) -> u64 {
    *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    *seed >> 33
}

/// Ten thousand changes of eight writers; readers with pages of any size, waiting for the bell or coming back later
/// with nothing but their cursor, see each once and in order.
pub(crate) async fn readers_that_come_and_go_see_each_once(db: Db) {
    const WRITERS: usize = 8;
    const CHANGES: usize = 1250;
    let start = last(&db).await;
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let db = db.clone();
            tokio::spawn(async move {
                let mut node = db.create_node(bare()).await.unwrap();
                for change in 1..CHANGES {
                    let mut after = node.clone();
                    after.description = Some(format!("{writer}.{change}"));
                    node = db.update_node(&node, after).await.unwrap();
                }
            })
        })
        .collect();
    let readers: Vec<_> = (0..4_u64)
        .map(|seed| {
            let db = db.clone();
            tokio::spawn(async move { follow(&db, start, WRITERS * CHANGES, seed).await })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
    for reader in readers {
        let limit = Duration::from_mins(2);
        let seen = tokio::time::timeout(limit, reader).await.expect("readers catch up").unwrap();
        assert_eq!(seen.len(), WRITERS * CHANGES);
        assert_eq!(seen.iter().collect::<BTreeSet<_>>().len(), WRITERS * CHANGES, "each once");
    }
    assert_eq!(told(&db).await.len(), WRITERS * CHANGES, "and no more");
}

/// Which changes one reader sees, until it saw `wanted`.
async fn follow(db: &Db, start: i64, wanted: usize, mut seed: u64) -> Vec<String> {
    let (mut cursor, mut seen, mut bell) = (start, Vec::new(), db.events_changed());
    while seen.len() < wanted {
        bell.mark_unchanged();
        let limit = 1 + usize::try_from(shuffle(&mut seed) % 200).unwrap();
        let page = db.events(&EventQuery::new(Scope::All, cursor, limit)).await.unwrap();
        assert!(page.events.is_sorted_by(|one, next| one.id < next.id));
        assert!(page.events.first().is_none_or(|first| first.id > cursor));
        cursor = page.cursor;
        for event in page.events {
            let payload: Value = serde_json::from_str(&event.payload).unwrap();
            let data = &payload["ironic_object.data"];
            seen.push(format!("{} {}", data["uuid"], data["description"]));
        }
        if shuffle(&mut seed).is_multiple_of(4) {
            bell = db.events_changed();
        } else if !page.full && seen.len() < wanted {
            // A bell that is missed costs the time until the next look.
            let _ = tokio::time::timeout(Duration::from_millis(500), bell.changed()).await;
        }
    }
    seen
}
