//! Ports.

use db::{Db, DbError, PortFilter, PortKey, PortQuery, PortSort, Scope};
use model::{Node, NodeUuid, Port, PortUuid};

use crate::fixtures::{bare, full, full_port, mac, store, time};

async fn nodes_and_ports(db: &Db) -> (Node, Node, Vec<Port>) {
    let [a, b] = <[Node; 2]>::try_from(store(db, vec![full("a"), bare()]).await).unwrap();
    let mut ports = Vec::new();
    for port in [full_port(a.uuid, 1), full_port(a.uuid, 2), Port::new(b.uuid, mac(3), time(5))] {
        ports.push(db.create_port(port).await.unwrap());
    }
    (a, b, ports)
}

pub(crate) async fn every_field_comes_back(db: Db) {
    let (_, b, ports) = nodes_and_ports(&db).await;
    assert_eq!(
        ports[0],
        Port {
            id: ports[0].id,
            uuid: ports[0].uuid,
            portgroup_uuid: ports[0].portgroup_uuid,
            ..full_port(ports[0].node_uuid, 1)
        }
    );
    assert_eq!(db.list_ports(&PortQuery::new(Scope::All)).await.unwrap(), ports);
    let mut wanted = full_port(b.uuid, 9);
    wanted.name = Some("renamed".to_owned());
    let after = db.update_port(&ports[2], wanted.clone()).await.unwrap();
    let expected = Port {
        id: ports[2].id,
        uuid: ports[2].uuid,
        created_at: ports[2].created_at,
        updated_at: after.updated_at,
        ..wanted
    };
    assert!(after.updated_at > Some(ports[2].created_at));
    assert_eq!(after, expected);
    let key = PortKey::Uuid(after.uuid);
    assert_eq!(db.get_port(&key, &Scope::All).await.unwrap(), Some(expected));
}

pub(crate) async fn keys_find_the_port(db: Db) {
    let (_, _, ports) = nodes_and_ports(&db).await;
    for key in [PortKey::Uuid(ports[1].uuid), PortKey::Name("port-2".to_owned()), PortKey::Address(mac(2))] {
        assert_eq!(db.get_port(&key, &Scope::All).await.unwrap().as_ref(), Some(&ports[1]), "{key:?}");
    }
    assert_eq!(db.get_port(&PortKey::Address(mac(77)), &Scope::All).await.unwrap(), None);
}

pub(crate) async fn duplicates_name_the_field(db: Db) {
    let (a, _, ports) = nodes_and_ports(&db).await;
    let expect = |result: Result<Port, DbError>, wanted: &str, text: &str| match result.unwrap_err() {
        DbError::Duplicate { field, value } => assert_eq!((field, value.as_str()), (wanted, text)),
        error => panic!("{error:?}"),
    };
    expect(db.create_port(Port::new(a.uuid, mac(1), time(1))).await, "address", &mac(1).to_string());
    let mut same = Port::new(a.uuid, mac(50), time(1));
    same.name = Some("port-1".to_owned());
    expect(db.create_port(same).await, "name", "port-1");
    let mut same = Port::new(a.uuid, mac(50), time(1));
    same.uuid = ports[0].uuid;
    expect(db.create_port(same).await, "uuid", &ports[0].uuid.to_string());
    let moved = Port { address: mac(1), ..ports[2].clone() };
    expect(db.update_port(&ports[2], moved).await, "address", &mac(1).to_string());
}

pub(crate) async fn a_stale_write_is_a_conflict(db: Db) {
    let (_, _, ports) = nodes_and_ports(&db).await;
    let mut before = ports[0].clone();
    for round in 0..5 {
        let after = Port { pxe_enabled: round % 2 == 0, ..before.clone() };
        let written = db.update_port(&before, after.clone()).await.unwrap();
        assert!(written.updated_at > before.updated_at);
        assert!(matches!(db.update_port(&before, after).await, Err(DbError::Conflict { what: "port", .. })));
        before = written;
    }
    db.delete_port(before.uuid).await.unwrap();
    assert!(matches!(db.delete_port(before.uuid).await, Err(DbError::NotFound { .. })));
    assert!(matches!(db.update_port(&before, before.clone()).await, Err(DbError::NotFound { .. })));
}

pub(crate) async fn a_port_needs_its_node(db: Db) {
    let port = Port::new(NodeUuid::random(), mac(1), time(1));
    assert!(matches!(db.create_port(port).await, Err(DbError::MissingReference { what: "port", .. })));
}

pub(crate) async fn each_filter_selects(db: Db) {
    let (a, b, ports) = nodes_and_ports(&db).await;
    let all = PortFilter::default();
    let texts = |texts: &[&str]| Some(texts.iter().map(|&text| text.to_owned()).collect::<Vec<_>>());
    let cases: Vec<(&str, PortFilter, Vec<usize>)> = vec![
        ("node", PortFilter { nodes: Some(vec![b.uuid]), ..all.clone() }, vec![2]),
        ("nodes", PortFilter { nodes: Some(vec![a.uuid, b.uuid]), ..all.clone() }, vec![0, 1, 2]),
        ("no node", PortFilter { nodes: Some(vec![]), ..all.clone() }, vec![]),
        (
            "addresses",
            PortFilter { addresses: Some(vec![mac(3), mac(1), mac(99)]), ..all.clone() },
            vec![0, 2],
        ),
        ("portgroup", PortFilter { portgroup_uuid: ports[1].portgroup_uuid, ..all.clone() }, vec![1]),
        ("shards", PortFilter { shards: texts(&["shard-a"]), ..all.clone() }, vec![0, 1]),
        ("no shards", PortFilter { shards: texts(&[]), ..all.clone() }, vec![]),
        (
            "description",
            PortFilter { description_contains: Some("NUMBER 2".to_owned()), ..all.clone() },
            vec![1],
        ),
        ("groups", PortFilter { conductor_groups: texts(&["", "x"]), ..all.clone() }, vec![2]),
        (
            "all",
            PortFilter {
                nodes: Some(vec![a.uuid]),
                addresses: Some(vec![mac(1)]),
                portgroup_uuid: ports[0].portgroup_uuid,
                shards: texts(&["shard-a"]),
                description_contains: Some("port".to_owned()),
                conductor_groups: texts(&["group-a"]),
            },
            vec![0],
        ),
    ];
    for (name, filter, expected) in cases {
        let found = db.list_ports(&PortQuery { filter, ..PortQuery::new(Scope::All) }).await.unwrap();
        let expected: Vec<Port> = expected.into_iter().map(|index| ports[index].clone()).collect();
        assert_eq!(found, expected, "{name}");
    }
}

pub(crate) async fn a_project_sees_its_nodes_ports(db: Db) {
    let (a, b, ports) = nodes_and_ports(&db).await;
    let scope = Scope::project("lessee-a");
    assert_eq!(db.list_ports(&PortQuery::new(scope.clone())).await.unwrap(), ports[..2]);
    assert_eq!(db.list_ports(&PortQuery::of_node(scope.clone(), b.uuid)).await.unwrap(), []);
    assert_eq!(db.list_ports(&PortQuery::of_node(scope.clone(), a.uuid)).await.unwrap().len(), 2);
    let key = PortKey::Uuid(ports[2].uuid);
    assert_eq!(db.get_port(&key, &scope).await.unwrap(), None);
}

pub(crate) async fn pages_have_no_gap_and_no_duplicate(db: Db) {
    let (a, b, mut ports) = nodes_and_ports(&db).await;
    for last in 10..20 {
        let node = if last % 3 == 0 { a.uuid } else { b.uuid };
        let mut port = Port::new(node, mac(1000 - last), time((last % 2).into()));
        port.vendor = (last % 2 == 0).then(|| format!("v{}", last % 3));
        port.pxe_enabled = last % 4 == 0;
        ports.push(db.create_port(port).await.unwrap());
    }
    for &sort_key in PortSort::ALL {
        for descending in [false, true] {
            let query = PortQuery { sort_key, descending, ..PortQuery::new(Scope::All) };
            let whole = db.list_ports(&query).await.unwrap();
            assert_eq!(whole.len(), ports.len());
            let mut paged = Vec::new();
            let mut page = PortQuery { limit: 4, ..query };
            loop {
                let found = db.list_ports(&page).await.unwrap();
                let Some(last) = found.last() else { break };
                page.marker = Some(last.uuid);
                paged.extend(found);
            }
            assert_eq!(paged, whole, "{sort_key:?} {descending}");
        }
    }
    let query = PortQuery { marker: Some(PortUuid::random()), ..PortQuery::new(Scope::All) };
    assert!(matches!(db.list_ports(&query).await, Err(DbError::MarkerNotFound { .. })));
}
