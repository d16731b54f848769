//! Inspections: a report waits, and what comes of it is recorded whole.

use db::{Db, DbError, Inspected, NodeKey, PortQuery, Scope};
use model::{Node, NodeInventory, NodeUuid, Port};

use crate::fixtures::{bare, json, mac, time};

fn data(count: u8) -> NodeInventory {
    NodeInventory {
        inventory: json(&format!(r#"{{"cpu": {{"count": {count}}}}}"#)),
        plugin_data: json(r#"{"a": "ß"}"#),
    }
}

pub(crate) async fn the_last_report_waits(db: Db) {
    let node = db.create_node(bare()).await.unwrap();
    assert_eq!(db.inspection_report(node.uuid).await.unwrap(), None);
    for count in 1..3 {
        db.keep_inspection_report(node.uuid, data(count)).await.unwrap();
        assert_eq!(db.inspection_report(node.uuid).await.unwrap(), Some(data(count)));
    }
    assert_eq!(db.inventory(node.uuid).await.unwrap(), None, "it is no inventory yet");
    db.drop_inspection_report(node.uuid).await.unwrap();
    assert_eq!(db.inspection_report(node.uuid).await.unwrap(), None);
    let nobody = db.keep_inspection_report(NodeUuid::random(), data(1)).await;
    assert!(matches!(nobody, Err(DbError::MissingReference { .. })));
}

pub(crate) async fn what_comes_of_it_is_recorded_whole(db: Db) {
    let node = db.create_node(bare()).await.unwrap();
    let port = |last| Port::new(node.uuid, mac(last), time(1));
    let gone = db.create_port(port(1)).await.unwrap();
    let kept = db.create_port(port(2)).await.unwrap();
    db.keep_inspection_report(node.uuid, data(1)).await.unwrap();
    let changed = Port { pxe_enabled: !kept.pxe_enabled, ..kept.clone() };
    let done = Inspected {
        before: Some(node.clone()),
        after: Node { properties: json(r#"{"cpus": 1}"#), ..node.clone() },
        ports_before: vec![gone.clone(), kept.clone()],
        ports_after: vec![changed.clone(), port(3)],
        data: data(2),
    };
    // A port that cannot be written spoils everything.
    let other = db.create_node(bare()).await.unwrap();
    let elsewhere = Port::new(other.uuid, mac(4), time(1));
    db.create_port(elsewhere.clone()).await.unwrap();
    let clash = Port::new(node.uuid, mac(4), time(1));
    let spoilt = Inspected { ports_after: vec![changed, clash], ..done.clone() };
    assert!(matches!(db.finish_inspection(spoilt).await, Err(DbError::Duplicate { field: "address", .. })));
    assert_eq!(db.get_node(&NodeKey::Uuid(node.uuid), &Scope::All).await.unwrap(), Some(node.clone()));
    assert_eq!(db.inspection_report(node.uuid).await.unwrap(), Some(data(1)));
    assert_eq!(db.inventory(node.uuid).await.unwrap(), None);

    let after = db.finish_inspection(done.clone()).await.unwrap();
    assert_eq!(after.properties, json(r#"{"cpus": 1}"#));
    let ports = db.list_ports(&PortQuery::new(Scope::All)).await.unwrap();
    let found: Vec<_> = ports.iter().map(|port| (port.address, port.pxe_enabled)).collect();
    assert_eq!(found, [(mac(2), false), (mac(4), true), (mac(3), true)]);
    assert_eq!(db.inventory(node.uuid).await.unwrap(), Some(data(2)));
    assert_eq!(db.inspection_report(node.uuid).await.unwrap(), None);
    assert!(matches!(db.finish_inspection(done).await, Err(DbError::Conflict { .. })));

    let found = Node { name: Some("found".to_owned()), ..bare() };
    let port = Port::new(found.uuid, mac(9), time(1));
    let discovered = Inspected {
        before: None,
        after: found,
        ports_before: Vec::new(),
        ports_after: vec![port],
        data: data(3),
    };
    let node = db.finish_inspection(discovered).await.unwrap();
    assert_eq!(db.inventory(node.uuid).await.unwrap(), Some(data(3)));
    let key = NodeKey::Address(mac(9));
    assert_eq!(db.get_node(&key, &Scope::All).await.unwrap(), Some(node));
}
