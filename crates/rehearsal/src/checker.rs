//! What must hold at every record and at every action, whatever goes wrong. The rules are those of the crate's page.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use model::{BootIntent, FlowId, Node, ProvisionState as S, Timestamp};
use provision::{Decision, Effect, Entry, FlowKind, FlowRecord, OpenEffect, TRANSITIONS, WaitFor};

use crate::machine::{Machine, StepRun};

/// A rule that did not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{rule}: {detail}")]
pub struct Breach {
    /// The rule.
    pub rule: &'static str,
    /// How it was broken.
    pub detail: String,
}

pub(crate) fn breach<T>(rule: &'static str, detail: impl Into<String>) -> Result<T, Breach> {
    Err(Breach { rule, detail: detail.into() })
}

fn ensure(holds: bool, rule: &'static str, detail: impl FnOnce() -> String) -> Result<(), Breach> {
    if holds { Ok(()) } else { breach(rule, detail()) }
}

/// Rows of the table that one decision may go along.
const MOST_MOVES: usize = 3;

/// No wait has a longer deadline.
const LONGEST_WAIT: Duration = Duration::from_hours(2);

/// No run of a flow takes longer, holds apart: the sum of its waits with all their repeats.
const LONGEST_FLOW: Duration = Duration::from_hours(9 * 24);

/// What a decision was made on.
#[derive(Debug)]
pub(crate) struct Before {
    pub(crate) state: S,
    pub(crate) lease_epoch: i64,
    pub(crate) run: Option<FlowId>,
    pub(crate) open: Option<OpenEffect>,
}

impl Before {
    pub(crate) fn of(node: &Node, flow: Option<&FlowRecord>) -> Self {
        Self {
            state: node.provision_state,
            lease_epoch: node.lease_epoch,
            run: flow.map(|flow| flow.id),
            open: flow.and_then(|flow| flow.open.clone()),
        }
    }
}

/// What else a rule looks at.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scene<'a> {
    pub(crate) now: Timestamp,
    /// The deciding conductor.
    pub(crate) holder: &'a str,
    /// Whether a user's data would be erased before the next user comes.
    pub(crate) cleans: bool,
    /// Whether the disks hold something of a user.
    pub(crate) dirty: bool,
}

/// The end of a run's journal.
#[derive(Debug, Default)]
struct Page {
    last: i64,
    /// Whether the last action is open, and whether it only asks.
    open: Option<bool>,
}

/// What has to be remembered of one life.
#[derive(Debug, Default)]
pub(crate) struct Checker {
    /// The last number of each run's journal, and the action that is open; questions may be overtaken.
    journal: BTreeMap<FlowId, Page>,
    /// Steps that must not run twice, as they began.
    ran: BTreeSet<StepRun>,
    /// Since when the run under way is not held.
    since: Option<(FlowId, Timestamp)>,
}

fn held(state: S) -> bool {
    matches!(state, S::CleanHold | S::DeployHold | S::ServiceHold)
}

fn waits(state: S) -> bool {
    matches!(state, S::CleanWait | S::DeployWait | S::InspectWait | S::RescueWait | S::ServiceWait)
}

/// Whether nodes rest in `state` with nothing under way.
fn rests(state: S) -> bool {
    !held(state) && !waits(state) && !provision::DRIVEN_STATES.contains(&state)
}

fn has_failed(state: S) -> bool {
    matches!(
        state,
        S::AdoptFailed
            | S::CleanFailed
            | S::DeployFailed
            | S::Error
            | S::InspectFailed
            | S::RescueFailed
            | S::ServiceFailed
            | S::UnrescueFailed
    )
}

fn reachable(from: S, to: S) -> bool {
    let mut reached = BTreeSet::from([from]);
    for _ in 0..MOST_MOVES {
        let next = TRANSITIONS.iter().filter(|(start, _, _)| reached.contains(start)).map(|row| row.2);
        let next: Vec<S> = next.collect();
        reached.extend(next);
    }
    reached.contains(&to)
}

/// Whether a text names one of the codes that have a page.
fn has_code(text: &str) -> bool {
    let codes = text.match_indices('E').filter_map(|(at, _)| text.get(at + 1..at + 5));
    codes.into_iter().any(|code| code.bytes().all(|byte| byte.is_ascii_digit()) && code != "0901")
}

impl Checker {
    /// Looks at a decision before it is stored.
    pub(crate) fn decides(
        &mut self,
        before: &Before,
        decision: &Decision,
        scene: Scene<'_>,
    ) -> Result<(), Breach> {
        let node = &decision.node;
        moves(before, node, scene)?;
        self.journals(decision)?;
        intends(before, decision)?;
        leases(before, decision, scene)?;
        if let Some(flow) = &decision.flow {
            return self.is_driven(flow, node, scene.now);
        }
        self.since = None;
        is_at_rest(node)
    }

    fn journals(&mut self, decision: &Decision) -> Result<(), Breach> {
        const RULE: &str = "every action has one intent and at most one outcome, numbered in order";
        for (run, entry) in &decision.journal {
            let page = self.journal.entry(*run).or_default();
            match entry {
                Entry::Intent { seq, poll, .. } => {
                    let next = *seq == page.last + 1 && page.open != Some(false);
                    ensure(next, RULE, || format!("intent {seq} after {page:?}"))?;
                    *page = Page { last: *seq, open: Some(*poll) };
                }
                Entry::Outcome { seq, .. } => {
                    let ours = *seq == page.last && page.open.is_some();
                    ensure(ours, RULE, || format!("outcome {seq} after {page:?}"))?;
                    page.open = None;
                }
            }
        }
        let current = decision.flow.as_ref();
        self.journal.retain(|run, _| current.is_some_and(|flow| flow.id == *run));
        if let Some(page) = current.and_then(|flow| self.journal.get_mut(&flow.id)) {
            let open = current.and_then(|flow| flow.open.as_ref()).map(|open| open.poll);
            let same = open == page.open || (open.is_none() && page.open == Some(true));
            ensure(same, RULE, || format!("{page:?}, and the record has {open:?}"))?;
            page.open = open;
        }
        Ok(())
    }

    /// Somebody or something will go on with it, and it ends.
    fn is_driven(&mut self, flow: &FlowRecord, node: &Node, now: Timestamp) -> Result<(), Breach> {
        const RULE: &str = "whatever is under way is driven by an action or by a deadline";
        let state = node.provision_state;
        let shown =
            || format!("{} in {state}, open {:?}, wait {:?}", flow.kind.flow().name, flow.open, flow.wait);
        ensure(flow.open.is_some() || flow.wait.is_some(), RULE, shown)?;
        let fits = flow.kind == FlowKind::Power || !rests(state);
        ensure(fits, "a state of rest has nothing under way", shown)?;
        if let Some(wait) = flow.wait.as_ref() {
            let fits = if wait.event == WaitFor::Unhold { held(state) } else { waits(state) };
            ensure(fits, "a wait is shown by its state", shown)?;
            ensure(wait.deadline <= now.plus(LONGEST_WAIT), "every wait ends", shown)?;
        }
        let since = match self.since {
            Some((run, since)) if run == flow.id && !held(state) => since,
            _ => now,
        };
        self.since = Some((flow.id, since));
        ensure(now.since(since) <= LONGEST_FLOW, "every flow ends", || {
            format!("{} since {} s", flow.kind.flow().name, now.since(since).as_secs())
        })
    }

    /// Looks at a step that the machine has just begun.
    pub(crate) fn ran(&mut self, step: StepRun) -> Result<(), Breach> {
        let label = step.1.clone();
        ensure(self.ran.insert(step), "no step that must not be repeated runs twice", || label)
    }
}

fn moves(before: &Before, node: &Node, scene: Scene<'_>) -> Result<(), Breach> {
    let (from, to) = (before.state, node.provision_state);
    if from == to {
        return Ok(());
    }
    ensure(reachable(from, to), "only transitions of the table", || format!("{from} to {to}"))?;
    if has_failed(to) || (from, to) == (S::Verifying, S::Enroll) {
        let text = node.last_error.as_deref().unwrap_or_default();
        ensure(has_code(text), "a failure has its reason, with a code", || format!("{to}: '{text}'"))?;
    }
    if to == S::Available {
        let clean = !(scene.cleans && scene.dirty);
        ensure(clean, "what is available was cleaned after its last user", || format!("from {from}"))?;
    }
    Ok(())
}

/// An effect is recorded before it is carried out, and what is recorded as under way is the effect.
fn intends(before: &Before, decision: &Decision) -> Result<(), Breach> {
    const RULE: &str = "the intent is recorded before the effect";
    let open = decision.flow.as_ref().and_then(|flow| flow.open.as_ref());
    let run = decision.flow.as_ref().map(|flow| flow.id);
    let Some(effect) = &decision.effect else {
        let same = open.is_none() || (before.run == run && before.open.as_ref() == open);
        return ensure(same, RULE, || format!("open {open:?} without an effect"));
    };
    let recorded = open.is_some_and(|open| {
        open.seq == effect.seq && open.action == effect.action && open.poll == effect.poll
    });
    let written = decision.journal.iter().any(|(flow, entry)| {
        let ours = |seq: i64| seq == effect.seq && *flow == effect.run;
        matches!(entry, Entry::Intent { seq, action, .. } if ours(*seq) && *action == effect.action)
    });
    ensure(recorded && written && run == Some(effect.run), RULE, || format!("{:?}", effect.action))
}

fn leases(before: &Before, decision: &Decision, scene: Scene<'_>) -> Result<(), Breach> {
    const RULE: &str = "the lease covers exactly what is done to the machine, and expires";
    let node = &decision.node;
    ensure(node.lease_epoch >= before.lease_epoch, RULE, || "its epoch went back".to_owned())?;
    let open = decision.flow.as_ref().and_then(|flow| flow.open.as_ref()).filter(|open| !open.poll);
    match (&node.lease, open) {
        (None, None) => Ok(()),
        (Some(lease), Some(open)) => {
            let begins =
                decision.effect.is_none() || (lease.holder == scene.holder && open.since == scene.now);
            let limit = open.since.plus(open.action.limit());
            let fits = lease.expires_at > limit && lease.expires_at <= limit.plus(Duration::from_mins(1));
            ensure(begins && fits, RULE, || format!("{lease:?} for {open:?} of {}", scene.holder))
        }
        (lease, open) => breach(RULE, format!("{lease:?} with {open:?}")),
    }
}

fn is_at_rest(node: &Node) -> Result<(), Breach> {
    let state = node.provision_state;
    ensure(rests(state), "a state of work has its flow", || state.to_string())?;
    let left = node.target_power_state.is_some()
        || ![&node.clean_step, &node.deploy_step, &node.service_step].iter().all(|step| step.is_empty());
    ensure(!left, "nothing of a flow outlives it", || format!("{state}: {:?}", node.target_power_state))?;
    let ramdisk = node.boot_intent == BootIntent::Ramdisk && state == S::Active;
    ensure(!ramdisk, "what is active does not boot the ramdisk", || state.to_string())?;
    let fault = node.fault.is_none() || node.maintenance;
    ensure(fault, "a fault has its maintenance", || format!("{:?}", node.fault))
}

/// A machine whose node becomes active runs its user's system, if nobody lied about it.
pub(crate) fn runs(before: &Before, node: &Node, machine: &Machine) -> Result<(), Breach> {
    let boots = matches!(before.state, S::Deploying | S::Unrescuing);
    let runs = machine.on && machine.agent.is_none();
    ensure(
        !boots || node.provision_state != S::Active || runs,
        "what is active runs its user's system",
        || format!("power {}, agent {:?}", machine.on, machine.agent),
    )
}

/// Looks at an action as it reaches the machine: who begins it must be the one that the record says, and only that one.
pub(crate) fn acts(
    effect: &Effect,
    holder: &str,
    node: &Node,
    flow: Option<&FlowRecord>,
    now: Timestamp,
) -> Result<(), Breach> {
    const RULE: &str = "one conductor at a time works on a machine, under its lease and its record";
    if effect.poll {
        return Ok(());
    }
    let open = flow.and_then(|flow| flow.open.as_ref().filter(|_| flow.id == effect.run));
    let recorded = open.is_some_and(|open| open.seq == effect.seq && !open.poll);
    let leased = node.lease.as_ref().is_some_and(|lease| lease.holder == holder && lease.expires_at > now);
    ensure(recorded && leased, RULE, || {
        format!("{holder} does '{}', the record has {open:?} under {:?}", effect.action, node.lease)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_found_in_texts() {
        assert!(has_code("clean failed: E0301: nobody called"));
        assert!(!has_code("it FAILED: E0901: broken"));
        assert!(!has_code("Error E12"));
    }

    #[test]
    fn the_table_leads_from_state_to_state_in_a_few_moves() {
        assert!(reachable(S::Manageable, S::CleanWait));
        assert!(!reachable(S::Enroll, S::Active));
    }
}
