//! Decisions with all that belongs to them; flows, journal, history, events, wake-ups; users and settings.

use std::time::Duration;

use db::{
    Admission, Commit, Db, DbError, FlowChange, FlowRow, HistoryQuery, HistoryRetention, JournalWrite,
    NewEvent, Scope, Wakeup, Whose,
};
use model::{FlowId, HistoryUuid, Node, NodeUuid, ProvisionState, Secret, Timestamp};

use crate::events::told;
use crate::fixtures::{bare, store, time};
use crate::nodes::entry;

fn flow(node: NodeUuid, deadline_at: Option<i64>) -> FlowRow {
    FlowRow {
        node,
        flow: FlowId::random(),
        kind: "deploy".to_owned(),
        record: r#"{"cursor": 3}"#.to_owned(),
        deadline_at: deadline_at.map(time),
        updated_at: time(10),
        conductor: "c1".to_owned(),
    }
}

fn intent(flow: FlowId, seq: i64) -> JournalWrite {
    JournalWrite::Intent {
        flow,
        seq,
        step: "write_image".to_owned(),
        effect: format!("effect {seq}"),
        at: time(seq),
    }
}

fn event(kind: &str, node: Option<NodeUuid>) -> NewEvent {
    let payload = r#"{"a": 1}"#.to_owned();
    NewEvent { kind: kind.to_owned(), node, resource: None, whose: Whose::System, payload, at: time(20) }
}

fn whole(before: &Node) -> (Commit, FlowRow) {
    let mut after = before.clone();
    after.provision_state = ProvisionState::Deploying;
    let mut commit = Commit::new(before.clone(), after);
    let row = flow(before.uuid, Some(30));
    commit.flow = FlowChange::Put(row.clone());
    commit.journal = vec![
        intent(row.flow, 1),
        JournalWrite::Outcome { flow: row.flow, seq: 1, outcome: "done".to_owned(), at: time(2) },
        intent(row.flow, 2),
    ];
    commit.history = vec![entry("first", 1), entry("second", 2)];
    commit.events = vec![event("one", Some(before.uuid)), event("two", None)];
    commit.notices = vec![("conductor".to_owned(), before.uuid.to_string())];
    (commit, row)
}

fn history(node: NodeUuid) -> HistoryQuery {
    HistoryQuery { node, descending: false, marker: None, limit: 1000 }
}

pub(crate) async fn a_decision_is_recorded_whole(db: Db) {
    let before = db.create_node(bare()).await.unwrap();
    let (commit, row) = whole(&before);
    let entries = commit.history.clone();
    let after = db.commit(commit).await.unwrap();
    assert_eq!((after.revision, after.provision_state), (2, ProvisionState::Deploying));
    assert_eq!(db.get_node(&before.uuid.into(), &Scope::All).await.unwrap(), Some(after.clone()));
    assert_eq!(db.flow_of(before.uuid).await.unwrap(), Some(row.clone()));
    assert_eq!(db.list_flows().await.unwrap(), std::slice::from_ref(&row));
    let journal = db.journal_of_flow(row.flow).await.unwrap();
    let lines: Vec<_> =
        journal.iter().map(|line| (line.seq, line.outcome.as_deref(), line.outcome_at)).collect();
    assert_eq!(lines, [(1, Some("done"), Some(time(2))), (2, None, None)]);
    let mut newest_first = db.journal(before.uuid, 10).await.unwrap();
    newest_first.reverse();
    assert_eq!(newest_first, journal);
    assert_eq!(db.history(&history(before.uuid)).await.unwrap(), entries);
    let events = told(&db).await;
    assert_eq!(
        events.iter().map(|event| event.kind.as_str()).collect::<Vec<_>>(),
        ["baremetal.node.create.end", "baremetal.node.provision_set.start", "one", "two"]
    );
    assert_eq!(events[2].node, Some(before.uuid));

    // The flow goes on, then ends.
    let mut commit = Commit::new(after.clone(), after);
    let moved = FlowRow { record: "{}".to_owned(), deadline_at: None, ..row };
    commit.flow = FlowChange::Put(moved.clone());
    let after = db.commit(commit).await.unwrap();
    assert_eq!(after.revision, 3, "a decision about the flow alone is a write of the node, too");
    assert_eq!(db.flow_of(before.uuid).await.unwrap(), Some(moved));
    let mut commit = Commit::new(after.clone(), after);
    commit.flow = FlowChange::Remove;
    db.commit(commit).await.unwrap();
    assert_eq!(db.flow_of(before.uuid).await.unwrap(), None);
    assert_eq!(db.journal_of_flow(journal[0].flow).await.unwrap().len(), 2);
}

pub(crate) async fn a_refused_decision_leaves_nothing(db: Db) {
    let stale = db.create_node(bare()).await.unwrap();
    let current = db.update_node(&stale, stale.clone()).await.unwrap();
    let (commit, row) = whole(&stale);
    assert!(matches!(db.commit(commit).await, Err(DbError::Conflict { .. })));
    // Refused late: the outcome of an effect that was never intended.
    let (mut commit, _) = whole(&current);
    commit.journal.push(JournalWrite::Outcome {
        flow: row.flow,
        seq: 99,
        outcome: String::new(),
        at: time(1),
    });
    assert!(matches!(db.commit(commit).await, Err(DbError::NotFound { what: "journal line", .. })));
    // Refused late: an effect that is in the journal already.
    let (mut commit, _) = whole(&current);
    let first = commit.journal[0].clone();
    commit.journal.push(first);
    assert!(matches!(db.commit(commit).await, Err(DbError::Duplicate { .. })));
    assert_eq!(db.get_node(&stale.uuid.into(), &Scope::All).await.unwrap(), Some(current));
    assert_eq!(db.flow_of(stale.uuid).await.unwrap(), None);
    assert!(db.journal(stale.uuid, 10).await.unwrap().is_empty());
    assert!(db.history(&history(stale.uuid)).await.unwrap().is_empty());
    assert_eq!(told(&db).await.len(), 1, "that the node was made");
}

pub(crate) async fn flows_come_due(db: Db) {
    assert_eq!(db.next_deadline("c1").await.unwrap(), None);
    let nodes = store(&db, vec![bare(), bare(), bare(), bare()]).await;
    for (node, deadline) in nodes.iter().zip([Some(300), None, Some(100), Some(200)]) {
        let mut commit = Commit::new(node.clone(), node.clone());
        commit.flow = FlowChange::Put(flow(node.uuid, deadline));
        db.commit(commit).await.unwrap();
    }
    assert_eq!(db.next_deadline("c1").await.unwrap(), Some(time(100)));
    assert_eq!(db.next_deadline("c2").await.unwrap(), None);
    assert!(db.due_flows("c2", time(1000), 10).await.unwrap().is_empty());
    let due = |now, limit| {
        let db = db.clone();
        async move {
            let flows = db.due_flows("c1", time(now), limit).await.unwrap();
            flows.iter().map(|flow| flow.node).collect::<Vec<_>>()
        }
    };
    assert!(due(99, 10).await.is_empty());
    assert_eq!(due(200, 10).await, [nodes[2].uuid, nodes[3].uuid]);
    assert_eq!(due(1000, 2).await, [nodes[2].uuid, nodes[3].uuid]);
    assert_eq!(db.list_flows().await.unwrap().len(), 4);
    let all = nodes.iter().map(|node| node.uuid).collect();
    assert_eq!(db.nodes_with_flows().await.unwrap(), all);
}

pub(crate) async fn the_journal_is_bounded(db: Db) {
    let mut node = db.create_node(bare()).await.unwrap();
    let run = FlowId::random();
    for round in 0..6 {
        let mut commit = Commit::new(node.clone(), node);
        commit.journal = (round * 100..(round + 1) * 100).map(|seq| intent(run, seq)).collect();
        node = db.commit(commit).await.unwrap();
    }
    assert_eq!(db.journal(node.uuid, 10_000).await.unwrap().len(), 600, "an open flow keeps all");
    let mut commit = Commit::new(node.clone(), node);
    commit.flow = FlowChange::Remove;
    let node = db.commit(commit).await.unwrap();
    let left = db.journal_of_flow(run).await.unwrap();
    assert_eq!(left.len(), 500);
    assert_eq!((left[0].seq, left[499].seq), (100, 599));
    assert_eq!(db.journal(node.uuid, 1).await.unwrap()[0].seq, 599);
}

pub(crate) async fn history_is_paged_and_bounded(db: Db) {
    let [mut node, other] = <[Node; 2]>::try_from(store(&db, vec![bare(), bare()]).await).unwrap();
    let mut commit = Commit::new(other.clone(), other.clone());
    commit.history = vec![entry("of another", 1)];
    db.commit(commit).await.unwrap();
    for round in 0..4 {
        let mut commit = Commit::new(node.clone(), node);
        commit.history = (0..100).map(|index| entry(&format!("{round}.{index}"), round)).collect();
        node = db.commit(commit).await.unwrap();
    }
    let all = db.history(&history(node.uuid)).await.unwrap();
    assert_eq!(all.len(), usize::try_from(HistoryRetention::default().count).unwrap());
    assert_eq!(all[0].event, "1.0");
    assert_eq!(all[299].event, "3.99");
    for descending in [false, true] {
        let mut page = HistoryQuery { descending, limit: 70, ..history(node.uuid) };
        let mut paged = Vec::new();
        loop {
            let entries = db.history(&page).await.unwrap();
            let Some(last) = entries.last() else { break };
            page.marker = Some(last.uuid);
            paged.extend(entries);
        }
        if descending {
            paged.reverse();
        }
        assert_eq!(paged, all);
    }
    assert_eq!(db.history_entry(node.uuid, all[7].uuid).await.unwrap(), Some(all[7].clone()));
    assert_eq!(db.history_entry(other.uuid, all[7].uuid).await.unwrap(), None);
    let query = HistoryQuery { marker: Some(HistoryUuid::random()), ..history(node.uuid) };
    assert!(matches!(db.history(&query).await, Err(DbError::MarkerNotFound { .. })));
    assert_eq!(db.history(&history(other.uuid)).await.unwrap().len(), 1);
}

pub(crate) async fn wake_ups_follow_the_commit(db: Db) {
    let before = db.create_node(bare()).await.unwrap();
    let mut wakeups = db.wakeups();
    let (mut refused, _) = whole(&before);
    refused.before.revision = 77;
    refused.notices = vec![("conductor".to_owned(), "refused".to_owned())];
    assert!(db.commit(refused).await.is_err());
    let (commit, _) = whole(&before);
    db.commit(commit).await.unwrap();
    db.notify("api", "a b\nc").await.unwrap();
    let mut next =
        async || tokio::time::timeout(Duration::from_secs(10), wakeups.recv()).await.unwrap().unwrap();
    let notice = |channel: &str, payload: &str| Wakeup::Notice {
        channel: channel.to_owned(),
        payload: payload.to_owned(),
    };
    assert_eq!(next().await, notice("conductor", &before.uuid.to_string()));
    assert_eq!(next().await, notice("api", "a b\nc"));
    let long = "x".repeat(8000);
    assert!(matches!(
        db.notify("api", &long).await,
        Err(DbError::NoticeTooLong { limit: 7000, found: 8003 })
    ));
}

pub(crate) async fn users_and_settings(db: Db) {
    assert_eq!(db.get_user("admin").await.unwrap(), None);
    db.put_user("admin", &Secret::new("$2y$one")).await.unwrap();
    db.put_user("watch", &Secret::new("$2y$two")).await.unwrap();
    let user = db.get_user("admin").await.unwrap().unwrap();
    assert_eq!((user.password_hash.expose(), user.updated_at), ("$2y$one", None));
    assert!(!format!("{user:?}").contains("$2y$"));
    db.put_user("admin", &Secret::new("$2y$three")).await.unwrap();
    let changed = db.get_user("admin").await.unwrap().unwrap();
    assert_eq!((changed.password_hash.expose(), changed.created_at), ("$2y$three", user.created_at));
    assert!(changed.updated_at.is_some_and(|time| time <= Timestamp::now()));
    assert_eq!(db.list_users().await.unwrap(), ["admin", "watch"]);
    db.delete_user("watch").await.unwrap();
    assert!(matches!(db.delete_user("watch").await, Err(DbError::NotFound { .. })));

    assert_eq!(db.get_setting("site").await.unwrap(), None);
    assert_eq!(db.setting_or("site", "one").await.unwrap(), "one");
    assert_eq!(db.setting_or("site", "two").await.unwrap(), "one");
    db.put_setting("site", "three").await.unwrap();
    assert_eq!(db.get_setting("site").await.unwrap().as_deref(), Some("three"));
}

pub(crate) async fn a_state_takes_so_many_nodes(db: Db) {
    use model::ProvisionState as S;

    let going = |before: &Node, most: u32, conductor_group: Option<&str>| {
        let mut after = before.clone();
        after.provision_state = S::Deploying;
        let admission = Admission {
            what: "deployed",
            states: [S::Deploying, S::DeployWait, S::DeployWait],
            most,
            conductor_group: conductor_group.map(str::to_owned),
        };
        Commit { admission: Some(admission), ..Commit::new(before.clone(), after) }
    };
    let mut far = bare();
    "far".clone_into(&mut far.conductor_group);
    let mut waiting = bare();
    waiting.provision_state = S::DeployWait;
    let nodes = store(&db, vec![bare(), bare(), far, waiting]).await;
    db.commit(going(&nodes[0], 2, None)).await.unwrap();
    let refused = db.commit(going(&nodes[1], 2, None)).await.unwrap_err();
    assert!(matches!(refused, DbError::TooMany { what: "deployed", most: 2 }), "{refused}");
    assert!(refused.is_transient() && refused.to_string().contains("no more than 2 nodes"), "{refused}");
    let key = db::NodeKey::Uuid(nodes[1].uuid);
    let left = db.get_node(&key, &Scope::All).await.unwrap().unwrap();
    assert_eq!(left.revision, nodes[1].revision, "what is refused leaves nothing");
    // In another group there is room, and one more for all.
    db.commit(going(&nodes[2], 2, Some("far"))).await.unwrap();
    db.commit(going(&nodes[1], 4, None)).await.unwrap();
}
