//! Deploy: from an empty machine to its user's running system.
//!
//! Read this file to know how a deployment works. The machine boots the ramdisk, the agent in it writes the image and the
//! config drive and makes the disk bootable, the machine is switched off, changes networks, and boots from its disk.
//! The order and the priorities are those of the API's core steps, so that steps of callers, templates and agents slot in
//! where clients expect.

use model::{BootDevice, BootIntent};

use crate::step::{Action, NetworkChange, PlannedStep, StepList};

/// Seconds that the agent gets to switch the machine off before the BMC does.
const POWER_OFF_GRACE: u32 = 30;

/// The core steps of the `direct` interface. Each may be aborted: what they leave behind is never booted.
pub fn direct() -> Vec<PlannedStep> {
    core_steps().into_iter().map(|step| PlannedStep { abortable: true, ..step }).collect()
}

fn core_steps() -> Vec<PlannedStep> {
    vec![
        PlannedStep::new(
            "deploy",
            "deploy",
            100,
            vec![
                // Fetched and verified first: a bad image must not cost a reboot.
                Action::PrepareImage,
                Action::PowerOff { grace: 0 },
                Action::Network(NetworkChange::UnconfigureTenant),
                Action::Network(NetworkChange::AddProvisioning),
                Action::ForgetAgent,
                Action::Boot(BootIntent::Ramdisk),
                Action::SetBootDevice { device: BootDevice::Pxe, persistent: false },
                Action::PowerOn,
                Action::AwaitAgent,
                Action::FetchAgentSteps(StepList::Deploy),
            ],
        ),
        PlannedStep::new("deploy", "write_image", 80, vec![Action::RunAgentStep(StepList::Deploy)]),
        PlannedStep::new(
            "deploy",
            "prepare_instance_boot",
            60,
            vec![
                Action::InstallBootloader,
                Action::Boot(BootIntent::Disk),
                Action::SetBootDevice { device: BootDevice::Disk, persistent: true },
            ],
        ),
        PlannedStep::new(
            "deploy",
            "tear_down_agent",
            40,
            vec![
                Action::AgentSync,
                Action::AgentPowerOff,
                Action::PowerOff { grace: POWER_OFF_GRACE },
                Action::ForgetAgent,
            ],
        ),
        PlannedStep::new(
            "deploy",
            "switch_to_tenant_network",
            30,
            vec![
                Action::Network(NetworkChange::RemoveProvisioning),
                Action::Network(NetworkChange::ConfigureTenant),
            ],
        ),
        PlannedStep::new("deploy", "boot_instance", 20, vec![Action::PowerOn]),
    ]
}

/// The one step of interfaces that only pretend, as `fake`.
pub fn pretend() -> Vec<PlannedStep> {
    vec![PlannedStep::new("deploy", "deploy", 100, vec![Action::PowerOn])]
}
