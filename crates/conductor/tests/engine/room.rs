//! Effects that wait for room: the node stays held for as long as that takes, and nothing is lost.

use std::time::Duration;

use model::ProvisionState as S;
use provision::{FlowRecord, Verb};

use crate::rig::{Knobs, Rig};

#[tokio::test(flavor = "multi_thread")]
async fn a_node_is_held_while_its_effect_waits_for_room() {
    let crowded = Knobs { room: 0, hold_on_every: Duration::from_millis(20), ..Knobs::default() };
    let rig = Rig::start(crowded).await;
    rig.set_state(S::Available).await;
    rig.request(Verb::Active).await.unwrap();
    let held = async |longer_than| {
        let longer = |node: &model::Node| node.lease.as_ref().map(|lease| lease.expires_at) > longer_than;
        rig.until_true(longer, "held on").await.lease.map(|lease| lease.expires_at)
    };
    let wakes = async || {
        let row = rig.db().flow_of(rig.uuid).await.unwrap().unwrap();
        serde_json::from_str::<FlowRecord>(&row.record).unwrap().wake_at()
    };
    let first = held(None).await;
    let wakes_first = wakes().await;
    let second = held(first).await;
    held(second).await;
    assert!(wakes().await > wakes_first, "nobody takes it for abandoned");
    assert_eq!(rig.machine().actions, 0);
    let journal = rig.db().journal(rig.uuid, 100).await.unwrap();
    assert_eq!(journal.len(), 1, "it is one intent all the time: {journal:?}");
    // Somebody with room takes it up.
    let rig = rig.reborn_with(Knobs::default()).await;
    rig.until(S::Active).await;
    assert_eq!(rig.machine().writes, 1);
    rig.stop().await;
}
