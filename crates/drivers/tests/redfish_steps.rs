//! Steps of management by Redfish, against a service that can be made to do what real ones do wrong.
#![allow(clippy::unwrap_used, reason = "set-up of tests")]

#[path = "../../bmc/tests/support/redfish_fake.rs"]
mod fake;
#[path = "rig/registry.rs"]
mod rig;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use driver::{DriverError, StepReply, Steps};
use fake::{Fake, Knobs};
use model::{InterfaceKind, JsonObject, Node, Timestamp};
use provision::{ErrorCode, PlannedStep, StepList, StepPart};
use serde_json::{Value, json};
use tempfile::TempDir;

const MANAGER: &str = "/redfish/v1/Managers/1";
const SECURE_BOOT: &str = "/redfish/v1/Systems/1/SecureBoot";
const RESET_KEYS: &str = "/redfish/v1/Systems/1/SecureBoot/Actions/SecureBoot.ResetKeys";
const UPDATE_SERVICE: &str = "/redfish/v1/UpdateService";
const SIMPLE_UPDATE: &str = "/redfish/v1/UpdateService/Actions/UpdateService.SimpleUpdate";
const TASK: &str = "/redfish/v1/TaskService/Tasks/7";

struct Site {
    fake: Fake,
    steps: Arc<dyn Steps>,
    node: Node,
    _folder: TempDir,
}

impl Site {
    async fn start(knobs: Knobs) -> Self {
        let fake = Fake::start(knobs).await;
        let folder = TempDir::new().unwrap();
        let registry = rig::registry(folder.path(), drivers::RedfishOptions::default());
        let steps = Arc::clone(&registry.steps[&(InterfaceKind::Management, "redfish")]);
        let node = rig::node(fake.address.port(), &json!({}));
        Self { fake, steps, node, _folder: folder }
    }

    /// With a clock that shows `time`.
    async fn with_clock(time: &str, offset: &str, stubborn: bool) -> Self {
        let manager = json!({"DateTime": time, "DateTimeLocalOffset": offset});
        Self::start(Knobs {
            system: json!({"Links": {"ManagedBy": [{"@odata.id": MANAGER}]}}),
            more: BTreeMap::from([(MANAGER, manager)]),
            stubborn,
            ..Knobs::default()
        })
        .await
    }

    async fn run(&self, list: StepList, name: &str, args: &Value) -> Result<StepReply, DriverError> {
        self.steps.run(&self.node, list, &step(name, args)).await
    }

    /// What was sent to `path`.
    fn sent(&self, path: &str) -> Vec<Value> {
        let seen = self.fake.seen.lock().unwrap();
        seen.bodies.iter().filter(|(to, _)| to == path).map(|(_, body)| body.clone()).collect()
    }

    /// Keeps what the engine would keep.
    fn remember(&mut self, observed: &provision::Observed) {
        for (key, value) in &observed.internal {
            self.node.driver_internal_info.set(key, value.clone());
        }
    }
}

fn step(name: &str, args: &Value) -> PlannedStep {
    let mut step = PlannedStep::new("management", name, 0, Vec::new());
    step.args = JsonObject::parse(&args.to_string()).unwrap();
    step.started_at = Some(Timestamp::from_micros(1));
    step
}

#[tokio::test]
async fn a_clock_that_is_right_is_left_alone_and_a_wrong_one_is_set() {
    let now = Timestamp::now().to_string();
    let right = Site::with_clock(&now, "+00:00", false).await;
    right.run(StepList::Verify, "verify_bmc_clock", &json!({})).await.unwrap();
    assert_eq!(right.sent(MANAGER), Vec::<Value>::new());

    // A clock that was never set shows no time at all.
    for shown in ["2001-01-01T00:00:00+02:00", "0000-00-00T00:00:00+00:00"] {
        let wrong = Site::with_clock(shown, "+02:00", false).await;
        wrong.run(StepList::Verify, "verify_bmc_clock", &json!({})).await.unwrap();
        let sent = wrong.sent(MANAGER);
        assert_eq!((sent.len(), &sent[0]["DateTimeLocalOffset"]), (1, &json!("+00:00")));
        let set: Timestamp = sent[0]["DateTime"].as_str().unwrap().parse().unwrap();
        assert!(Timestamp::now().since(set) < Duration::from_mins(1));
    }
}

#[tokio::test]
async fn a_clock_that_stays_wrong_fails_with_its_code() {
    let site = Site::with_clock("2001-01-01T00:00:00+00:00", "+00:00", true).await;
    let error = site.run(StepList::Verify, "verify_bmc_clock", &json!({})).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::BmcClock);
    assert!(error.to_string().contains("2001-01-01T00:00:00+00:00"), "{error}");
    let without = Site::start(Knobs::default()).await;
    let error = without.run(StepList::Verify, "verify_bmc_clock", &json!({})).await.unwrap_err();
    assert!(error.to_string().contains("no manager"), "{error}");
}

#[tokio::test]
async fn a_clock_is_set_to_what_a_caller_says() {
    let site = Site::with_clock("2001-01-01T00:00:00+00:00", "+00:00", false).await;
    let args = json!({"target_datetime": "2030-05-06T07:08:09.25+02:00", "datetime_local_offset": "+02:00"});
    site.run(StepList::Clean, "set_bmc_clock", &args).await.unwrap();
    let wanted = json!({"DateTime": "2030-05-06T05:08:09+00:00", "DateTimeLocalOffset": "+02:00"});
    assert_eq!(site.sent(MANAGER), [wanted]);
    for args in [
        json!({"target_datetime": "soon"}),
        json!({"target_datetime": 3}),
        json!({"datetime_local_offset": "CET"}),
    ] {
        let error = site.run(StepList::Clean, "set_bmc_clock", &args).await.unwrap_err();
        assert_eq!(error.code(), ErrorCode::InterfaceArguments, "{error}");
    }
    assert_eq!(site.sent(MANAGER).len(), 1);
}

#[tokio::test]
async fn keys_of_secure_boot_are_cleared_and_reset() {
    let secure_boot =
        json!({"SecureBootEnable": true, "Actions": {"#SecureBoot.ResetKeys": {"target": RESET_KEYS}}});
    let site = Site::start(Knobs {
        system: json!({"SecureBoot": {"@odata.id": SECURE_BOOT}}),
        more: BTreeMap::from([(SECURE_BOOT, secure_boot)]),
        actions: BTreeMap::from([(RESET_KEYS, (204, None))]),
        ..Knobs::default()
    })
    .await;
    site.run(StepList::Clean, "clear_secure_boot_keys", &json!({})).await.unwrap();
    site.run(StepList::Deploy, "reset_secure_boot_keys_to_default", &json!({})).await.unwrap();
    assert_eq!(
        site.sent(RESET_KEYS),
        [json!({"ResetKeysType": "DeleteAllKeys"}), json!({"ResetKeysType": "ResetAllKeysToDefault"})]
    );
    let without = Site::start(Knobs::default()).await;
    let error = without.run(StepList::Clean, "clear_secure_boot_keys", &json!({})).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::BmcRefused);
}

fn updating(task: &Value) -> Knobs {
    let protocols = json!(["HTTP", "HTTPS"]);
    let action = json!({"target": SIMPLE_UPDATE, "TransferProtocol@Redfish.AllowableValues": protocols});
    let service = json!({"Actions": {"#UpdateService.SimpleUpdate": action}});
    Knobs {
        root: json!({"UpdateService": {"@odata.id": UPDATE_SERVICE}}),
        more: BTreeMap::from([(UPDATE_SERVICE, service), (TASK, task.clone())]),
        actions: BTreeMap::from([(SIMPLE_UPDATE, (202, Some(TASK)))]),
        ..Knobs::default()
    }
}

fn two_images() -> Value {
    json!({"firmware_images": [
        {"url": "http://depot.example/bios.bin", "checksum": "a", "wait": 30},
        {"url": "https://depot.example/bmc.bin", "checksum": "b"},
    ]})
}

#[tokio::test]
async fn firmware_is_applied_image_by_image_each_with_its_task() {
    let mut site = Site::start(updating(&json!({"TaskState": "Running"}))).await;
    let step = step("update_firmware", &two_images());
    let list = StepList::Service;
    let begun = site.steps.run(&site.node, list, &step).await.unwrap();
    let StepReply::Waiting(wait) = begun else { panic!("{begun:?}") };
    assert!(wait.reboot && wait.limit == Duration::from_hours(2));
    site.remember(&wait.observed);
    let running = site.steps.poll(&site.node, list, &step).await.unwrap();
    assert!(matches!(running, StepReply::Waiting(_)), "{running:?}");

    // It ended, with a warning; then comes the rest, and the next image.
    let warned = json!({"TaskState": "Completed", "TaskStatus": "Warning"});
    site.fake.knobs.lock().unwrap().more.insert(TASK, warned);
    let part = site.steps.poll(&site.node, list, &step).await.unwrap();
    let StepReply::Part(part) = part else { panic!("{part:?}") };
    let StepPart { pause, again, observed } = *part;
    assert_eq!((pause, again), (30, true));
    site.remember(&observed);
    let unknown = site.steps.poll(&site.node, list, &step).await.unwrap();
    assert_eq!(unknown, StepReply::NotFound, "the second has not begun");
    let begun = site.steps.run(&site.node, list, &step).await.unwrap();
    let StepReply::Waiting(wait) = begun else { panic!("{begun:?}") };
    site.remember(&wait.observed);
    // The BMC has restarted with its new firmware and forgotten the task.
    site.fake.knobs.lock().unwrap().more.remove(TASK);
    let part = site.steps.poll(&site.node, list, &step).await.unwrap();
    let StepReply::Part(part) = part else { panic!("{part:?}") };
    assert_eq!((part.pause, part.again), (0, false));
    assert_eq!(part.observed.internal["firmware_updates"], Value::Null);
    assert_eq!(
        site.sent(SIMPLE_UPDATE),
        [
            json!({"ImageURI": "http://depot.example/bios.bin", "TransferProtocol": "HTTP"}),
            json!({"ImageURI": "https://depot.example/bmc.bin", "TransferProtocol": "HTTPS"}),
        ]
    );
}

#[tokio::test]
async fn a_failed_update_says_what_the_bmc_said() {
    let failed =
        json!({"TaskState": "Exception", "Messages": [{"Message": "The image is not for this machine."}]});
    let mut site = Site::start(updating(&failed)).await;
    let step = step("update_firmware", &two_images());
    let begun = site.steps.run(&site.node, StepList::Clean, &step).await.unwrap();
    let StepReply::Waiting(wait) = begun else { panic!("{begun:?}") };
    site.remember(&wait.observed);
    let error = site.steps.poll(&site.node, StepList::Clean, &step).await.unwrap_err();
    let text = error.to_string();
    assert_eq!(error.code(), ErrorCode::BmcRefused);
    assert!(text.contains("bios.bin") && text.contains("not for this machine"), "{text}");
}

#[tokio::test]
async fn an_update_without_a_task_is_done_at_once() {
    let mut knobs = updating(&json!({}));
    knobs.actions.insert(SIMPLE_UPDATE, (204, None));
    let site = Site::start(knobs).await;
    let reply = site.run(StepList::Clean, "update_firmware", &two_images()).await.unwrap();
    assert!(matches!(&reply, StepReply::Part(part) if part.again), "{reply:?}");
}
