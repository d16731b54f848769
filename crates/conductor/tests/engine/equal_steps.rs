//! A conductor that dies between two equal steps, or while it opens a machine to a rescuer.

use conductor_api::ProvisionArgs;
use model::{ProvisionState as S, Secret};
use provision::Verb;
use serde_json::json;

use crate::rig::{Knobs, Rig};
use crate::steps;

#[tokio::test(flavor = "multi_thread")]
async fn each_of_two_equal_steps_runs_once() {
    let erase = json!({ "interface": "deploy", "step": "erase_devices_metadata" });
    let list = json!([erase, erase]);
    for actions in 0..10 {
        let rig = Rig::start(Knobs { die_after: Some(actions), ..Knobs::default() }).await;
        rig.set_state(S::Manageable).await;
        rig.request_with(Verb::Clean, steps(Verb::Clean, &list)).await.unwrap();
        let rig = rig.reborn().await;
        let node = rig.until(S::Manageable).await;
        assert_eq!(node.last_error, None, "after {actions} actions");
        assert_eq!(rig.machine().erasures, 2, "after {actions} actions");
        rig.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rescue_is_opened_once() {
    // Off, the boot device, on, and the agent.
    for actions in 0..4 {
        let rig = Rig::start(Knobs { die_after: Some(actions), ..Knobs::default() }).await;
        rig.set_state(S::Active).await;
        let rescue_password = Some(Secret::new("open sesame"));
        let args = ProvisionArgs { rescue_password, ..ProvisionArgs::default() };
        rig.request_with(Verb::Rescue, args).await.unwrap();
        let rig = rig.reborn().await;
        let node = rig.until(S::Rescue).await;
        assert_eq!(node.last_error, None, "after {actions} actions");
        assert_eq!(rig.machine().openings, 1, "after {actions} actions");
        rig.stop().await;
    }
}
