//! Allocations: the rows, and that a node and its allocation never disagree.

use db::{
    AllocationKey, AllocationQuery, Candidate, Db, DbError, NodeKey, Paging, Registration, Scope, Sort, Term,
};
use model::{
    Allocation, AllocationState, AllocationUuid, Node, NodeUuid, PowerState, ProvisionState, Stake, Trait,
};

use crate::fixtures::{bare, json, time};

fn wish(name: &str) -> Allocation {
    let mut wish = Allocation::new(time(1));
    wish.name = Some(name.to_owned());
    wish.resource_class = Some("gold".to_owned());
    wish.extra = json(r#"{"x": "ß"}"#);
    wish
}

fn named(names: &[&str]) -> Vec<Trait> {
    names.iter().map(|name| name.parse().unwrap()).collect()
}

/// A node that suits a wish, unless `change` spoils it.
async fn free(db: &Db, change: impl FnOnce(&mut Node)) -> Node {
    let mut node = bare();
    node.provision_state = ProvisionState::Available;
    node.power_state = Some(PowerState::Off);
    node.resource_class = Some("gold".to_owned());
    change(&mut node);
    db.create_node(node).await.unwrap()
}

fn taken(node: &Node, by: &Allocation) -> Node {
    let uuid = Some(by.uuid.to_string());
    Node { instance_uuid: uuid.clone(), allocation_uuid: uuid, ..node.clone() }
}

async fn get(db: &Db, uuid: AllocationUuid) -> Option<Allocation> {
    db.get_allocation(&AllocationKey::Uuid(uuid), &Scope::All).await.unwrap()
}

async fn node_of(db: &Db, uuid: NodeUuid) -> Node {
    db.get_node(&NodeKey::Uuid(uuid), &Scope::All).await.unwrap().unwrap()
}

pub(crate) async fn every_field_comes_back(db: Db) {
    let mut wish = wish("a");
    wish.owner = Some("p".to_owned());
    wish.traits = named(&["CUSTOM_A", "CUSTOM_B"]);
    wish.candidate_nodes = vec![NodeUuid::random(), NodeUuid::random()];
    let stored = db.create_allocation(wish.clone()).await.unwrap();
    assert_eq!(stored, Allocation { id: stored.id, ..wish });
    for key in [AllocationKey::Uuid(stored.uuid), AllocationKey::Name("a".to_owned())] {
        assert_eq!(db.get_allocation(&key, &Scope::All).await.unwrap().as_ref(), Some(&stored));
    }
    let after = Allocation { name: None, extra: json("{}"), ..stored.clone() };
    let written = db.update_allocation(&stored, after.clone()).await.unwrap();
    assert_eq!(written, Allocation { updated_at: written.updated_at, ..after.clone() });
    assert!(matches!(db.update_allocation(&stored, after).await, Err(DbError::Conflict { .. })));
    let plain = db.create_allocation(Allocation::new(time(2))).await.unwrap();
    assert_eq!(get(&db, plain.uuid).await, Some(plain.clone()));
    let twice = Allocation { uuid: plain.uuid, ..Allocation::new(time(3)) };
    let error = db.create_allocation(twice).await.unwrap_err();
    assert!(matches!(error, DbError::Duplicate { field: "uuid", .. }), "{error:?}");
    db.delete_allocation(plain.uuid).await.unwrap();
    assert!(matches!(db.delete_allocation(plain.uuid).await, Err(DbError::NotFound { .. })));
}

pub(crate) async fn a_node_is_claimed_whole_or_not_at_all(db: Db) {
    let (node, other) = (free(&db, |_| ()).await, free(&db, |_| ()).await);
    let (first, second) =
        (db.create_allocation(wish("a")).await.unwrap(), db.create_allocation(wish("b")).await.unwrap());
    let by = &conductor(&db, "c1").await;
    assert_eq!(db.unsettled_allocations("c1").await.unwrap(), [first.uuid, second.uuid]);
    let active = db.claim_node(first.uuid, &node, taken(&node, &first), by).await.unwrap();
    assert_eq!((active.state, active.node_uuid), (AllocationState::Active, Some(node.uuid)));
    assert_eq!(get(&db, first.uuid).await, Some(active));
    let held = node_of(&db, node.uuid).await;
    assert_eq!(held.allocation_uuid, Some(first.uuid.to_string()));
    // Who read the node before that gets nothing, and changes nothing.
    let late = db.claim_node(second.uuid, &node, taken(&node, &second), by).await.unwrap_err();
    assert!(matches!(late, DbError::Conflict { what: "node", .. }), "{late:?}");
    assert_eq!(get(&db, second.uuid).await, Some(second.clone()));
    // A settled allocation takes no second node.
    let again = db.claim_node(first.uuid, &other, taken(&other, &second), by).await.unwrap_err();
    assert!(matches!(again, DbError::NotFound { what: "allocation", .. }), "{again:?}");
    assert_eq!(node_of(&db, other.uuid).await, other);
    let clash = Node { instance_uuid: held.instance_uuid, ..taken(&other, &second) };
    let clash = db.claim_node(second.uuid, &other, clash, by).await.unwrap_err();
    assert!(matches!(clash, DbError::Duplicate { field: "instance_uuid", .. }), "{clash:?}");
    let failed = db.fail_allocation(second.uuid, "no node", by).await.unwrap();
    assert_eq!((failed.state, failed.last_error.as_deref()), (AllocationState::Error, Some("no node")));
    assert!(matches!(db.fail_allocation(second.uuid, "x", by).await, Err(DbError::NotFound { .. })));
    assert!(db.unsettled_allocations("c1").await.unwrap().is_empty());
}

pub(crate) async fn one_conductor_works_on_an_allocation_until_it_is_gone(db: Db) {
    let (one, two) = (conductor(&db, "c1").await, conductor(&db, "c2").await);
    let node = free(&db, |_| ()).await;
    let wanted = db.create_allocation(wish("a")).await.unwrap();
    // Nobody was asked yet: whoever looks finds it.
    for host in ["c1", "c2"] {
        assert_eq!(db.unsettled_allocations(host).await.unwrap(), [wanted.uuid]);
    }
    assert_eq!(db.begin_allocation(wanted.uuid, &one).await.unwrap().as_ref(), Some(&wanted));
    assert_eq!(db.begin_allocation(wanted.uuid, &two).await.unwrap(), None);
    assert!(db.unsettled_allocations("c2").await.unwrap().is_empty());
    assert_eq!(db.unsettled_allocations("c1").await.unwrap(), [wanted.uuid]);
    assert_eq!(db.begin_allocation(wanted.uuid, &one).await.unwrap().as_ref(), Some(&wanted), "again");

    let seen = db.get_conductor("c1").await.unwrap().unwrap();
    assert!(db.declare_conductor_dead(&seen).await.unwrap());
    assert_eq!(db.unsettled_allocations("c2").await.unwrap(), [wanted.uuid]);
    assert!(db.begin_allocation(wanted.uuid, &two).await.unwrap().is_some());
    // What the dead one still says is refused.
    let after = taken(&node, &wanted);
    for late in [
        db.begin_allocation(wanted.uuid, &one).await.map(drop),
        db.claim_node(wanted.uuid, &node, after.clone(), &one).await.map(drop),
        db.fail_allocation(wanted.uuid, "x", &one).await.map(drop),
    ] {
        assert!(matches!(late, Err(DbError::Fenced { .. })), "{late:?}");
    }
    assert_eq!(node_of(&db, node.uuid).await, node);
    let one = conductor(&db, "c1").await;
    assert_eq!(db.begin_allocation(wanted.uuid, &one).await.unwrap(), None, "it is another one's now");
    db.claim_node(wanted.uuid, &node, after, &two).await.unwrap();
    assert_eq!(db.begin_allocation(wanted.uuid, &two).await.unwrap(), None, "settled");
}

/// A registration of this conductor.
async fn conductor(db: &Db, hostname: &str) -> Term {
    let registration = Registration {
        hostname: hostname.to_owned(),
        conductor_group: String::new(),
        hardware_types: Vec::new(),
    };
    Term::from(&db.register_conductor(registration).await.unwrap())
}

pub(crate) async fn a_node_that_lets_go_takes_the_allocation_along(db: Db) {
    let node = free(&db, |_| ()).await;
    let mine = db.create_allocation_for(wish("a"), &node, taken(&node, &wish("x"))).await;
    let mine = mine.unwrap();
    assert_eq!((mine.state, mine.node_uuid), (AllocationState::Active, Some(node.uuid)));
    assert!(matches!(db.delete_allocation(mine.uuid).await, Err(DbError::InUse { .. })));
    let key = AllocationKey::Node(node.uuid);
    assert_eq!(db.get_allocation(&key, &Scope::All).await.unwrap().as_ref(), Some(&mine));
    let held = node_of(&db, node.uuid).await;
    // Whatever else happens to the node leaves the allocation alone.
    let described = Node { description: Some("d".to_owned()), ..held.clone() };
    let described = db.update_node(&held, described).await.unwrap();
    assert!(get(&db, mine.uuid).await.is_some());
    let before = Node { allocation_uuid: Some(mine.uuid.to_string()), ..described.clone() };
    let free_again = Node { instance_uuid: None, allocation_uuid: None, ..described };
    db.update_node(&before, free_again).await.unwrap();
    assert_eq!(get(&db, mine.uuid).await, None);

    let node = node_of(&db, node.uuid).await;
    let next = db.create_allocation(wish("b")).await.unwrap();
    let by = &conductor(&db, "c1").await;
    db.claim_node(next.uuid, &node, taken(&node, &next), by).await.unwrap();
    // A removal that loses the race leaves both.
    assert!(matches!(db.delete_node(&node).await, Err(DbError::Conflict { .. })));
    assert!(get(&db, next.uuid).await.is_some());
    db.delete_node(&node_of(&db, node.uuid).await).await.unwrap();
    assert_eq!(get(&db, next.uuid).await, None);
}

pub(crate) async fn candidates_fit(db: Db) {
    let plain = free(&db, |node| node.name = Some("plain".to_owned())).await;
    let rich = free(&db, |node| node.traits = named(&["CUSTOM_A", "CUSTOM_B", "CUSTOM_C"])).await;
    let child = free(&db, |node| node.parent_node = Some(plain.uuid)).await;
    let lent = free(&db, |node| node.lessee = Some("p".to_owned())).await;
    for spoil in [
        |node: &mut Node| node.maintenance = true,
        |node: &mut Node| node.power_state = None,
        |node: &mut Node| node.instance_uuid = Some("x".to_owned()),
        |node: &mut Node| node.resource_class = Some("silver".to_owned()),
        |node: &mut Node| node.provision_state = ProvisionState::Manageable,
    ] {
        free(&db, spoil).await;
    }
    let found = |wanted: Allocation| {
        let db = db.clone();
        async move {
            let mut found = db.allocation_candidates(&wanted).await.unwrap();
            found.sort_by_key(|candidate| candidate.node);
            found
        }
    };
    let mut expected = vec![
        Candidate { node: plain.uuid, name: Some("plain".to_owned()), has_traits: true },
        Candidate { node: rich.uuid, name: None, has_traits: true },
        Candidate { node: child.uuid, name: None, has_traits: true },
        Candidate { node: lent.uuid, name: None, has_traits: true },
    ];
    expected.sort_by_key(|candidate| candidate.node);
    assert_eq!(found(wish("a")).await, expected);
    let asked = Allocation { traits: named(&["CUSTOM_A", "CUSTOM_C", "CUSTOM_A"]), ..wish("a") };
    let suited: Vec<NodeUuid> =
        found(asked).await.iter().filter(|node| node.has_traits).map(|node| node.node).collect();
    assert_eq!(suited, [rich.uuid]);
    let mine = Allocation { owner: Some("p".to_owned()), ..wish("a") };
    assert_eq!(found(mine).await.iter().map(|node| node.node).collect::<Vec<_>>(), [lent.uuid]);
    let named = Allocation { candidate_nodes: vec![rich.uuid, NodeUuid::random()], ..wish("a") };
    assert_eq!(found(named).await.iter().map(|node| node.node).collect::<Vec<_>>(), [rich.uuid]);
}

pub(crate) async fn nodes_are_found_by_what_they_are_called(db: Db) {
    let one = free(&db, |node| node.name = Some("one".to_owned())).await;
    let two = free(&db, |node| node.owner = Some("p".to_owned())).await;
    let idents = vec!["one".to_owned(), two.uuid.to_string(), "nobody".to_owned()];
    let mut found = db.nodes_called(idents.clone(), &Scope::All).await.unwrap();
    found.sort_by_key(|(_, name)| name.clone());
    assert_eq!(found, [(two.uuid, None), (one.uuid, Some("one".to_owned()))]);
    let visible = db.nodes_called(idents, &Scope::project("p")).await.unwrap();
    assert_eq!(visible, [(two.uuid, None)]);
    assert!(db.nodes_called(Vec::new(), &Scope::All).await.unwrap().is_empty());
}

pub(crate) async fn allocations_are_filtered_and_paged(db: Db) {
    let mut all = Vec::new();
    for (index, class) in ["gold", "silver", "gold", "gold"].into_iter().enumerate() {
        let class = Some(class.to_owned());
        let wish = Allocation { resource_class: class, ..wish(&format!("a-{index}")) };
        all.push(db.create_allocation(wish).await.unwrap());
    }
    let node = free(&db, |_| ()).await;
    let by = &conductor(&db, "c1").await;
    let active = db.claim_node(all[2].uuid, &node, taken(&node, &all[2]), by).await.unwrap();
    let one = |change: fn(&mut AllocationQuery)| {
        let mut query = AllocationQuery::new(Scope::All);
        change(&mut query);
        query
    };
    let class = one(|query| query.resource_class = Some("silver".to_owned()));
    assert_eq!(db.list_allocations(&class).await.unwrap(), [all[1].clone()]);
    let state = one(|query| query.state = Some("active".to_owned()));
    assert_eq!(db.list_allocations(&state).await.unwrap(), std::slice::from_ref(&active));
    let of_node = AllocationQuery { node: Some(node.uuid), ..one(|_| ()) };
    assert_eq!(db.list_allocations(&of_node).await.unwrap(), [active]);
    let nobody = one(|query| query.state = Some("bogus".to_owned()));
    assert!(db.list_allocations(&nobody).await.unwrap().is_empty());
    for key in ["id", "uuid", "name", "node_uuid", "state", "resource_class", "updated_at"] {
        let paging = Paging { sort: Sort::from_field(key).unwrap(), ..Paging::default() };
        let whole = AllocationQuery { paging, ..one(|_| ()) };
        let expected = db.list_allocations(&whole).await.unwrap();
        let (mut paged, mut page) = (Vec::new(), whole);
        page.paging.limit = 1;
        loop {
            let found = db.list_allocations(&page).await.unwrap();
            let Some(last) = found.last() else { break };
            page.paging.marker = Some(last.uuid.to_string());
            paged.extend(found);
        }
        assert_eq!(paged, expected, "{key}");
    }
    for key in ["extra", "traits", "candidate_nodes"] {
        assert!(Sort::<Allocation>::from_field(key).is_none(), "{key}");
    }
}

pub(crate) async fn a_project_sees_its_own(db: Db) {
    let mine = Allocation { owner: Some("p".to_owned()), ..wish("a") };
    let mine = db.create_allocation(mine).await.unwrap();
    let other = db.create_allocation(wish("b")).await.unwrap();
    let project = Scope::Has(Stake::Owner, "p".to_owned());
    let seen = db.list_allocations(&AllocationQuery::new(project.clone())).await.unwrap();
    assert_eq!(seen, [mine]);
    let key = AllocationKey::Uuid(other.uuid);
    assert_eq!(db.get_allocation(&key, &project).await.unwrap(), None);
}
