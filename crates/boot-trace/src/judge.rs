//! The verdict on an attempt: how far it came, in one sentence; and if it failed, why and what to do next.

use model::{BootIntent, Timestamp};
use provision::{ErrorCode, StepError};
use serde::Serialize;

use crate::attempt::Attempt;
use crate::cause::cause;
use crate::event::{BootEventKind as K, ScriptTarget};
use crate::facts::{Facts, FileEnd};

/// What of booting this service serves, and so can hear.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Hears {
    /// DHCP, in full or as a proxy.
    pub dhcp: bool,
    /// Boot files.
    pub files: bool,
}

/// How far a boot came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Nothing was heard of the machine.
    Silent,
    /// It asked for an address.
    Asked,
    /// It has an address.
    Address,
    /// It has iPXE.
    Loader,
    /// It has its script.
    Script,
    /// It has the kernel.
    Kernel,
    /// It has the ramdisk.
    Ramdisk,
    /// Its agent was told who it is.
    Lookup,
    /// Its agent called.
    Agent,
}

impl Stage {
    /// What the machine has got at this stage.
    const fn words(self) -> &'static str {
        match self {
            Self::Silent => "nothing was heard of it",
            Self::Asked => "it asked for an address",
            Self::Address => "it got an address",
            Self::Loader => "it loaded iPXE",
            Self::Script => "it fetched its boot script",
            Self::Kernel => "it fetched the kernel",
            Self::Ramdisk => "it fetched the ramdisk",
            Self::Lookup => "its agent was told who it is",
            Self::Agent => "its agent called",
        }
    }
}

/// Why an attempt failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnosis {
    /// `docs/errors/<code>.md` says more.
    pub code: ErrorCode,
    /// What is the matter.
    pub sentence: String,
    /// What to do.
    pub next_step: String,
}

impl From<Diagnosis> for StepError {
    fn from(diagnosis: Diagnosis) -> Self {
        Self::new(diagnosis.code, diagnosis.sentence).hint(diagnosis.next_step)
    }
}

/// The verdict on an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judgement {
    /// How far the last round came.
    pub stage: Stage,
    /// How often the machine started over by itself.
    pub restarts: usize,
    /// In one sentence.
    pub summary: String,
    /// Why it failed; none: it did not, or nothing can be said.
    pub diagnosis: Option<Diagnosis>,
}

/// Judges an attempt as if nothing more would come.
pub fn judge(attempt: &Attempt<'_>, hears: Hears) -> Judgement {
    let facts = Facts::of(attempt.last_round());
    let stage = stage_of(&facts);
    let restarts = attempt.rounds.len() - 1;
    let diagnosis = match expected(attempt, &facts) {
        BootIntent::Ramdisk if !agent_arrived(&facts) => cause(attempt, &facts, hears),
        _ => None,
    };
    let summary = match &diagnosis {
        Some(diagnosis) => diagnosis.sentence.clone(),
        None => progress(attempt, &facts, stage),
    };
    Judgement { stage, restarts, summary, diagnosis }
}

/// What the machine was to boot: what it was switched on for, else what its script said.
fn expected(attempt: &Attempt<'_>, facts: &Facts<'_>) -> BootIntent {
    attempt.intent.unwrap_or(match facts.script {
        Some(ScriptTarget::Ramdisk) => BootIntent::Ramdisk,
        Some(ScriptTarget::LocalDisk) => BootIntent::Disk,
        Some(ScriptTarget::Nothing) | None => BootIntent::None,
    })
}

/// A heartbeat was accepted, and none was refused since.
fn agent_arrived(facts: &Facts<'_>) -> bool {
    facts.heartbeat.is_some_and(|accepted| {
        facts.heartbeat_refused.is_none_or(|(_, _, refused)| refused.last_at <= accepted.last_at)
    })
}

fn stage_of(facts: &Facts<'_>) -> Stage {
    let done = |file: Option<crate::facts::File<'_>>| file.is_some_and(|file| file.end == FileEnd::Done);
    let ladder = [
        (facts.heartbeat.is_some(), Stage::Agent),
        (facts.looked_up, Stage::Lookup),
        (done(facts.ramdisk), Stage::Ramdisk),
        (done(facts.kernel), Stage::Kernel),
        (facts.script.is_some(), Stage::Script),
        (facts.ipxe || done(facts.loader), Stage::Loader),
        (facts.answered && facts.taken, Stage::Address),
        (facts.firmware.is_some() || facts.system.is_some(), Stage::Asked),
    ];
    ladder.into_iter().find(|(reached, _)| *reached).map_or(Stage::Silent, |(_, stage)| stage)
}

/// A sentence for an attempt in which nothing is wrong.
fn progress(attempt: &Attempt<'_>, facts: &Facts<'_>, stage: Stage) -> String {
    let since_power_on = |at: Timestamp| {
        let power_on = attempt.entries.first().filter(|entry| matches!(entry.told.kind, K::PowerOn { .. }));
        power_on.map(|entry| at.since(entry.at).as_secs())
    };
    let called = facts.heartbeat.filter(|_| stage == Stage::Agent);
    match (called.and_then(|entry| since_power_on(entry.at)), attempt.intent) {
        (Some(seconds), _) => format!("The agent called {seconds} s after power on."),
        (None, Some(BootIntent::Disk)) => {
            format!("The machine was switched on to boot its disk; {}.", stage.words())
        }
        (None, Some(BootIntent::None)) => {
            format!("The machine was switched on with nothing to boot from the network; {}.", stage.words())
        }
        (None, Some(BootIntent::Ramdisk)) => {
            format!("The machine was switched on to boot the ramdisk; {}.", stage.words())
        }
        (None, None) => format!("The service did not switch the machine on; {}.", stage.words()),
    }
}
