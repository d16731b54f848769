//! The list of what was done to a machine's disks: the evidence for "nothing destructive was repeated".

use std::time::Duration;

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
