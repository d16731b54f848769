//! The lists of what was done to a machine's disks and what its BMC was told: the evidence for "nothing destructive was
//! repeated" and "by one at a time".

use std::net::SocketAddr;
use std::time::Duration;

use ipmi::command::boot::BootDevice;
use ipmi::command::chassis::ChassisControl;

/// Something that destroys or replaces data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OperationKind {
    /// Every byte of the disks.
    EraseDevices,
    /// Partition tables and signatures.
    EraseMetadata,
    /// RAID volumes made or deleted.
    ChangeRaid,
    /// An image onto the disk.
    WriteImage,
    /// A boot loader onto the disk.
    InstallBootloader,
    /// Any other step that changes the machine; [`Operation::detail`] has its name.
    Other,
}

/// A command that a BMC carried out and that changed something: not a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BmcOrder {
    /// Who gave it: a console has a socket of its own for each of its sessions.
    pub console: SocketAddr,
    /// The command.
    pub what: BmcCommand,
    /// When, since the fleet's start.
    pub at: Duration,
}

/// What a BMC was told to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BmcCommand {
    /// Chassis Control: power, reset, interrupt.
    Control(ChassisControl),
    /// The boot override.
    BootDevice(BootDevice),
}

/// How an operation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// It has not ended.
    Running,
    /// To its end.
    Done,
    /// With an error.
    Failed,
    /// Cut off: power went, or the agent died.
    Interrupted,
}

/// One operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation {
    /// What.
    pub kind: OperationKind,
    /// Step name, or image identifier and digest.
    pub detail: String,
    /// In which boot of the machine, from 1.
    pub boot: u32,
    /// When it began, since the fleet's start.
    pub started: Duration,
    /// When it ended, since the fleet's start.
    pub ended: Option<Duration>,
    /// How.
    pub outcome: Outcome,
}

impl Operation {
    /// Ends it; `false` when it had ended before.
    pub(crate) fn end(&mut self, outcome: Outcome, now: Duration) -> bool {
        if self.outcome != Outcome::Running {
            return false;
        }
        self.outcome = outcome;
        self.ended = Some(now);
        true
    }
}
