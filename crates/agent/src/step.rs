//! The steps that the agent offers, and how they are carried out: erasing, writing, making bootable.

use crate::{
    agent::Agent,
    command::{Command, Failure, Outcome},
    extension::{blocking, required},
    inventory, write_image,
};
use agent_api::{
    AgentStep, StepKind, StepOutcome, StepsReply,
    params::{InstallBootloader, PartitionUuids, WriteImage},
};
use disk::{
    Control, DiskInfo,
    boot::{self, Architecture, variables::EfiVars},
    erase, partitions,
};
use serde_json::{Map, Value, json};
use std::{
    path::{Path, PathBuf},
    sync::{Arc, atomic::AtomicBool},
};

/// The steps of one kind. Nothing is offered that does not work.
pub fn offered(kind: StepKind) -> StepsReply {
    let steps = match kind {
        StepKind::Clean => vec![
            step("erase_devices_metadata", 99, true, Map::new()),
            step("erase_devices", 10, true, Map::new()),
        ],
        StepKind::Deploy => {
            let argument = |description: &str, required: bool| json!({ "description": description, "required": required });
            let mut arguments = Map::new();
            arguments
                .insert("image_info".to_owned(), argument("What to write: id, urls, a checksum, …", true));
            arguments
                .insert("configdrive".to_owned(), argument("URL, or base64 of a gzipped ISO image", false));
            vec![
                step("write_image", 0, false, arguments),
                step("erase_devices_metadata", 0, true, Map::new()),
            ]
        }
        StepKind::Service => Vec::new(),
    };
    StepsReply {
        steps: [(crate::MANAGER.to_owned(), steps)].into(),
        hardware_manager_version: [(crate::MANAGER.to_owned(), crate::MANAGER_VERSION.to_owned())].into(),
    }
}

fn step(name: &str, priority: i64, abortable: bool, arguments: Map<String, Value>) -> AgentStep {
    AgentStep {
        step: name.to_owned(),
        interface: "deploy".to_owned(),
        priority,
        abortable: Some(abortable),
        reboot_requested: Some(false),
        argsinfo: (!arguments.is_empty()).then_some(arguments),
        ..AgentStep::default()
    }
}

/// Carries out one step that a conductor ordered.
pub async fn execute(
    agent: &Arc<Agent>,
    command: &Arc<Command>,
    kind: StepKind,
    params: Map<String, Value>,
) -> Outcome {
    let ordered: Value = required(&params, "step")?;
    let node: Value = required(&params, "node")?;
    let _: Value = required(&params, "ports")?;
    check_version(&params, kind)?;
    let step: AgentStep = required(&params, "step")?;
    let known = offered(kind).steps.into_values().flatten().any(|offered| offered.step == step.step);
    if !known {
        return Err(Failure::failed(format!("this agent has no {} step {}", kind.as_str(), step.step)));
    }
    tracing::info!("{} step {}", kind.as_str(), step.step);
    let result = match step.step.as_str() {
        "erase_devices_metadata" => erase_all(agent, command, Thoroughness::Metadata).await?,
        "erase_devices" => erase_all(agent, command, Thoroughness::Everything).await?,
        _ => {
            let args = Value::Object(step.args.unwrap_or_default());
            let order: WriteImage =
                serde_json::from_value(args).map_err(|error| Failure::arguments(error.to_string()))?;
            write_image::run(agent, command, &node, order).await?
        }
    };
    Ok(StepOutcome { result, step: ordered }.to_value(kind))
}

/// The conductor says by which versions of the hardware managers it planned; another agent may have been booted since.
fn check_version(params: &Map<String, Value>, kind: StepKind) -> Result<(), Failure> {
    let Some(Value::Object(planned)) = params.get(&kind.version_key()) else { return Ok(()) };
    let now = json!({ crate::MANAGER: crate::MANAGER_VERSION });
    if now.as_object() == Some(planned) {
        return Ok(());
    }
    Err(Failure::mismatch(format!("planned with {}, this agent has {now}", Value::Object(planned.clone()))))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Thoroughness {
    Metadata,
    Everything,
}

/// Erases all disks, one after the other; the result is the evidence for each.
async fn erase_all(agent: &Arc<Agent>, command: &Arc<Command>, how: Thoroughness) -> Outcome {
    agent.set_written(None);
    let (agent, command) = (agent.clone(), command.clone());
    blocking(move || {
        let disks = agent.disks.erasable().map_err(|error| Failure::because(&error))?;
        let total: u64 = disks.iter().map(|disk| disk.size).sum();
        let mut before = 0;
        let mut evidence = Vec::new();
        for disk in &disks {
            let mut tell = |done: u64| command.set_progress("erase", before + done, Some(total));
            tell(0);
            let outcome = erase_one(&agent, disk, how, &mut tell);
            let failed = |error| Failure::failed(format!("{}: {}", disk.name, crate::console::chain(&error)));
            evidence.push(outcome.map_err(failed)?);
            before += disk.size;
            tracing::info!("erased {} ({how:?})", disk.name);
        }
        Ok(json!(evidence))
    })
    .await
}

fn erase_one(
    agent: &Agent,
    disk: &DiskInfo,
    how: Thoroughness,
    tell: &mut dyn FnMut(u64),
) -> Result<erase::Evidence, disk::DiskError> {
    let device = agent.disks.open(Path::new(&disk.name))?;
    if how == Thoroughness::Metadata {
        return erase::erase_metadata(&device);
    }
    let never = AtomicBool::new(false);
    let mut progress = |progress: disk::Progress| tell(progress.written);
    erase::erase_device(&device, &mut Control { progress: &mut progress, cancel: &never })
}

/// The disk with the image: the one written in this boot, else the one that the node's hints name.
fn image_disk(agent: &Agent) -> Result<PathBuf, Failure> {
    if let Some(path) = agent.written() {
        return Ok(path);
    }
    let hints = agent
        .identity()
        .map(|identity| root_hints(&identity.lookup.node.properties, &identity.lookup.node.instance_info));
    agent.disks.root(&hints.unwrap_or_default()).map_err(|error| Failure::because(&error))
}

/// Hints for the root disk: those of the instance before those of the node.
pub fn root_hints(properties: &Map<String, Value>, instance_info: &Map<String, Value>) -> Value {
    let given = |map: &Map<String, Value>| map.get("root_device").filter(|hints| hints.is_object()).cloned();
    given(instance_info).or_else(|| given(properties)).unwrap_or_default()
}

/// Identifiers of what is on the disk with the image.
pub async fn partition_uuids(agent: &Arc<Agent>) -> Outcome {
    let agent = agent.clone();
    blocking(move || {
        let Some(path) = agent.written() else { return Ok(json!(PartitionUuids::default())) };
        let found = agent.disks.open(&path).and_then(|device| partitions::list(&device));
        let found = found.map_err(|error| Failure::because(&error))?;
        let content_uuid =
            |partition: &partitions::Partition| partition.content.as_ref().and_then(|c| c.uuid.clone());
        let efi = found.iter().find(|partition| partition.is_efi_system());
        let prep = found.iter().find(|partition| partition.is_prep_boot());
        Ok(json!(PartitionUuids {
            root_uuid: None,
            efi_system_partition_uuid: efi.and_then(content_uuid),
            prep_boot_partition_uuid: prep.map(|partition| partition.uuid.clone()),
            partitions: Map::new(),
        }))
    })
    .await
}

/// Has the firmware boot what was written. On BIOS machines a whole-disk image brings its own boot sector: nothing to do.
pub async fn install_boot_loader(agent: &Arc<Agent>, request: &InstallBootloader) -> Outcome {
    let mode = request.target_boot_mode.clone().unwrap_or_else(|| inventory::boot_mode().to_owned());
    if mode != "uefi" || !agent.machine.is_owned() {
        tracing::info!("boot mode {mode}: the image's own boot sector boots");
        return Ok(Value::Null);
    }
    let ignore = agent.parameters.ignore_boot_loader_failure;
    let agent = agent.clone();
    let outcome = blocking(move || {
        let path = image_disk(&agent)?;
        let device = agent.disks.open(&path).map_err(|error| Failure::because(&error))?;
        let entry = boot::install_efi_entry(&device, &EfiVars::default(), Architecture::current());
        if entry.map_err(|error| Failure::because(&error))?.is_none() {
            return Err(Failure::failed(
                "the machine did not boot by UEFI, its boot entries are out of reach",
            ));
        }
        rustix::fs::sync();
        Ok(Value::Null)
    })
    .await;
    match outcome {
        Err(failure) if ignore => {
            tracing::warn!("boot loader failure ignored as told: {}", failure.details());
            Ok(Value::Null)
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_offered() {
        let names = |kind| {
            let steps = offered(kind).steps.remove(crate::MANAGER).expect("our steps");
            steps.into_iter().map(|step| (step.step, step.priority)).collect::<Vec<_>>()
        };
        assert_eq!(
            names(StepKind::Clean),
            [("erase_devices_metadata".into(), 99), ("erase_devices".into(), 10)]
        );
        assert_eq!(names(StepKind::Deploy)[0], ("write_image".into(), 0));
        assert_eq!(names(StepKind::Service), []);
    }

    #[test]
    fn versions() {
        let params =
            |version: Value| json!({ "clean_version": version }).as_object().cloned().expect("object");
        assert!(check_version(&params(json!(null)), StepKind::Clean).is_ok());
        assert!(
            check_version(&params(json!({ crate::MANAGER: crate::MANAGER_VERSION })), StepKind::Clean)
                .is_ok()
        );
        assert!(
            check_version(&params(json!({ "generic_hardware_manager": "1.2" })), StepKind::Clean).is_err()
        );
    }

    #[test]
    fn hints_of_the_instance_come_first() {
        let map =
            |size: u32| json!({ "root_device": { "size": size } }).as_object().cloned().expect("object");
        assert_eq!(root_hints(&map(1), &map(2)), json!({ "size": 2 }));
        assert_eq!(root_hints(&map(1), &Map::new()), json!({ "size": 1 }));
        assert_eq!(root_hints(&Map::new(), &Map::new()), Value::Null);
    }
}
