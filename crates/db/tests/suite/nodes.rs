//! Nodes: fields, keys, filters, writers that collide.

use std::collections::BTreeSet;
use std::str::FromStr as _;

use db::{
    Db, DbError, FlowChange, FlowRow, HistoryEntry, NodeFilter, NodeKey, NodeQuery, NodeSort, PortQuery,
    Scope,
};
use model::{
    Fault, FlowId, HistoryUuid, InterfaceKind, Lease, Node, NodeUuid, Port, ProvisionState, Timestamp, Trait,
};

use crate::fixtures::{bare, everything, full, mac, store, time};

async fn get(db: &Db, uuid: NodeUuid) -> Node {
    db.get_node(&uuid.into(), &Scope::All).await.unwrap().unwrap()
}

pub(crate) async fn every_field_comes_back(db: Db) {
    let given = full("one");
    let stored = db.create_node(given.clone()).await.unwrap();
    assert!(stored.id > 0);
    let expected = Node { id: stored.id, revision: 1, ..given };
    assert_eq!(stored, expected);
    assert_eq!(get(&db, stored.uuid).await, expected);
    assert_eq!(db.list_nodes(&everything()).await.unwrap(), [expected]);
}

pub(crate) async fn every_changed_field_is_written(db: Db) {
    let before = db.create_node(bare()).await.unwrap();
    let wanted = full("two");
    let after = db.update_node(&before, wanted.clone()).await.unwrap();
    let expected = Node {
        id: before.id,
        uuid: before.uuid,
        created_at: before.created_at,
        revision: 2,
        updated_at: after.updated_at,
        ..wanted
    };
    assert!(after.updated_at.unwrap() > before.created_at);
    assert_eq!(after, expected);
    assert_eq!(get(&db, before.uuid).await, expected);
    // And back: values become absent, too.
    let again = db.update_node(&after, bare()).await.unwrap();
    assert_eq!(again.revision, 3);
    let expected = Node { revision: 3, updated_at: again.updated_at, ..before };
    assert_eq!(get(&db, expected.uuid).await, expected);
}

pub(crate) async fn absent_values_come_back(db: Db) {
    let stored = db.create_node(bare()).await.unwrap();
    assert_eq!(get(&db, stored.uuid).await, stored);
    assert_eq!((stored.lease, stored.secure_boot, stored.updated_at), (None, None, None));
}

pub(crate) async fn keys_find_the_node(db: Db) {
    let nodes = store(&db, vec![full("a"), full("b")]).await;
    db.create_port(Port::new(nodes[1].uuid, mac(9), time(1))).await.unwrap();
    let keys = [
        NodeKey::Uuid(nodes[1].uuid),
        NodeKey::Name("name-b".to_owned()),
        NodeKey::Instance("instance-b".to_owned()),
        NodeKey::Address(mac(9)),
    ];
    for key in keys {
        assert_eq!(db.get_node(&key, &Scope::All).await.unwrap().as_ref(), Some(&nodes[1]), "{key:?}");
    }
    for key in [NodeKey::Uuid(NodeUuid::random()), NodeKey::Name("b".to_owned()), NodeKey::Address(mac(8))] {
        assert_eq!(db.get_node(&key, &Scope::All).await.unwrap(), None, "{key:?}");
    }
}

pub(crate) async fn duplicates_name_the_field(db: Db) {
    let first = db.create_node(full("a")).await.unwrap();
    let other = db.create_node(full("b")).await.unwrap();
    let expect = |result: Result<Node, DbError>, wanted: &str, text: &str| match result.unwrap_err() {
        DbError::Duplicate { field, value } => assert_eq!((field, value.as_str()), (wanted, text)),
        error => panic!("{error:?}"),
    };
    let mut same = full("c");
    same.name.clone_from(&first.name);
    expect(db.create_node(same).await, "name", "name-a");
    let mut same = full("c");
    same.instance_uuid.clone_from(&first.instance_uuid);
    expect(db.create_node(same).await, "instance_uuid", "instance-a");
    let mut same = full("c");
    same.uuid = first.uuid;
    expect(db.create_node(same).await, "uuid", &first.uuid.to_string());
    let mut same = other.clone();
    same.name.clone_from(&first.name);
    expect(db.update_node(&other, same).await, "name", "name-a");
    assert_eq!(db.list_nodes(&everything()).await.unwrap(), [first, other]);
}

pub(crate) async fn a_stale_write_is_a_conflict(db: Db) {
    let read = db.create_node(bare()).await.unwrap();
    let mut theirs = read.clone();
    theirs.description = Some("theirs".to_owned());
    let written = db.update_node(&read, theirs).await.unwrap();
    let mut ours = read.clone();
    ours.owner = Some("ours".to_owned());
    assert!(matches!(db.update_node(&read, ours).await, Err(DbError::Conflict { what: "node", .. })));
    assert!(matches!(db.delete_node(&read).await, Err(DbError::Conflict { .. })));
    assert_eq!(get(&db, read.uuid).await, written);
}

pub(crate) async fn a_write_of_what_is_gone_is_not_found(db: Db) {
    let node = db.create_node(bare()).await.unwrap();
    db.delete_node(&node).await.unwrap();
    assert!(matches!(db.update_node(&node, node.clone()).await, Err(DbError::NotFound { .. })));
    assert!(matches!(db.delete_node(&node).await, Err(DbError::NotFound { .. })));
}

pub(crate) async fn deletion_takes_what_belongs_to_the_node(db: Db) {
    let [node, other] = <[Node; 2]>::try_from(store(&db, vec![full("a"), full("b")]).await).unwrap();
    for (owner, last) in [(&node, 1), (&node, 2), (&other, 3)] {
        db.create_port(Port::new(owner.uuid, mac(last), time(1))).await.unwrap();
    }
    let mut commit = db::Commit::new(node.clone(), node.clone());
    let flow = FlowId::random();
    commit.flow = FlowChange::Put(FlowRow {
        node: node.uuid,
        flow,
        kind: "clean".to_owned(),
        record: "{}".to_owned(),
        deadline_at: None,
        updated_at: time(1),
        conductor: String::new(),
    });
    commit.journal = vec![db::JournalWrite::Intent {
        flow,
        seq: 1,
        step: "s".to_owned(),
        effect: "e".to_owned(),
        at: time(1),
    }];
    commit.history = vec![entry("x", 1)];
    let node = db.commit(commit).await.unwrap();
    db.delete_node(&node).await.unwrap();
    let left = db.list_ports(&PortQuery::new(Scope::All)).await.unwrap();
    assert_eq!(left.iter().map(|port| port.address).collect::<Vec<_>>(), [mac(3)]);
    assert_eq!(db.flow_of(node.uuid).await.unwrap(), None);
    assert!(db.journal(node.uuid, 10).await.unwrap().is_empty());
    // A new node may take the names of the old one, and gets a number of its own.
    let mut again = full("a");
    again.traits.clear();
    let again = db.create_node(again).await.unwrap();
    assert!(again.id > other.id);
    assert_eq!(get(&db, again.uuid).await.traits, []);
}

pub(crate) fn entry(event: &str, at: i64) -> HistoryEntry {
    HistoryEntry {
        uuid: HistoryUuid::random(),
        event_type: "provisioning".to_owned(),
        severity: "INFO".to_owned(),
        event: event.to_owned(),
        conductor: Some("c1".to_owned()),
        user: Some("admin".to_owned()),
        project: None,
        state: Some("cleaning".to_owned()),
        target: None,
        duration_seconds: Some(12),
        created_at: time(at),
    }
}

pub(crate) async fn traits_are_kept_in_order(db: Db) {
    let named = |names: &[&str]| names.iter().map(|name| Trait::from_str(name).unwrap()).collect::<Vec<_>>();
    let mut node = bare();
    node.traits = named(&["HW_B", "CUSTOM_Z", "CUSTOM_A", "HW_B"]);
    let node = db.create_node(node).await.unwrap();
    assert_eq!(node.traits, named(&["CUSTOM_A", "CUSTOM_Z", "HW_B"]));
    assert_eq!(get(&db, node.uuid).await, node);
    let mut after = node.clone();
    after.traits = named(&["HW_C", "CUSTOM_A"]);
    let after = db.update_node(&node, after).await.unwrap();
    assert_eq!(after.traits, named(&["CUSTOM_A", "HW_C"]));
    assert_eq!(get(&db, node.uuid).await, after);
}

/// Two nodes, `a` with everything and `b` with defaults, and filters that select one of them.
pub(crate) async fn each_filter_selects(db: Db) {
    let mut a = full("a");
    a.parent_node = None;
    let [a, b] = <[Node; 2]>::try_from(store(&db, vec![a, bare()]).await).unwrap();
    let mut child = full("child");
    child.parent_node = Some(b.uuid);
    let child = db.create_node(child).await.unwrap();
    let all = NodeFilter::default();
    let text = |text: &str| Some(text.to_owned());
    let cases: Vec<(&str, NodeFilter, Vec<&Node>)> = vec![
        ("none", all.clone(), vec![&a, &b]),
        ("uuids", NodeFilter { uuids: Some(vec![b.uuid]), ..all.clone() }, vec![&b]),
        ("instance_uuid", NodeFilter { instance_uuid: text("instance-a"), ..all.clone() }, vec![&a]),
        ("instance_name", NodeFilter { instance_name: text("instance-name-a"), ..all.clone() }, vec![&a]),
        ("chassis", NodeFilter { chassis_uuid: a.chassis_uuid, ..all.clone() }, vec![&a]),
        ("associated", NodeFilter { associated: Some(true), ..all.clone() }, vec![&a]),
        ("not associated", NodeFilter { associated: Some(false), ..all.clone() }, vec![&b]),
        ("maintenance", NodeFilter { maintenance: Some(true), ..all.clone() }, vec![&a]),
        ("no maintenance", NodeFilter { maintenance: Some(false), ..all.clone() }, vec![&b]),
        ("retired", NodeFilter { retired: Some(true), ..all.clone() }, vec![&a]),
        ("state", NodeFilter { provision_states: vec![ProvisionState::Enroll], ..all.clone() }, vec![&b]),
        (
            "states",
            NodeFilter {
                provision_states: vec![
                    ProvisionState::Active,
                    ProvisionState::DeployWait,
                    ProvisionState::Error,
                ],
                ..all.clone()
            },
            vec![&a],
        ),
        ("driver", NodeFilter { driver: text("ipmi"), ..all.clone() }, vec![&b]),
        ("resource_class", NodeFilter { resource_class: text("class-a"), ..all.clone() }, vec![&a]),
        ("fault", NodeFilter { fault: Some(Fault::RescueAbort), ..all.clone() }, vec![&a]),
        ("other fault", NodeFilter { fault: Some(Fault::Power), ..all.clone() }, vec![]),
        ("group", NodeFilter { conductor_group: text("group-a"), ..all.clone() }, vec![&a]),
        ("default group", NodeFilter { conductor_group: text(""), ..all.clone() }, vec![&b]),
        ("owner", NodeFilter { owner: text("owner-a"), ..all.clone() }, vec![&a]),
        ("lessee", NodeFilter { lessee: text("lessee-a"), ..all.clone() }, vec![&a]),
        ("project owns", NodeFilter { project: text("owner-a"), ..all.clone() }, vec![&a]),
        ("project leases", NodeFilter { project: text("lessee-a"), ..all.clone() }, vec![&a]),
        ("description", NodeFilter { description_contains: text("TION-A"), ..all.clone() }, vec![&a]),
        (
            "shards",
            NodeFilter { shards: Some(vec!["x".to_owned(), "shard-a".to_owned()]), ..all.clone() },
            vec![&a],
        ),
        ("sharded", NodeFilter { sharded: Some(true), ..all.clone() }, vec![&a]),
        ("not sharded", NodeFilter { sharded: Some(false), ..all.clone() }, vec![&b]),
        ("console", NodeFilter { console_enabled: Some(a.console_enabled), ..all.clone() }, vec![&a]),
        ("children", NodeFilter { include_children: true, ..all.clone() }, vec![&a, &b, &child]),
        ("parent", NodeFilter { parent_node: Some(b.uuid), ..all.clone() }, vec![&child]),
        ("lease holder", NodeFilter { lease_holder: text("holder-a"), ..all.clone() }, vec![&a]),
        (
            "expired",
            NodeFilter { lease_expired_at: a.lease.as_ref().map(|lease| lease.expires_at), ..all.clone() },
            vec![&a],
        ),
        ("not yet", NodeFilter { lease_expired_at: Some(time(5)), ..all.clone() }, vec![]),
    ];
    for (name, filter, expected) in cases {
        let found = db.list_nodes(&NodeQuery { filter, ..NodeQuery::new(Scope::All) }).await.unwrap();
        assert_eq!(found.iter().collect::<Vec<_>>(), expected, "{name}");
    }
}

/// Every filter at once, in every order: a statement that does not fit the schema or the engine fails here.
pub(crate) async fn all_filters_fit_together(db: Db) {
    let parent = db.create_node(bare()).await.unwrap();
    let mut node = full("a");
    node.parent_node = Some(parent.uuid);
    let node = db.create_node(node).await.unwrap();
    let filter = NodeFilter {
        uuids: Some(vec![node.uuid, NodeUuid::random(), NodeUuid::random()]),
        instance_uuid: node.instance_uuid.clone(),
        instance_name: node.instance_name.clone(),
        chassis_uuid: node.chassis_uuid,
        associated: Some(true),
        maintenance: Some(true),
        console_enabled: Some(node.console_enabled),
        retired: Some(true),
        provision_states: ProvisionState::ALL.to_vec(),
        driver: Some(node.driver.clone()),
        resource_class: node.resource_class.clone(),
        fault: node.fault,
        conductor_group: Some(node.conductor_group.clone()),
        owner: node.owner.clone(),
        lessee: node.lessee.clone(),
        project: node.owner.clone(),
        description_contains: node.description.clone(),
        shards: node.shard.clone().map(|shard| vec![shard]),
        sharded: Some(true),
        include_children: true,
        parent_node: node.parent_node,
        lease_holder: node.lease.as_ref().map(|lease| lease.holder.clone()),
        lease_expired_at: Some(Timestamp::now()),
    };
    let sorts = NodeSort::FIELDS.iter().copied().chain(InterfaceKind::ALL.map(NodeSort::Interface));
    for sort_key in sorts {
        for descending in [false, true] {
            let scope = Scope::project("owner-a");
            let query = NodeQuery {
                filter: filter.clone(),
                sort_key,
                descending,
                limit: 10,
                ..NodeQuery::new(scope)
            };
            let found = db.list_nodes(&query).await.unwrap();
            assert_eq!(found, std::slice::from_ref(&node), "{sort_key:?}");
            let query = NodeQuery { marker: Some(node.uuid), ..query };
            assert_eq!(db.list_nodes(&query).await.unwrap(), [], "{sort_key:?}");
        }
    }
}

pub(crate) async fn sets_may_be_empty_or_large(db: Db) {
    let node = db.create_node(bare()).await.unwrap();
    let with = |uuids: Vec<NodeUuid>| NodeQuery {
        filter: NodeFilter { uuids: Some(uuids), ..NodeFilter::default() },
        ..NodeQuery::new(Scope::All)
    };
    assert_eq!(db.list_nodes(&with(vec![])).await.unwrap(), []);
    let mut many: Vec<NodeUuid> = (0..10_000).map(|_| NodeUuid::random()).collect();
    many.push(node.uuid);
    assert_eq!(db.list_nodes(&with(many)).await.unwrap(), [node]);
    let too_many = (0..16_385).map(|_| NodeUuid::random()).collect();
    assert!(matches!(
        db.list_nodes(&with(too_many)).await,
        Err(DbError::TooManyValues { limit: 16_384, found: 16_385 })
    ));
}

pub(crate) async fn description_is_searched_literally(db: Db) {
    for text in ["100% of it", "100 of it", r"a\b", "a_b", "axb", "UPPER"] {
        let mut node = bare();
        node.description = Some(text.to_owned());
        db.create_node(node).await.unwrap();
    }
    for (part, expected) in [
        ("0%", vec!["100% of it"]),
        ("a_b", vec!["a_b"]),
        (r"\", vec![r"a\b"]),
        ("upp", vec!["UPPER"]),
        ("'; DROP TABLE nodes; --", vec![]),
    ] {
        let mut query = everything();
        query.filter.description_contains = Some(part.to_owned());
        let found = db.list_nodes(&query).await.unwrap();
        let found: Vec<_> = found.iter().map(|node| node.description.as_deref().unwrap()).collect();
        assert_eq!(found, expected, "{part}");
    }
}

pub(crate) async fn a_project_sees_what_it_owns_or_leases(db: Db) {
    let mut nodes = vec![bare(), bare(), bare(), bare()];
    nodes[0].owner = Some("p".to_owned());
    nodes[1].lessee = Some("p".to_owned());
    nodes[2].owner = Some("q".to_owned());
    let nodes = store(&db, nodes).await;
    let scope = Scope::project("p");
    let seen = db.list_nodes(&NodeQuery::new(scope.clone())).await.unwrap();
    assert_eq!(seen, nodes[..2]);
    for (index, node) in nodes.iter().enumerate() {
        let found = db.get_node(&node.uuid.into(), &scope).await.unwrap();
        assert_eq!(found.is_some(), index < 2, "{index}");
    }
}

pub(crate) async fn shards_are_counted(db: Db) {
    let shard = |name: Option<&str>| {
        let mut node = bare();
        node.shard = name.map(str::to_owned);
        node
    };
    store(&db, vec![shard(Some("b")), shard(None), shard(Some("a")), shard(Some("b"))]).await;
    let expected = vec![(None, 1), (Some("a".to_owned()), 1), (Some("b".to_owned()), 2)];
    assert_eq!(db.shards().await.unwrap(), expected);
}

pub(crate) async fn a_request_costs_few_statements(db: Db) {
    let nodes = store(&db, (0..30).map(|index| full(&index.to_string())).collect()).await;
    let count = || db.statements_executed();
    let mut last = count();
    let mut spent = move || {
        let now = count();
        std::mem::replace(&mut last, now).abs_diff(now)
    };
    let mut query = everything();
    db.list_nodes(&query).await.unwrap();
    assert_eq!(spent(), 1, "a list, traits included");
    query.marker = Some(nodes[3].uuid);
    query.limit = 5;
    db.list_nodes(&query).await.unwrap();
    assert_eq!(spent(), 2, "a page");
    db.get_node(&nodes[0].uuid.into(), &Scope::project("p")).await.unwrap();
    assert_eq!(spent(), 1, "one node");
    let mut after = nodes[0].clone();
    after.description = None;
    db.update_node(&nodes[0], after).await.unwrap();
    assert_eq!(spent(), 2, "a change and its event");
}

pub(crate) async fn thirty_two_writers_lose_nothing(db: Db) {
    let node = db.create_node(bare()).await.unwrap();
    let writers: Vec<_> = (0..32)
        .map(|_| {
            let (db, uuid) = (db.clone(), node.uuid);
            tokio::spawn(async move {
                let mut written = 0;
                while written < 5 {
                    let before = get(&db, uuid).await;
                    let mut after = before.clone();
                    after.lease_epoch += 1;
                    match db.update_node(&before, after).await {
                        Ok(_) => written += 1,
                        Err(DbError::Conflict { .. }) => {}
                        Err(error) => panic!("{error:?}"),
                    }
                }
            })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
    let end = get(&db, node.uuid).await;
    assert_eq!((end.lease_epoch, end.revision), (160, 161));
}

pub(crate) async fn failures_in_a_group_harm_nobody(db: Db) {
    db.create_node(full("taken")).await.unwrap();
    let writers: Vec<_> = (0..100)
        .map(|index| {
            let db = db.clone();
            tokio::spawn(async move {
                let mut node = full(&index.to_string());
                if index % 2 == 1 {
                    node.name = Some("name-taken".to_owned());
                }
                node.lease =
                    Some(Lease { holder: "h".to_owned(), expires_at: time(1), reason: String::new() });
                (index, db.create_node(node).await)
            })
        })
        .collect();
    let mut good = BTreeSet::new();
    for writer in writers {
        match writer.await.unwrap() {
            (index, Ok(node)) if index % 2 == 0 => good.insert(node.uuid),
            (index, Err(DbError::Duplicate { field: "name", .. })) if index % 2 == 1 => true,
            other => panic!("{other:?}"),
        };
    }
    let mut query = everything();
    query.filter.lease_holder = Some("h".to_owned());
    let there: BTreeSet<_> = db.list_nodes(&query).await.unwrap().iter().map(|node| node.uuid).collect();
    assert_eq!(there, good);
    assert_eq!(there.len(), 50);
}
