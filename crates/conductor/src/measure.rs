//! What conductors measure: how long nodes stay in states, steps and actions take.

use metrics::{Counter, Exposed, Gauge, Histogram};
use model::{FlowId, Node, Timestamp};
use provision::{FlowRecord, Outcome};

static STATES: Histogram = Histogram::new(
    "wrought_state_seconds",
    "Time that nodes spent in a provision state, when they leave it.",
    &["state"],
);
static STEPS: Histogram = Histogram::new(
    "wrought_step_seconds",
    "Time that steps of flows took, when they end.",
    &["flow", "step"],
);
static ACTIONS: Histogram = Histogram::new(
    "wrought_action_seconds",
    "Time that actions on machines took.",
    &["flow", "action", "outcome"],
);

static SWEEPS: Histogram = Histogram::new(
    "wrought_power_sweep_seconds",
    "Time that it took to look at the power of all machines: those that answered last time (sound), those that did not \
     (doubtful), those in maintenance for it (lost).",
    &["machines"],
);
static LOOKS: Counter = Counter::new(
    "wrought_power_looks_total",
    "Looks at the power of machines, by what they led to.",
    &["outcome"],
);
static HEARTBEATS: Counter =
    Counter::new("wrought_heartbeats_total", "Calls of agents, by what became of them.", &["outcome"]);
static TURNS: Histogram = Histogram::new(
    "wrought_turn_wait_seconds",
    "Time that decisions about a node waited for others about the same node.",
    &[],
);
/// Effects now: those that wait for room, and those under way.
pub(crate) static EFFECTS: Gauge =
    Gauge::new("wrought_effects", "Actions on machines: waiting for room, or under way.", &["state"]);

/// The families, to be shown.
pub const METRICS: &[&dyn Exposed] =
    &[&STATES, &STEPS, &ACTIONS, &SWEEPS, &LOOKS, &HEARTBEATS, &TURNS, &EFFECTS];

/// The step at a flow's cursor.
#[derive(Debug)]
pub(crate) struct Step {
    flow: FlowId,
    index: usize,
    kind: &'static str,
    label: String,
    since: Option<Timestamp>,
}

impl Step {
    pub(crate) fn of(flow: &FlowRecord) -> Option<Self> {
        let step = flow.current()?;
        Some(Self {
            flow: flow.id,
            index: flow.step,
            kind: flow.kind.flow().name,
            label: step.label(),
            since: step.started_at,
        })
    }

    /// Takes note of its end, if the flow has left it.
    pub(crate) fn note_end(&self, after: Option<(FlowId, usize)>, now: Timestamp) {
        if after != Some((self.flow, self.index))
            && let Some(since) = self.since
        {
            STEPS.observe(&[self.kind, &self.label], now.since(since));
        }
    }
}

/// Takes note of a node that leaves a state.
pub(crate) fn moved(before: (model::ProvisionState, Option<Timestamp>), after: &Node, now: Timestamp) {
    if before.0 != after.provision_state
        && let Some(since) = before.1
    {
        STATES.observe(&[before.0.as_str()], now.since(since));
    }
}

/// Takes note of an agent's call.
pub(crate) fn heard(taken: bool) {
    HEARTBEATS.add(&[if taken { "taken" } else { "refused" }]);
}

/// Takes note of how long a decision waited for others.
pub(crate) fn passed(waited: std::time::Duration) {
    TURNS.observe(&[], waited);
}

/// Takes note of an action that ended.
pub(crate) fn acted(flow: &str, action: &str, outcome: &Outcome, took: std::time::Duration) {
    let summary = outcome.summary();
    let word = summary.split(':').next().unwrap_or_default();
    ACTIONS.observe(&[flow, action, word], took);
}

/// Takes note of a sweep over the power of machines.
pub(crate) fn swept(machines: &str, took: std::time::Duration) {
    SWEEPS.observe(&[machines], took);
}

/// Takes note of one look.
pub(crate) fn looked(outcome: &str) {
    LOOKS.add(&[outcome]);
}
