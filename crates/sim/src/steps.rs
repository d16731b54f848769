//! The steps that the agent offers, and what they do to the machine: they take time, change the disk and leave their
//! mark in the list of operations.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use agent_api::params::WriteImage;
use agent_api::step::{AgentStep, ManagerVersions, StepKind, StepOutcome, StepsReply};
use agent_api::{ImageInfo, Progress};
use serde_json::{Map, Value, json};
use tokio::time::Instant;

use crate::agent::Agent;
use crate::commands::Failure;
use crate::fault::FaultKind;
use crate::machine::Phase;
use crate::operation::{OperationKind, Outcome};

const MANAGER: &str = "generic_hardware_manager";
const MANAGER_VERSION: &str = "1.2";
/// Parts in which an image is written: progress is told after each.
const PARTS: u32 = 20;
/// Size that progress speaks of; nothing is transferred.
const IMAGE_BYTES: u64 = 2 << 30;
/// Shortest time between two progress reports to the service.
const REPORT_PAUSE: Duration = Duration::from_secs(1);

/// Interface, name and priority of a step.
type Offer = (&'static str, &'static str, i64);

const CLEAN: &[Offer] = &[
    ("deploy", "erase_devices", 10),
    ("deploy", "erase_devices_metadata", 99),
    ("deploy", "erase_devices_express", 0),
    ("deploy", "erase_pstore", 0),
    ("deploy", "burnin_cpu", 0),
    ("deploy", "burnin_disk", 0),
    ("deploy", "burnin_memory", 0),
    ("deploy", "burnin_network", 0),
    ("raid", "delete_configuration", 0),
    ("raid", "create_configuration", 0),
];
const DEPLOY: &[Offer] = &[
    ("deploy", "write_image", 0),
    ("deploy", "inject_files", 0),
    ("deploy", "erase_devices_metadata", 0),
    ("raid", "apply_configuration", 0),
];
const SERVICE: &[Offer] = &[
    ("raid", "apply_configuration", 0),
    ("raid", "create_configuration", 0),
    ("raid", "delete_configuration", 0),
    ("deploy", "burnin_cpu", 0),
    ("deploy", "burnin_memory", 0),
    ("deploy", "write_image", 0),
    ("deploy", "inject_files", 0),
];

fn offers(kind: StepKind) -> &'static [Offer] {
    match kind {
        StepKind::Clean => CLEAN,
        StepKind::Deploy => DEPLOY,
        StepKind::Service => SERVICE,
    }
}

/// What the agent offers.
pub(crate) fn offered(kind: StepKind) -> StepsReply {
    let steps = offers(kind).iter().map(|&(interface, step, priority)| AgentStep {
        step: step.to_owned(),
        interface: interface.to_owned(),
        priority,
        abortable: Some(step.starts_with("erase_devices") || step.starts_with("burnin_")),
        reboot_requested: Some(false),
        ..AgentStep::default()
    });
    StepsReply {
        steps: BTreeMap::from([(MANAGER.to_owned(), steps.collect())]),
        hardware_manager_version: versions(),
    }
}

fn versions() -> ManagerVersions {
    ManagerVersions::from([(MANAGER.to_owned(), MANAGER_VERSION.to_owned())])
}

/// Carries out the step that `params` names.
pub(crate) async fn execute(
    agent: &Arc<Agent>,
    kind: StepKind,
    id: &str,
    params: &Map<String, Value>,
) -> Result<Value, Failure> {
    let told = params.get(&kind.version_key()).filter(|version| !version.is_null());
    if told.is_some_and(|told| *told != json!(versions())) {
        return Err(Failure::VersionMismatch);
    }
    let step_value = params.get("step").ok_or_else(|| Failure::new("TypeError", "there is no step"))?;
    let step: AgentStep = serde_json::from_value(step_value.clone())
        .map_err(|error| Failure::new("TypeError", format!("step: {error}")))?;
    if !offers(kind).iter().any(|(interface, name, _)| *name == step.step && *interface == step.interface) {
        let text = format!("there is no {} step {}.{}", kind.as_str(), step.interface, step.step);
        return Err(Failure::new("IncompatibleHardwareMethodError", text));
    }
    let result = carry_out(agent, kind, id, &step).await?;
    Ok(StepOutcome { result, step: step_value.clone() }.to_value(kind))
}

async fn carry_out(agent: &Arc<Agent>, kind: StepKind, id: &str, step: &AgentStep) -> Result<Value, Failure> {
    let machine = &agent.machine;
    let timing = &machine.shared.timing;
    let (operation, span) = match step.step.as_str() {
        "write_image" => return write_image(agent, kind, id, step).await,
        name if name.starts_with("burnin_") => {
            tokio::time::sleep(machine.sample(timing.step)).await;
            return Ok(Value::Null);
        }
        "erase_devices" | "erase_devices_express" => (OperationKind::EraseDevices, timing.erase),
        "erase_devices_metadata" => (OperationKind::EraseMetadata, timing.step),
        "delete_configuration" | "create_configuration" | "apply_configuration" => {
            (OperationKind::ChangeRaid, timing.step)
        }
        _ => (OperationKind::Other, timing.step),
    };
    let running = machine.begin(operation, step.step.clone());
    if operation != OperationKind::Other {
        forget_disk(agent);
    }
    tokio::time::sleep(machine.sample(span)).await;
    running.end(Outcome::Done, |_| {});
    Ok(Value::Null)
}

fn forget_disk(agent: &Agent) {
    agent.machine.change(|state| {
        state.image = None;
        state.config_drive = false;
    });
}

async fn write_image(
    agent: &Arc<Agent>,
    kind: StepKind,
    id: &str,
    step: &AgentStep,
) -> Result<Value, Failure> {
    let machine = &agent.machine;
    let args = Value::Object(step.args.clone().unwrap_or_default());
    let args: WriteImage = serde_json::from_value(args)
        .map_err(|error| Failure::new("TypeError", format!("write_image: {error}")))?;
    let digest = check(&args.image_info, agent.weak_checksums)?;
    if machine.has(FaultKind::DiskTooSmall) {
        return Err(Failure::new(
            "DeviceNotFound",
            "No suitable device for deployment: all disks are too small",
        ));
    }
    let running = machine.begin(OperationKind::WriteImage, format!("{} {digest}", args.image_info.id));
    forget_disk(agent);
    let pause = machine.sample(machine.shared.timing.write) / PARTS;
    let command = format!("execute_{}_step", kind.as_str());
    let mut reported = Instant::now();
    for part in 0..PARTS {
        if part == PARTS / 2 && machine.has(FaultKind::AgentDiesMidWrite) {
            running.end(Outcome::Interrupted, |_| {});
            machine.problem("the agent died while it wrote an image");
            machine.set_phase(Phase::AgentGone);
            agent.death.cancel();
            return std::future::pending().await;
        }
        let bytes_done = IMAGE_BYTES / u64::from(PARTS) * u64::from(part);
        let progress = Progress { phase: "write".to_owned(), bytes_done, bytes_total: Some(IMAGE_BYTES) };
        agent.commands.set_progress(id, progress.clone());
        if reported.elapsed() >= REPORT_PAUSE {
            reported = Instant::now();
            agent.report(&command, &progress).await;
        }
        tokio::time::sleep(pause).await;
    }
    if machine.has(FaultKind::ChecksumMismatch) {
        running.end(Outcome::Failed, |_| {});
        let text = format!("image {} failed to verify against checksum {digest}", args.image_info.id);
        return Err(Failure::new("ImageChecksumError", text));
    }
    running.end(Outcome::Done, |state| {
        state.image = Some(args.image_info.id.clone());
        state.config_drive = args.configdrive.is_some();
    });
    Ok(format!("image ({}) written to device /dev/sda", args.image_info.id).into())
}

/// What the agent checks before it writes; the digest for the list of operations.
fn check(image: &ImageInfo, weak_checksums: bool) -> Result<String, Failure> {
    let refuse =
        |error: agent_api::ImageInfoError| Failure::new("InvalidCommandParamsError", error.to_string());
    image.validate().map_err(refuse)?;
    Ok(format!("{:?}", image.check(weak_checksums).map_err(refuse)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offers_read_back_as_the_wire_says() {
        for kind in [StepKind::Clean, StepKind::Deploy, StepKind::Service] {
            let reply = offered(kind);
            assert_eq!(StepsReply::from_value(kind, &reply.to_value(kind)).unwrap(), reply);
            assert_eq!(reply.steps[MANAGER].len(), offers(kind).len());
        }
    }

    #[test]
    fn images_without_a_strong_checksum_are_refused() {
        let mut image = ImageInfo { id: "i".into(), urls: vec!["http://h/i".into()], ..ImageInfo::default() };
        assert!(check(&image, true).is_err());
        image.checksum = Some("0".repeat(32));
        assert!(check(&image, false).is_err());
        assert!(check(&image, true).is_ok());
        image.checksum = Some("0".repeat(64));
        assert!(check(&image, false).unwrap().starts_with("sha256:"));
    }
}
