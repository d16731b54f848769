//! Frozen samples of every message: each must be read, and written again without the least difference.
//!
//! A sample is never edited once released; a changed shape is a new sample beside the old.

use agent_api::{params, version::ApiRoot, *};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

fn same<T: Serialize + DeserializeOwned>(sample: &str) -> T {
    let value: Value = serde_json::from_str(sample).expect("the sample is JSON");
    let message: T = serde_json::from_str(sample).expect("the sample is read");
    assert_eq!(serde_json::to_value(&message).expect("written"), value);
    message
}

/// The same message with one more key in every object, as a newer peer would send it.
fn with_unknown_keys(sample: &str) -> String {
    fn add(value: &mut Value) {
        match value {
            Value::Object(map) => {
                map.values_mut().for_each(add);
                map.insert("key_of_tomorrow".into(), Value::Bool(true));
            }
            Value::Array(items) => items.iter_mut().for_each(add),
            _ => {}
        }
    }
    let mut value = serde_json::from_str(sample).expect("the sample is JSON");
    add(&mut value);
    value.to_string()
}

macro_rules! frozen {
    ($($test:ident: $kind:ty = $file:literal;)*) => {$(
        #[test]
        fn $test() {
            let sample = include_str!(concat!("v1/", $file));
            same::<$kind>(sample);
            serde_json::from_str::<$kind>(&with_unknown_keys(sample)).expect("unknown keys do not disturb");
        }
    )*};
}

frozen! {
    lookup_reply: LookupReply = "lookup_reply.json";
    lookup_reply_wrought: LookupReply = "lookup_reply_wrought.json";
    heartbeat: Heartbeat = "heartbeat.json";
    heartbeat_anaconda: Heartbeat = "heartbeat_anaconda.json";
    command_request: CommandRequest = "command_request.json";
    command_running: CommandResult = "command_running.json";
    command_running_progress: CommandResult = "command_running_progress.json";
    command_failed: CommandResult = "command_failed.json";
    command_mismatch: CommandResult = "command_mismatch.json";
    partition_uuids: params::PartitionUuids = "partition_uuids.json";
    write_image: params::WriteImage = "write_image.json";
    fault: Fault = "fault.json";
    fault_stock: Fault = "fault_stock.json";
    progress: ProgressReport = "progress.json";
    inspection: InspectionReport = "inspection.json";
    api_root: ApiRoot = "api_root.json";
}

#[test]
fn clean_steps() {
    let value: Value = serde_json::from_str(include_str!("v1/clean_steps.json")).expect("JSON");
    let reply = StepsReply::from_value(StepKind::Clean, &value).expect("steps");
    assert_eq!(reply.steps["generic_hardware_manager"][1].step, "burnin_cpu");
    assert_eq!(reply.to_value(StepKind::Clean), value);
    let other = StepsReply::from_value(StepKind::Deploy, &value).expect("other lists are no steps");
    assert!(other.steps.is_empty());
}

#[test]
fn hostile_step_lists_are_errors() {
    for text in
        [r#"{"clean_steps":[]}"#, r#"{"clean_steps":{"m":[{"step":1}]}}"#, r#"{"clean_steps":{"m":[{}]}}"#]
    {
        let value: Value = serde_json::from_str(text).expect("JSON");
        assert!(StepsReply::from_value(StepKind::Clean, &value).is_err(), "{text}");
    }
}

#[test]
fn deploy_outcome() {
    let value: Value = serde_json::from_str(include_str!("v1/deploy_outcome.json")).expect("JSON");
    let outcome = StepOutcome::from_value(StepKind::Deploy, &value).expect("outcome");
    assert_eq!(outcome.to_value(StepKind::Deploy), value);
    assert_eq!(StepOutcome::from_value(StepKind::Clean, &value), None);
}

#[test]
fn a_stock_server_sees_nothing_of_ours() {
    let reply: LookupReply = same(include_str!("v1/lookup_reply.json"));
    assert_eq!(reply.config.wrought, None);
    let ours: LookupReply = same(include_str!("v1/lookup_reply_wrought.json"));
    assert!(ours.config.wrought.expect("announced").progress_path.is_some());
}

#[test]
fn the_oldest_server_is_understood() {
    let reply: LookupReply =
        serde_json::from_str(r#"{"node":{"uuid":"x"},"heartbeat_timeout":77}"#).expect("lookup");
    assert_eq!((reply.timeout_seconds(), reply.config.agent_token), (77, None));
}

#[test]
fn heartbeats_shrink_to_the_server() {
    let beat: Heartbeat = same(include_str!("v1/heartbeat.json"));
    let keys = |version: &str| {
        let beat = beat.clone().for_version(version.parse().expect("version"));
        let value = serde_json::to_value(beat).expect("JSON");
        value.as_object().expect("object").keys().cloned().collect::<Vec<_>>()
    };
    assert_eq!(keys("1.31"), ["agent_token", "callback_url"]);
    assert_eq!(keys("1.62"), ["agent_token", "agent_version", "callback_url"]);
    assert_eq!(keys("1.68"), ["agent_token", "agent_verify_ca", "agent_version", "callback_url"]);
}
