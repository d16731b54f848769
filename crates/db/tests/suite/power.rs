//! Power of many machines: who is looked at, in which order, and how failures are counted.

use db::{Db, DbError, PowerWatch};
use model::{Fault, Lease, Node, NodeUuid, PowerState, PowerTarget, ProvisionState as S};

use crate::fixtures::{bare, json, time};

async fn create(db: &Db, change: impl FnOnce(&mut Node)) -> NodeUuid {
    let mut node = Node { provision_state: S::Active, ..bare() };
    change(&mut node);
    db.create_node(node).await.unwrap().uuid
}

async fn looked_at(db: &Db, which: PowerWatch) -> Vec<NodeUuid> {
    db.watched_power(which, 0, 100).await.unwrap().into_iter().map(|row| row.uuid).collect()
}

pub(crate) async fn only_those_are_looked_at_that_nobody_works_on(db: Db) {
    let plain = create(&db, |node| node.power_state = Some(PowerState::On)).await;
    create(&db, |node| node.provision_state = S::Enroll).await;
    create(&db, |node| node.provision_state = S::DeployWait).await;
    create(&db, |node| node.provision_state = S::CleanWait).await;
    create(&db, |node| node.provision_state = S::AdoptFailed).await;
    create(&db, |node| node.maintenance = true).await;
    create(&db, |node| node.target_power_state = Some(PowerTarget::Off)).await;
    create(&db, |node| {
        node.lease =
            Some(Lease { holder: "one".to_owned(), expires_at: time(9), reason: "deploy".to_owned() });
    })
    .await;
    let lost = create(&db, |node| (node.maintenance, node.fault) = (true, Some(Fault::Power))).await;
    create(&db, |node| (node.maintenance, node.fault) = (true, Some(Fault::Clean))).await;
    let held = create(&db, |node| node.provision_state = S::CleanHold).await;
    assert_eq!(looked_at(&db, PowerWatch::Sound).await, [plain, held]);
    assert_eq!(looked_at(&db, PowerWatch::Lost).await, [lost]);
}

pub(crate) async fn a_look_has_what_it_takes(db: Db) {
    let uuid = create(&db, |node| {
        node.driver_info = json(r#"{"ipmi_address": "10.0.0.1"}"#);
        node.interfaces.set(model::InterfaceKind::Power, Some("ipmitool".to_owned()));
        "hall-2".clone_into(&mut node.conductor_group);
        node.power_state = Some(PowerState::Off);
    })
    .await;
    let rows = db.watched_power(PowerWatch::Sound, 0, 1).await.unwrap();
    let row = &rows[0];
    assert_eq!((row.uuid, row.power_state, row.failures), (uuid, Some(PowerState::Off), 0));
    assert_eq!(row.power_interface.as_deref(), Some("ipmitool"));
    assert_eq!((row.conductor_group.as_str(), row.provision_state), ("hall-2", S::Active));
    assert_eq!(row.driver_info.get_str("ipmi_address").as_deref(), Some("10.0.0.1"));
    assert!(!format!("{row:?}").contains("10.0.0.1"), "addresses stand beside passwords");
    create(&db, |_| {}).await;
    let next = db.watched_power(PowerWatch::Sound, row.id, 5).await.unwrap();
    assert_eq!(next.len(), 1);
    assert_ne!(next[0].uuid, uuid);
}

pub(crate) async fn failures_in_a_row_are_counted(db: Db) {
    let (good, bad) = (create(&db, |_| {}).await, create(&db, |_| {}).await);
    for count in 1..=3 {
        assert_eq!(db.count_power_failure(bad).await.unwrap(), count);
    }
    let before = db.get_node(&bad.into(), &db::Scope::All).await.unwrap().unwrap();
    assert_eq!(before.revision, 1, "counting is no change of the node");
    assert_eq!(looked_at(&db, PowerWatch::Sound).await, [good]);
    let doubtful = |counted_before| PowerWatch::Doubtful { counted_before };
    assert!(looked_at(&db, doubtful(time(1))).await.is_empty(), "it was counted after that");
    let later = model::Timestamp::now().plus(std::time::Duration::from_hours(1));
    let rows = db.watched_power(doubtful(later), 0, 9).await.unwrap();
    assert_eq!((rows.len(), rows[0].uuid, rows[0].failures), (1, bad, 3));
    db.clear_power_failures(bad).await.unwrap();
    assert_eq!(looked_at(&db, PowerWatch::Sound).await, [good, bad]);
    assert_eq!(db.count_power_failure(bad).await.unwrap(), 1);
    db.delete_node(&before).await.unwrap();
    let gone = db.count_power_failure(bad).await;
    assert!(matches!(gone, Err(DbError::MissingReference { .. })), "{gone:?}");
}
