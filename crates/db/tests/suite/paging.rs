//! Pages of nodes, in every order.

use std::fmt::Debug;

use db::{Db, DbError, NodeQuery, NodeSort, Scope};
use model::{InterfaceKind, Node, NodeUuid, ProvisionState};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use crate::fixtures::{bare, everything, store, time};

/// What a row is made of: few values, so that many rows are equal in each.
type Seed = (Option<u8>, Option<u8>, bool, u8, Option<u8>);

fn node((owner, interface, maintenance, state, updated): Seed) -> Node {
    // Upper and lower case, and a letter beyond ASCII: both engines have to order them by their bytes.
    let word = |value: u8| ["a", "B", "c", "é"][usize::from(value % 4)].to_owned();
    let mut node = bare();
    node.owner = owner.map(word);
    node.interfaces.set(InterfaceKind::Power, interface.map(word));
    node.maintenance = maintenance;
    node.provision_state = ProvisionState::ALL[usize::from(state % 5)];
    node.provision_updated_at = updated.map(|value| time((value % 4).into()));
    node
}

pub(crate) async fn pages_have_no_gap_and_no_duplicate(db: Db) {
    let some = || proptest::option::of(0u8..4);
    let rows = proptest::collection::vec((some(), some(), any::<bool>(), 0u8..5, some()), 1..24);
    let config = Config { cases: 8, failure_persistence: None, ..Config::default() };
    // The same rows each time: a failure can be looked at.
    let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    let run = runner.run(&(rows, 1usize..9), |(rows, size)| {
        tokio::task::block_in_place(|| {
            tokio::runtime::Handle::current().block_on(check(&db, rows.into_iter().map(node).collect(), size))
        })
    });
    run.unwrap();
}

async fn check(db: &Db, nodes: Vec<Node>, size: usize) -> Result<(), TestCaseError> {
    let mut stored = store(db, nodes).await;
    let sorts = NodeSort::FIELDS.iter().copied().chain(InterfaceKind::ALL.map(NodeSort::Interface));
    for sort_key in sorts {
        for descending in [false, true] {
            let query = NodeQuery { sort_key, descending, ..everything() };
            let whole = db.list_nodes(&query).await.unwrap();
            in_order(&stored, &whole, sort_key, descending)?;
            let mut paged = Vec::new();
            let mut page = NodeQuery { limit: size, ..query };
            loop {
                let nodes = db.list_nodes(&page).await.unwrap();
                prop_assert!(nodes.len() <= size);
                let Some(last) = nodes.last() else { break };
                page.marker = Some(last.uuid);
                paged.extend(nodes);
            }
            prop_assert_eq!(&paged, &whole, "{:?} {}", sort_key, descending);
        }
    }
    for node in stored.drain(..) {
        db.delete_node(&node).await.unwrap();
    }
    Ok(())
}

/// The order as this file understands it: absent values first, then bytes, then row numbers.
fn in_order(
    stored: &[Node],
    listed: &[Node],
    sort_key: NodeSort,
    descending: bool,
) -> Result<(), TestCaseError> {
    fn by<K: Ord + Debug>(stored: &[Node], key: impl Fn(&Node) -> K) -> Vec<NodeUuid> {
        let mut nodes: Vec<&Node> = stored.iter().collect();
        nodes.sort_by_key(|node| (key(node), node.id));
        nodes.iter().map(|node| node.uuid).collect()
    }
    let mut expected = match sort_key {
        NodeSort::Owner => by(stored, |node| node.owner.clone()),
        NodeSort::Maintenance => by(stored, |node| node.maintenance),
        NodeSort::ProvisionState => by(stored, |node| node.provision_state.as_str()),
        NodeSort::ProvisionUpdatedAt => by(stored, |node| node.provision_updated_at),
        NodeSort::Uuid => by(stored, |node| node.uuid),
        NodeSort::Interface(InterfaceKind::Power) => {
            by(stored, |node| node.interfaces.get(InterfaceKind::Power).map(str::to_owned))
        }
        // All rows are equal in the others.
        _ => by(stored, |_| ()),
    };
    if descending {
        expected.reverse();
    }
    let listed: Vec<NodeUuid> = listed.iter().map(|node| node.uuid).collect();
    prop_assert_eq!(listed, expected, "{:?} {}", sort_key, descending);
    Ok(())
}

pub(crate) async fn an_unknown_marker_is_told(db: Db) {
    let query = NodeQuery { marker: Some(NodeUuid::random()), ..everything() };
    let marker = query.marker.unwrap().to_string();
    match db.list_nodes(&query).await {
        Err(DbError::MarkerNotFound { marker: told }) => assert_eq!(told, marker),
        other => panic!("{other:?}"),
    }
}

pub(crate) async fn a_hidden_marker_is_unknown(db: Db) {
    let mut nodes = vec![bare(), bare()];
    nodes[1].owner = Some("p".to_owned());
    let nodes = store(&db, nodes).await;
    let mut query = NodeQuery::new(Scope::project("p"));
    query.marker = Some(nodes[0].uuid);
    assert!(matches!(db.list_nodes(&query).await, Err(DbError::MarkerNotFound { .. })));
    query.visible_to = Scope::All;
    assert_eq!(db.list_nodes(&query).await.unwrap(), nodes[1..]);
}
