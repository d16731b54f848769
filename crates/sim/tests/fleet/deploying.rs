//! The conductor's side, by crate `agent-client`: steps, images, faults, and the list of what was done to the disks.

use std::time::Duration;

use agent_api::params::InstallBootloader;
use agent_api::step::{AgentStep, StepKind};
use agent_api::{CommandResult, CommandStatus};
use agent_client::{AgentClient, AgentError};
use serde_json::{Value, json};
use sim::{Fault, FaultKind, Fleet, FleetOptions, Machine, OperationKind, Outcome, Phase, Span, Timing};

use super::api::Running;
use super::{LONG, boot_ramdisk, reaches};

fn step(interface: &str, name: &str, args: &Value) -> AgentStep {
    AgentStep {
        interface: interface.to_owned(),
        step: name.to_owned(),
        args: args.as_object().cloned(),
        ..AgentStep::default()
    }
}

fn write_image() -> AgentStep {
    let image_info = json!({
        "id": "cirros",
        "urls": ["http://images.example/cirros.img"],
        "os_hash_algo": "sha256",
        "os_hash_value": "ab".repeat(32),
    });
    step("deploy", "write_image", &json!({"image_info": image_info, "configdrive": "H4sI"}))
}

struct Deployment {
    service: Running,
    fleet: Fleet,
}

impl Deployment {
    async fn new(seed: u64) -> Self {
        Self::with_timing(seed, &Timing::hurried()).await
    }

    async fn with_timing(seed: u64, timing: &Timing) -> Self {
        let service = Running::start().await;
        let fleet =
            service.fleet(FleetOptions { timing: timing.clone(), ..FleetOptions::new(1, seed) }).await;
        Self { service, fleet }
    }

    fn machine(&self) -> &std::sync::Arc<Machine> {
        self.fleet.machine(0).unwrap()
    }

    /// Boots the ramdisk and gives its agent.
    async fn agent(&self) -> AgentClient {
        let skip = self.service.book(|book| book.heartbeats.len());
        boot_ramdisk(self.machine()).await;
        let uuid = self.machine().uuid().to_string();
        self.service.heartbeat(&uuid, skip).await;
        self.service.agent(&uuid).await
    }

    async fn run(&self, agent: &AgentClient, kind: StepKind, step: &AgentStep) -> CommandResult {
        let started = agent.execute_step(kind, step, &json!({}), &json!([]), None).await.unwrap();
        agent.wait_for(started, LONG).await.unwrap()
    }

    fn done(&self) -> Vec<(OperationKind, Outcome)> {
        self.machine().operations().iter().map(|operation| (operation.kind, operation.outcome)).collect()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_whole_deployment_is_written_once_and_boots_its_own_system() {
    let deployment = Deployment::new(1).await;
    let machine = deployment.machine();
    let agent = deployment.agent().await;
    let (offered, _) = agent.get_steps(StepKind::Clean, &json!({}), &json!([])).await.unwrap();
    let steps: Vec<&AgentStep> = offered.steps.values().flatten().collect();
    assert!(steps.iter().any(|step| step.step == "erase_devices" && step.priority == 10));
    assert!(steps.iter().any(|step| step.step == "erase_devices_metadata" && step.priority == 99));

    let result =
        deployment.run(&agent, StepKind::Clean, &step("deploy", "erase_devices_metadata", &json!({}))).await;
    assert_eq!(result.command_status, CommandStatus::Succeeded);
    assert_eq!(result.command_result["clean_step"]["step"], "erase_devices_metadata");

    let result = deployment.run(&agent, StepKind::Deploy, &write_image()).await;
    assert_eq!(result.command_status, CommandStatus::Succeeded, "{result:?}");
    assert!(agent.get_partition_uuids().await.unwrap().root_uuid.is_some());
    let bootloader =
        InstallBootloader { target_boot_mode: Some("uefi".to_owned()), ..InstallBootloader::default() };
    agent.install_bootloader(&bootloader, LONG).await.unwrap();
    agent.sync().await.unwrap();
    assert!(!agent.collect_system_logs().await.unwrap().system_logs.is_empty());
    agent.power_off().await.unwrap();
    let state = reaches(machine, "off", |state| !state.powered).await;
    assert_eq!((state.image.as_deref(), state.config_drive), (Some("cirros"), true));
    machine.power_on();
    reaches(machine, "own system", |state| state.phase == Phase::OwnSystem).await;

    let kinds = [OperationKind::EraseMetadata, OperationKind::WriteImage, OperationKind::InstallBootloader];
    let expected = kinds.map(|kind| (kind, Outcome::Done));
    assert_eq!(deployment.done(), expected);
    let operations = machine.operations();
    assert!(operations.is_sorted_by_key(|operation| operation.started));
    assert!(operations[1].detail.starts_with("cirros sha256:abab"), "{}", operations[1].detail);
    assert!(
        operations.iter().all(|operation| operation.boot == 1 && operation.ended > Some(operation.started))
    );
    deployment.fleet.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_finished_command_sends_a_heartbeat_early() {
    let timing = Timing { heartbeat: Some(Span::millis(60_000, 60_000)), ..Timing::hurried() };
    let deployment = Deployment::with_timing(2, &timing).await;
    let agent = deployment.agent().await;
    let before = deployment.service.book(|book| book.heartbeats.len());
    deployment.run(&agent, StepKind::Clean, &step("deploy", "erase_devices", &json!({}))).await;
    deployment.service.heartbeat(&deployment.machine().uuid().to_string(), before).await;
    deployment.fleet.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_command_at_a_time_and_progress_of_the_one() {
    let timing = Timing { write: Span::millis(3_000, 3_000), ..Timing::hurried() };
    let deployment = Deployment::with_timing(3, &timing).await;
    let agent = deployment.agent().await;
    let started =
        agent.execute_step(StepKind::Deploy, &write_image(), &json!({}), &json!([]), None).await.unwrap();
    assert!(started.is_running());
    let error = agent.sync().await.unwrap_err();
    assert!(matches!(error, AgentError::InProgress { .. }), "{error:?}");
    let ended = agent.wait_for(started, LONG).await.unwrap();
    assert_eq!(ended.command_status, CommandStatus::Succeeded);
    let reports = deployment.service.book(|book| book.progress.clone());
    assert!(!reports.is_empty() && reports.len() <= 3, "at most one a second: {}", reports.len());
    assert_eq!(reports[0]["command"], "execute_deploy_step");
    assert!(reports[0]["bytes_done"].as_u64().unwrap() > 0);
    deployment.fleet.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_agent_refuses() {
    let deployment = Deployment::new(4).await;
    let agent = deployment.agent().await;
    let unknown = deployment.run(&agent, StepKind::Clean, &step("deploy", "no_such_step", &json!({}))).await;
    assert_eq!(unknown.command_status, CommandStatus::Failed);
    let mut bare = write_image();
    bare.args.as_mut().unwrap()["image_info"] = json!({"id": "x", "urls": ["http://h/x"]});
    let refused = deployment.run(&agent, StepKind::Deploy, &bare).await;
    assert!(refused.command_error.unwrap().text().contains("no checksum"));
    let versions = [("generic_hardware_manager".to_owned(), "0.1".to_owned())].into();
    let erase = step("deploy", "erase_devices", &json!({}));
    let started =
        agent.execute_step(StepKind::Clean, &erase, &json!({}), &json!([]), Some(&versions)).await.unwrap();
    let ended = agent.wait_for(started, LONG).await.unwrap();
    assert_eq!(ended.command_status, CommandStatus::CleanVersionMismatch);
    let error = agent.command("flow.start_flow", serde_json::Map::new(), true).await.unwrap_err();
    assert!(matches!(error, AgentError::Refused { .. }), "{error:?}");
    let no_image = agent.install_bootloader(&InstallBootloader::default(), LONG).await.unwrap_err();
    assert!(matches!(no_image, AgentError::Failed { .. }), "{no_image:?}");
    assert_eq!(deployment.done(), [(OperationKind::InstallBootloader, Outcome::Failed)]);
    deployment.fleet.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn faults_of_images_fail_and_go_when_mended() {
    let deployment = Deployment::new(5).await;
    let machine = deployment.machine();
    let agent = deployment.agent().await;
    machine.inject_fault(Fault::DiskTooSmall);
    let failed = deployment.run(&agent, StepKind::Deploy, &write_image()).await;
    assert!(failed.command_error.unwrap().text().contains("too small"));
    assert_eq!(deployment.done(), [], "nothing was touched");
    machine.clear_fault(FaultKind::DiskTooSmall);
    machine.inject_fault(Fault::ChecksumMismatch);
    let failed = deployment.run(&agent, StepKind::Deploy, &write_image()).await;
    assert_eq!(failed.command_error.unwrap().kind.as_deref(), Some("ImageChecksumError"));
    assert_eq!(machine.state().image, None);
    machine.clear_fault(FaultKind::ChecksumMismatch);
    let written = deployment.run(&agent, StepKind::Deploy, &write_image()).await;
    assert_eq!(written.command_status, CommandStatus::Succeeded);
    let outcomes: Vec<_> = deployment.done().into_iter().map(|(_, outcome)| outcome).collect();
    assert_eq!(outcomes, [Outcome::Failed, Outcome::Done]);
    deployment.fleet.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_that_dies_mid_write_leaves_an_interrupted_operation() {
    let deployment = Deployment::new(6).await;
    let machine = deployment.machine();
    let agent = deployment.agent().await;
    machine.inject_fault(Fault::AgentDiesMidWrite);
    agent.execute_step(StepKind::Deploy, &write_image(), &json!({}), &json!([]), None).await.unwrap();
    reaches(machine, "death", |state| state.phase == Phase::AgentGone && state.agent_url.is_none()).await;
    let state = machine.state();
    assert!(state.powered && state.image.is_none());
    assert_eq!(deployment.done(), [(OperationKind::WriteImage, Outcome::Interrupted)]);
    assert!(
        machine.wait_for(Duration::from_secs(1), |after| after.heartbeats > state.heartbeats).await.is_none()
    );

    machine.clear_fault(FaultKind::AgentDiesMidWrite);
    let agent = deployment.agent().await;
    let written = deployment.run(&agent, StepKind::Deploy, &write_image()).await;
    assert_eq!(written.command_status, CommandStatus::Succeeded);
    assert_eq!(machine.operations()[1].boot, 2);
    deployment.fleet.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_power_cut_interrupts_what_is_running() {
    let timing = Timing { erase: Span::millis(60_000, 60_000), ..Timing::hurried() };
    let deployment = Deployment::with_timing(7, &timing).await;
    let machine = deployment.machine();
    let agent = deployment.agent().await;
    let erase = step("deploy", "erase_devices", &json!({}));
    agent.execute_step(StepKind::Clean, &erase, &json!({}), &json!([]), None).await.unwrap();
    reaches(machine, "erasing", |_| !machine.operations().is_empty()).await;
    machine.power_off();
    assert_eq!(deployment.done(), [(OperationKind::EraseDevices, Outcome::Interrupted)]);
    deployment.fleet.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reboot_by_command_starts_the_written_system() {
    let deployment = Deployment::new(8).await;
    let agent = deployment.agent().await;
    deployment.run(&agent, StepKind::Deploy, &write_image()).await;
    agent.run_image().await.unwrap();
    let state = reaches(deployment.machine(), "own system", |state| state.phase == Phase::OwnSystem).await;
    assert_eq!(state.boots, 2);
    deployment.fleet.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lockdown_ends_the_agent_and_leaves_the_power() {
    let deployment = Deployment::new(9).await;
    let agent = deployment.agent().await;
    agent.lockdown().await.unwrap();
    let state = reaches(deployment.machine(), "agent gone", |state| state.phase == Phase::AgentGone).await;
    assert!(state.powered);
    deployment.fleet.stop().await;
}
