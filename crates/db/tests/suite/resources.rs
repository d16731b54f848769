//! Portgroups, chassis, volume connectors and volume targets.

use db::{
    Db, DbError, NodeKey, Paging, PortKey, PortgroupFilter, PortgroupKey, PortgroupQuery, Scope, Sort,
    VolumeConnectorQuery, VolumeTargetQuery,
};
use model::{
    Chassis, Node, NodeUuid, Port, Portgroup, PortgroupUuid, VolumeConnector, VolumeTarget, VolumeTargetUuid,
};

use crate::fixtures::{bare, full, json, mac, store, time};

fn bond(node: NodeUuid, last: u16) -> Portgroup {
    let mut bond = Portgroup::new(node, time(1_700_000_000_000_000));
    bond.address = Some(mac(last));
    bond.name = Some(format!("bond-{last}"));
    bond.mode = String::from("802.3ad");
    bond.standalone_ports_supported = false;
    bond.physical_network = Some("physnet".to_owned());
    bond.category = Some("category".to_owned());
    bond.properties = json(r#"{"miimon": 100}"#);
    bond.extra = json(r#"{"a": 1}"#);
    bond.internal_info = json(r#"{"b": "ß"}"#);
    bond
}

fn connector(node: NodeUuid, id: &str) -> VolumeConnector {
    let mut connector = VolumeConnector::new(node, time(1_700_000_000_000_000));
    connector.kind = String::from("iqn");
    connector.connector_id = String::from(id);
    connector.extra = json(r#"{"a": 1}"#);
    connector
}

fn target(node: NodeUuid, boot_index: i64) -> VolumeTarget {
    let mut target = VolumeTarget::new(node, time(1_700_000_000_000_000));
    target.volume_type = String::from("iscsi");
    target.volume_id = String::from("volume-1");
    target.boot_index = boot_index;
    target.properties = json(r#"{"auth_password": "hunter2"}"#);
    target.extra = json(r#"{"a": 1}"#);
    target
}

async fn nodes(db: &Db) -> [Node; 2] {
    store(db, vec![full("a"), bare()]).await.try_into().unwrap()
}

fn bonds(visible_to: Scope) -> PortgroupQuery {
    PortgroupQuery { visible_to, filter: PortgroupFilter::default(), paging: Paging::default() }
}

fn connectors(visible_to: Scope) -> VolumeConnectorQuery {
    VolumeConnectorQuery { visible_to, node: None, paging: Paging::default() }
}

fn targets(visible_to: Scope) -> VolumeTargetQuery {
    VolumeTargetQuery { visible_to, node: None, paging: Paging::default() }
}

pub(crate) async fn every_field_comes_back(db: Db) {
    let [a, b] = nodes(&db).await;
    let wanted = bond(a.uuid, 1);
    let stored = db.create_portgroup(wanted.clone()).await.unwrap();
    assert_eq!(stored, Portgroup { id: stored.id, ..wanted });
    let name = PortgroupKey::Name("bond-1".to_owned());
    assert_eq!(db.get_portgroup(&name, &Scope::All).await.unwrap(), Some(stored.clone()));
    let plain = Portgroup::new(b.uuid, time(5));
    let written = db.update_portgroup(&stored, plain.clone()).await.unwrap();
    let (id, uuid, created_at, updated_at) = (stored.id, stored.uuid, stored.created_at, written.updated_at);
    assert_eq!(written, Portgroup { id, uuid, created_at, updated_at, ..plain });
    assert!(updated_at > Some(created_at));
    let key = PortgroupKey::Uuid(uuid);
    assert_eq!(db.get_portgroup(&key, &Scope::All).await.unwrap(), Some(written));

    let mut wanted = Chassis::new(time(1_700_000_000_000_000));
    wanted.description = Some("Rack ß".to_owned());
    wanted.extra = json(r#"{"a": 1}"#);
    let stored = db.create_chassis(wanted.clone()).await.unwrap();
    assert_eq!(stored, Chassis { id: stored.id, ..wanted.clone() });
    let written = db.update_chassis(&stored, Chassis { description: None, ..wanted }).await.unwrap();
    assert_eq!(db.get_chassis(stored.uuid).await.unwrap(), Some(written.clone()));
    assert_eq!((written.description, written.extra), (None, stored.extra));

    let wanted = connector(a.uuid, "iqn-1");
    let stored = db.create_volume_connector(wanted.clone()).await.unwrap();
    assert_eq!(stored, VolumeConnector { id: stored.id, ..wanted });
    let after = VolumeConnector { kind: "ip".to_owned(), node_uuid: b.uuid, ..stored.clone() };
    let written = db.update_volume_connector(&stored, after.clone()).await.unwrap();
    assert_eq!(written, VolumeConnector { updated_at: written.updated_at, ..after });
    assert_eq!(db.get_volume_connector(stored.uuid, &Scope::All).await.unwrap(), Some(written));

    let wanted = target(a.uuid, 0);
    let stored = db.create_volume_target(wanted.clone()).await.unwrap();
    assert_eq!(stored, VolumeTarget { id: stored.id, ..wanted });
    let after = VolumeTarget { boot_index: -7, volume_id: "other".to_owned(), ..stored.clone() };
    let written = db.update_volume_target(&stored, after.clone()).await.unwrap();
    assert_eq!(written, VolumeTarget { updated_at: written.updated_at, ..after });
    assert_eq!(db.get_volume_target(stored.uuid, &Scope::All).await.unwrap(), Some(written));
}

pub(crate) async fn duplicates_name_the_field(db: Db) {
    fn expect<T: std::fmt::Debug>(result: Result<T, DbError>, wanted: &str, text: &str) {
        match result.unwrap_err() {
            DbError::Duplicate { field, value } => assert_eq!((field, value.as_str()), (wanted, text)),
            error => panic!("{error:?}"),
        }
    }
    let [a, b] = nodes(&db).await;
    let first = db.create_portgroup(bond(a.uuid, 1)).await.unwrap();
    let second = db.create_portgroup(bond(a.uuid, 2)).await.unwrap();
    let same = Portgroup { address: first.address, ..bond(a.uuid, 3) };
    expect(db.create_portgroup(same).await, "address", &mac(1).to_string());
    let same = Portgroup { name: first.name.clone(), ..second.clone() };
    expect(db.update_portgroup(&second, same).await, "name", "bond-1");
    let same = Portgroup { uuid: first.uuid, ..bond(a.uuid, 3) };
    expect(db.create_portgroup(same).await, "uuid", &first.uuid.to_string());
    let chassis = db.create_chassis(Chassis::new(time(1))).await.unwrap();
    expect(db.create_chassis(chassis.clone()).await, "uuid", &chassis.uuid.to_string());

    db.create_volume_connector(connector(a.uuid, "iqn-1")).await.unwrap();
    expect(db.create_volume_connector(connector(b.uuid, "iqn-1")).await, "connector_id", "iqn-1");
    let other = VolumeConnector { kind: "ip".to_owned(), ..connector(b.uuid, "iqn-1") };
    db.create_volume_connector(other).await.unwrap();
    db.create_volume_target(target(a.uuid, 0)).await.unwrap();
    db.create_volume_target(target(b.uuid, 0)).await.unwrap();
    expect(db.create_volume_target(target(a.uuid, 0)).await, "boot_index", "0");
}

pub(crate) async fn a_stale_write_is_a_conflict(db: Db) {
    let [a, _] = nodes(&db).await;
    let mut before = db.create_portgroup(bond(a.uuid, 1)).await.unwrap();
    for round in 0..3 {
        let after = Portgroup { mode: format!("mode-{round}"), ..before.clone() };
        let written = db.update_portgroup(&before, after.clone()).await.unwrap();
        assert!(written.updated_at > before.updated_at);
        let stale = db.update_portgroup(&before, after).await;
        assert!(matches!(stale, Err(DbError::Conflict { what: "portgroup", .. })));
        before = written;
    }
    db.delete_portgroup(before.uuid).await.unwrap();
    assert!(matches!(db.delete_portgroup(before.uuid).await, Err(DbError::NotFound { .. })));
    assert!(matches!(db.update_portgroup(&before, before.clone()).await, Err(DbError::NotFound { .. })));
    let unknown = VolumeTargetUuid::random();
    assert!(matches!(db.delete_volume_target(unknown).await, Err(DbError::NotFound { .. })));
}

pub(crate) async fn rows_in_use_stay(db: Db) {
    let [a, _] = nodes(&db).await;
    let bond = db.create_portgroup(bond(a.uuid, 1)).await.unwrap();
    let mut port = Port::new(a.uuid, mac(9), time(1));
    port.portgroup_uuid = Some(bond.uuid);
    let port = db.create_port(port).await.unwrap();
    assert!(matches!(db.delete_portgroup(bond.uuid).await, Err(DbError::InUse { what: "portgroup", .. })));
    db.delete_port(port.uuid).await.unwrap();
    db.delete_portgroup(bond.uuid).await.unwrap();

    let chassis = db.create_chassis(Chassis::new(time(1))).await.unwrap();
    let after = Node { chassis_uuid: Some(chassis.uuid), ..a.clone() };
    let held = db.update_node(&a, after).await.unwrap();
    assert!(matches!(db.delete_chassis(chassis.uuid).await, Err(DbError::InUse { what: "chassis", .. })));
    db.delete_node(&held).await.unwrap();
    db.delete_chassis(chassis.uuid).await.unwrap();
    assert_eq!(db.get_chassis(chassis.uuid).await.unwrap(), None);
}

pub(crate) async fn rows_of_a_node_need_it_and_go_with_it(db: Db) {
    let nobody = NodeUuid::random();
    for missing in [
        db.create_portgroup(bond(nobody, 1)).await.map(drop),
        db.create_volume_connector(connector(nobody, "x")).await.map(drop),
        db.create_volume_target(target(nobody, 1)).await.map(drop),
    ] {
        assert!(matches!(missing, Err(DbError::MissingReference { .. })), "{missing:?}");
    }
    let [a, _] = nodes(&db).await;
    db.create_portgroup(bond(a.uuid, 1)).await.unwrap();
    db.create_volume_connector(connector(a.uuid, "x")).await.unwrap();
    db.create_volume_target(target(a.uuid, 1)).await.unwrap();
    db.delete_node(&a).await.unwrap();
    assert_eq!(db.get_node(&NodeKey::Uuid(a.uuid), &Scope::All).await.unwrap(), None);
    assert_eq!(db.list_portgroups(&bonds(Scope::All)).await.unwrap(), []);
    assert_eq!(db.list_volume_connectors(&connectors(Scope::All)).await.unwrap(), []);
    assert_eq!(db.list_volume_targets(&targets(Scope::All)).await.unwrap(), []);
}

pub(crate) async fn a_project_sees_what_its_nodes_have(db: Db) {
    let [a, b] = nodes(&db).await;
    let scope = Scope::project("lessee-a");
    let mine = db.create_portgroup(bond(a.uuid, 1)).await.unwrap();
    let other = db.create_portgroup(bond(b.uuid, 2)).await.unwrap();
    assert_eq!(db.list_portgroups(&bonds(scope.clone())).await.unwrap(), std::slice::from_ref(&mine));
    for (key, seen) in [
        (PortgroupKey::Uuid(mine.uuid), true),
        (PortgroupKey::Uuid(other.uuid), false),
        (PortgroupKey::Name("bond-1".to_owned()), true),
        (PortgroupKey::Name("bond-2".to_owned()), false),
    ] {
        assert_eq!(db.get_portgroup(&key, &scope).await.unwrap().is_some(), seen, "{key:?}");
    }
    let mut hidden = bonds(scope.clone());
    hidden.paging.marker = Some(other.uuid.to_string());
    assert!(matches!(db.list_portgroups(&hidden).await, Err(DbError::MarkerNotFound { .. })));

    let mine = db.create_volume_connector(connector(a.uuid, "1")).await.unwrap();
    let other = db.create_volume_connector(connector(b.uuid, "2")).await.unwrap();
    assert_eq!(db.list_volume_connectors(&connectors(scope.clone())).await.unwrap(), [mine]);
    assert_eq!(db.get_volume_connector(other.uuid, &scope).await.unwrap(), None);
    let of_node = VolumeConnectorQuery { node: Some(b.uuid), ..connectors(Scope::All) };
    assert_eq!(db.list_volume_connectors(&of_node).await.unwrap(), [other]);

    let mine = db.create_volume_target(target(a.uuid, 1)).await.unwrap();
    let other = db.create_volume_target(target(b.uuid, 2)).await.unwrap();
    assert_eq!(db.list_volume_targets(&targets(scope.clone())).await.unwrap(), [mine]);
    assert_eq!(db.get_volume_target(other.uuid, &scope).await.unwrap(), None);
    let of_node = VolumeTargetQuery { node: Some(b.uuid), ..targets(Scope::All) };
    assert_eq!(db.list_volume_targets(&of_node).await.unwrap(), [other]);
}

pub(crate) async fn portgroups_are_filtered(db: Db) {
    let [a, b] = nodes(&db).await;
    let of_a = db.create_portgroup(bond(a.uuid, 1)).await.unwrap();
    let of_b = db.create_portgroup(bond(b.uuid, 2)).await.unwrap();
    let texts = |text: &str| Some(vec![text.to_owned()]);
    let all = PortgroupFilter::default();
    for (filter, wanted) in [
        (PortgroupFilter { node: Some(b.uuid), ..all.clone() }, vec![&of_b]),
        (PortgroupFilter { address: Some(mac(1)), ..all.clone() }, vec![&of_a]),
        (PortgroupFilter { shards: texts("shard-a"), ..all.clone() }, vec![&of_a]),
        (PortgroupFilter { conductor_groups: texts(""), ..all.clone() }, vec![&of_b]),
        (PortgroupFilter { shards: Some(vec![]), ..all.clone() }, vec![]),
        (all, vec![&of_a, &of_b]),
    ] {
        let query = PortgroupQuery { filter, ..bonds(Scope::All) };
        let found = db.list_portgroups(&query).await.unwrap();
        assert_eq!(found.iter().collect::<Vec<_>>(), wanted, "{query:?}");
    }
}

pub(crate) async fn a_physical_network_spreads_to_the_ports(db: Db) {
    let [a, _] = nodes(&db).await;
    let before = db.create_portgroup(bond(a.uuid, 1)).await.unwrap();
    let mut ports = Vec::new();
    for (last, portgroup) in [(1, Some(before.uuid)), (2, Some(PortgroupUuid::random())), (3, None)] {
        // Created in the future: the time of the change has to be later still.
        let mut port = Port::new(a.uuid, mac(last), time(4_000_000_000_000_000));
        port.portgroup_uuid = portgroup;
        ports.push(db.create_port(port).await.unwrap());
    }
    let after = Portgroup { physical_network: Some("other".to_owned()), ..before.clone() };
    let after = db.update_portgroup(&before, after).await.unwrap();
    for (port, network) in ports.iter().zip([Some("other"), None, None]) {
        let now = db.get_port(&PortKey::Uuid(port.uuid), &Scope::All).await.unwrap().unwrap();
        assert_eq!(now.physical_network.as_deref(), network);
        assert_eq!(now.updated_at > Some(port.created_at), network.is_some());
    }
    db.update_portgroup(&after, Portgroup { physical_network: None, ..after.clone() }).await.unwrap();
    let now = db.get_port(&PortKey::Uuid(ports[0].uuid), &Scope::All).await.unwrap().unwrap();
    assert_eq!(now.physical_network, None);
}

pub(crate) async fn pages_have_no_gap_and_no_duplicate(db: Db) {
    let [a, b] = nodes(&db).await;
    for last in 0..10 {
        let node = if last % 3 == 0 { a.uuid } else { b.uuid };
        let mut bond = Portgroup::new(node, time((last % 2).into()));
        bond.address = (last % 2 == 0).then(|| mac(100 - last));
        bond.category = (last % 4 != 0).then(|| format!("c{}", last % 3));
        db.create_portgroup(bond).await.unwrap();
        let mut chassis = Chassis::new(time((last % 3).into()));
        chassis.description = (last % 2 == 0).then(|| format!("d{}", last % 4));
        db.create_chassis(chassis).await.unwrap();
        db.create_volume_connector(connector(node, &format!("iqn-{}", 9 - last))).await.unwrap();
        db.create_volume_target(target(node, (7 * i64::from(last)) % 10)).await.unwrap();
    }
    macro_rules! walk {
        ($noun:ty, $list:expr) => {
            for sort in Sort::<$noun>::all() {
                for descending in [false, true] {
                    let whole = Paging { sort: sort.clone(), descending, ..Paging::default() };
                    let mut page = Paging { limit: 3, ..whole.clone() };
                    let whole: Vec<$noun> = $list(whole).await.unwrap();
                    assert_eq!(whole.len(), 10);
                    let mut paged = Vec::new();
                    loop {
                        let found: Vec<$noun> = $list(page.clone()).await.unwrap();
                        let Some(last) = found.last() else { break };
                        page.marker = Some(last.uuid.to_string());
                        paged.extend(found);
                    }
                    assert_eq!(paged, whole, "{sort:?} {descending}");
                }
            }
        };
    }
    let db = &db;
    walk!(Portgroup, async |paging| db
        .list_portgroups(&PortgroupQuery { paging, ..bonds(Scope::All) })
        .await);
    walk!(Chassis, async |paging| db.list_chassis(&paging).await);
    walk!(VolumeConnector, async |paging| db
        .list_volume_connectors(&VolumeConnectorQuery { paging, ..connectors(Scope::All) })
        .await);
    walk!(VolumeTarget, async |paging| db
        .list_volume_targets(&VolumeTargetQuery { paging, ..targets(Scope::All) })
        .await);
    let unknown = Paging { marker: Some(PortgroupUuid::random().to_string()), ..Paging::default() };
    assert!(matches!(db.list_chassis(&unknown).await, Err(DbError::MarkerNotFound { .. })));
    assert_eq!(Sort::<Portgroup>::from_field("extra"), None);
    assert!(Sort::<VolumeConnector>::from_field("type").is_some());
}
