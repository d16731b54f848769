//! Conductors, and the store as a whole.

use std::collections::BTreeMap;

use db::{Commit, Db, DbError, FlowChange, FlowRow, JournalWrite, Registration, Term};
use model::{FlowId, HardwareType, InterfaceKind, Lease, Node, Timestamp};

use crate::fixtures::{bare, store, time};

fn hardware(name: &str, power: &[&str]) -> HardwareType {
    let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
    HardwareType {
        name: name.to_owned(),
        interfaces: BTreeMap::from([
            (InterfaceKind::Power, names(power)),
            (InterfaceKind::Boot, names(&["ipxe", "pxe"])),
        ]),
        properties: BTreeMap::from([("ipmi_address".to_owned(), "Where \"it\" is".to_owned())]),
    }
}

pub(crate) fn registration(hostname: &str, hardware_types: Vec<HardwareType>) -> Registration {
    Registration { hostname: hostname.to_owned(), conductor_group: "rack".to_owned(), hardware_types }
}

pub(crate) async fn a_conductor_registers_and_leaves(db: Db) {
    assert_eq!(db.get_conductor("c1").await.unwrap(), None);
    let nobody = Term { hostname: "c1".to_owned(), epoch: 1 };
    assert!(matches!(db.touch_conductor(&nobody).await, Err(DbError::Fenced { .. })));
    let first = db.register_conductor(registration(
        "c1",
        vec![hardware("redfish", &["redfish"]), hardware("ipmi", &["a"])],
    ));
    let first = first.await.unwrap();
    assert!(first.online);
    assert_eq!(first.drivers, ["ipmi", "redfish"]);
    let other = db.register_conductor(registration("c0", vec![])).await.unwrap();
    assert!(other.drivers.is_empty());
    let term = Term::from(&first);
    db.touch_conductor(&term).await.unwrap();
    let touched = db.get_conductor("c1").await.unwrap().unwrap();
    assert!(touched.online && touched.updated_at > first.updated_at);
    db.set_conductor_offline(&term).await.unwrap();
    assert!(matches!(db.touch_conductor(&term).await, Err(DbError::Fenced { .. })));
    assert!(!db.get_conductor("c1").await.unwrap().unwrap().online);
    let again = db.register_conductor(registration("c1", vec![hardware("ipmi", &["b"])])).await.unwrap();
    assert_eq!((again.id, again.created_at), (first.id, first.created_at));
    assert!(again.online && again.epoch > first.epoch + 1);
    assert_eq!(again.drivers, ["ipmi"]);
    assert_eq!(db.list_conductors().await.unwrap(), [again, other]);
}

pub(crate) async fn hardware_is_what_online_conductors_offer(db: Db) {
    let (ipmi, redfish) = (hardware("ipmi", &["ipmitool", "fake"]), hardware("redfish", &["redfish"]));
    db.register_conductor(registration("c1", vec![redfish.clone(), ipmi.clone()])).await.unwrap();
    db.register_conductor(registration("c2", vec![hardware("ipmi", &["fake"])])).await.unwrap();
    let gone = db.register_conductor(registration("c3", vec![ipmi.clone()])).await.unwrap();
    db.set_conductor_offline(&Term::from(&gone)).await.unwrap();
    let offers = db.conductor_hardware().await.unwrap();
    let hosts: Vec<_> =
        offers.iter().map(|offer| (offer.hardware_type.name.as_str(), offer.hostname.as_str())).collect();
    assert_eq!(hosts, [("ipmi", "c1"), ("ipmi", "c2"), ("redfish", "c1")]);
    assert_eq!(offers[0].hardware_type, ipmi);
    assert_eq!(offers[1].hardware_type, hardware("ipmi", &["fake"]));
    assert_eq!(offers[2].hardware_type, redfish);
    assert_eq!(offers[0].conductor_group, "rack");
}

pub(crate) fn decision(node: &Node, conductor: &str, by: &Term, seq: i64, flow: FlowId) -> Commit {
    let row = FlowRow {
        node: node.uuid,
        flow,
        kind: "deploy".to_owned(),
        record: "{}".to_owned(),
        deadline_at: Some(time(5)),
        updated_at: time(1),
        conductor: conductor.to_owned(),
    };
    let intent = JournalWrite::Intent {
        flow,
        seq,
        step: "write_image".to_owned(),
        effect: String::new(),
        at: time(1),
    };
    Commit {
        by: Some(by.clone()),
        flow: FlowChange::Put(row),
        journal: vec![intent],
        ..Commit::new(node.clone(), node.clone())
    }
}

pub(crate) async fn what_a_dead_conductor_says_is_refused(db: Db) {
    let one = db.register_conductor(registration("c1", vec![])).await.unwrap();
    let two = Term::from(&db.register_conductor(registration("c2", vec![])).await.unwrap());
    let term = Term::from(&one);
    let nodes = store(&db, vec![bare(), bare()]).await;
    let flow = FlowId::random();
    let node = db.commit(decision(&nodes[0], "c1", &term, 1, flow)).await.unwrap();
    let line = db.journal_of_flow(flow).await.unwrap().remove(0);
    assert_eq!((line.conductor.as_deref(), line.epoch), (Some("c1"), Some(one.epoch)));
    assert!(db.stray_flows().await.unwrap().is_empty());

    // It gave a sign of life since: nothing is declared.
    db.touch_conductor(&term).await.unwrap();
    assert!(!db.declare_conductor_dead(&one).await.unwrap());
    let seen = db.get_conductor("c1").await.unwrap().unwrap();
    assert!(db.declare_conductor_dead(&seen).await.unwrap());
    assert!(!db.declare_conductor_dead(&seen).await.unwrap(), "once");
    let refused = db.commit(decision(&node, "c1", &term, 2, flow)).await;
    assert!(matches!(refused, Err(DbError::Fenced { .. })), "{refused:?}");
    assert!(matches!(db.touch_conductor(&term).await, Err(DbError::Fenced { .. })));
    assert_eq!(db.journal_of_flow(flow).await.unwrap().len(), 1);

    // Its flow is claimed once, by one that lives.
    let strays = db.stray_flows().await.unwrap();
    assert_eq!(strays.len(), 1);
    assert_eq!((strays[0].node, strays[0].conductor.as_str()), (node.uuid, "c1"));
    assert!(matches!(db.claim_flows(strays.clone(), &term).await, Err(DbError::Fenced { .. })));
    let claimed = db.claim_flows(strays.clone(), &two).await.unwrap();
    assert_eq!(claimed.len(), 1);
    assert_eq!(db.flow_of(node.uuid).await.unwrap().as_ref(), claimed.first());
    assert!(db.claim_flows(strays, &two).await.unwrap().is_empty());
    let late = db.commit(decision(&node, "c1", &two, 2, flow)).await;
    assert!(matches!(late, Err(DbError::Conflict { .. })), "decided before the claim: {late:?}");
    assert!(db.stray_flows().await.unwrap().is_empty());
    assert_eq!(db.flows_of_conductor("c2").await.unwrap().len(), 1);
    assert!(db.flows_of_conductor("c1").await.unwrap().is_empty());
}

pub(crate) async fn every_statement_fits_the_schema(db: Db) {
    assert!(db.check_statements().await.unwrap() > 40);
}

pub(crate) async fn opening_again_finds_everything_done(db: Db) {
    // The migrations ran when the store was opened; the handle works, and a closed one says so.
    db.put_setting("a", "b").await.unwrap();
    db.close().await;
    assert!(matches!(db.get_setting("a").await, Err(DbError::Closed)));
    assert!(matches!(db.put_setting("a", "c").await, Err(DbError::Closed)));
}

pub(crate) async fn the_long_silent_are_forgotten(db: Db) {
    for name in ["c0", "c1", "c2"] {
        db.register_conductor(registration(name, vec![hardware("ipmi", &["a"])])).await.unwrap();
    }
    let later = Timestamp::now().plus(std::time::Duration::from_hours(1));
    assert_eq!(db.forget_conductors(time(1), 50).await.unwrap(), 0, "all have been heard of since");
    // One of them holds a node.
    let mut held = bare();
    held.lease = Some(Lease { holder: "c1".to_owned(), expires_at: later, reason: "deploy".to_owned() });
    store(&db, vec![held]).await;
    assert_eq!(db.forget_conductors(later, 1).await.unwrap(), 1, "so many at a time");
    assert_eq!(db.forget_conductors(later, 50).await.unwrap(), 1);
    let left: Vec<String> = db.list_conductors().await.unwrap().into_iter().map(|it| it.hostname).collect();
    assert_eq!(left, ["c1"]);
    assert_eq!(db.conductor_hardware().await.unwrap().len(), 1, "what they offered went with them");
}
