//! The decision: from a node, its flow and what just happened to the node, the flow and the one effect that come next.
//!
//! Pure. The caller stores the whole decision in one transaction and only then carries out its effect, so that at any
//! instant the record says what may have been done to the machine.

use std::time::Duration;

use model::{FlowId, JsonObject, Node, PowerTarget, Timestamp};
use serde_json::{Map, Value};

use crate::console::ConsoleTold;
use crate::effect::{Effect, Outcome};
use crate::error::StepError;
use crate::event::FsmEvent;
use crate::flow::FlowKind;
use crate::offer::OfferedStep;
use crate::plan::{Plan, Wish};
use crate::record::{Asker, FlowRecord};
use crate::step::{Action, PlannedStep, StepList};
use crate::transitions::next_state;
use crate::turn::Turn;

/// Members of `driver_internal_info` that belong to one boot of the agent.
pub const AGENT_KEYS: [&str; 8] = [
    "agent_url",
    "agent_version",
    "agent_last_heartbeat",
    "agent_verify_ca",
    "agent_secret_token",
    "agent_status",
    "agent_status_message",
    "hardware_manager_version",
];

/// Members of `driver_internal_info` that belong to one instance.
pub const INSTANCE_KEYS: [&str; 4] = ["instance", "is_whole_disk_image", "image", "root_uuid_or_disk_id"];

/// Time limits.
#[derive(Debug, Clone)]
pub struct Policy {
    /// From power on to the agent's first heartbeat, boots that were tried again included.
    pub callback_timeout: Duration,
    /// From power on to the agent's first heartbeat, for one boot: past it the machine is booted again.
    pub boot_timeout: Duration,
    /// From the answer to the agent's lookup to its first heartbeat: an agent whose answer was lost never calls.
    pub token_timeout: Duration,
    /// How often a boot that nobody answered is tried again.
    pub boot_retries: u32,
    /// From power on to the data of an inspection.
    pub inspect_timeout: Duration,
    /// With fast track, how long after its last heartbeat an agent counts as running; `None` switches fast track off.
    pub fast_track: Option<Duration>,
    /// Silence after which a working agent is asked, and given up if it does not answer.
    pub agent_silence: Duration,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            callback_timeout: Duration::from_mins(30),
            boot_timeout: Duration::from_mins(14),
            token_timeout: Duration::from_mins(4),
            boot_retries: 2,
            inspect_timeout: Duration::from_mins(30),
            fast_track: None,
            agent_silence: Duration::from_mins(6),
        }
    }
}

/// The plans that a node's driver gives for flows.
pub trait Plans {
    /// Steps of a deployment.
    fn deploy(&self, node: &Node) -> Vec<PlannedStep>;
    /// The frame of a cleaning, which boots and leaves the ramdisk; empty when the node has none.
    fn clean(&self, node: &Node) -> Vec<PlannedStep>;
    /// Whether automated cleaning is on for the node.
    fn cleans(&self, node: &Node) -> bool {
        let _ = node;
        true
    }
    /// The steps of the runbook that takes the place of what drivers offer in an automated cleaning; `None` where the
    /// drivers' steps run. An error where there should be a runbook, and it is missing or not for the node.
    fn runbook(&self, node: &Node) -> Result<Option<Wish>, StepError> {
        let _ = node;
        Ok(None)
    }
    /// The frame of a servicing; empty when the node has no ramdisk.
    fn service(&self, node: &Node) -> Vec<PlannedStep> {
        let _ = node;
        Vec::new()
    }
    /// Steps into the rescue ramdisk.
    fn rescue(&self, node: &Node) -> Vec<PlannedStep> {
        let _ = node;
        Vec::new()
    }
    /// Steps out of it.
    fn unrescue(&self, node: &Node) -> Vec<PlannedStep> {
        let _ = node;
        Vec::new()
    }
    /// Steps of an inspection.
    fn inspect(&self, node: &Node) -> Vec<PlannedStep> {
        let _ = node;
        Vec::new()
    }
    /// The steps that the node's drivers offer for `list`.
    fn offered(&self, node: &Node, list: StepList) -> Vec<OfferedStep> {
        let _ = (node, list);
        Vec::new()
    }
}

/// What a decision needs to know beside the node.
#[derive(Clone, Copy)]
pub struct World<'a> {
    /// Now.
    pub now: Timestamp,
    /// Name of the deciding conductor.
    pub holder: &'a str,
    /// Time limits.
    pub policy: &'a Policy,
    /// The driver's plans.
    pub plans: &'a dyn Plans,
}

impl std::fmt::Debug for World<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("World").field("now", &self.now).field("holder", &self.holder).finish_non_exhaustive()
    }
}

/// What just happened.
#[derive(Debug, Clone)]
pub enum Input {
    /// An effect ended.
    Ended {
        /// The run of a flow that it was part of: another one may have taken its place.
        run: FlowId,
        /// Its number.
        seq: i64,
        /// How.
        outcome: Outcome,
    },
    /// The agent called; the members go into `driver_internal_info`.
    Heartbeat(Map<String, Value>),
    /// The agent was told its token: its first heartbeat follows at once, or the answer was lost.
    LookedUp,
    /// The data of the inspection have come, and are stored.
    Inspected,
    /// A caller wants the power changed while the flow waits; seconds are the patience with a soft shutdown.
    Power(PowerTarget, u32),
    /// A caller says that a held flow may go on.
    Unhold,
    /// A deadline may have passed.
    Timer,
    /// The same, and why the machine did not arrive is known.
    Overdue(StepError),
    /// The process was started again.
    Restarted,
    /// A caller wants it to end.
    Abort,
}

/// A line for the node's history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// `provisioning`, `deploy_step_start` …
    pub event_type: &'static str,
    /// Whether it is bad news.
    pub error: bool,
    /// The text.
    pub text: String,
}

/// An entry for the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// Something is about to be done.
    Intent {
        /// Number within the flow.
        seq: i64,
        /// The step.
        step: String,
        /// The action.
        action: Action,
        /// Whether it only asks.
        poll: bool,
    },
    /// It ended.
    Outcome {
        /// Number within the flow.
        seq: i64,
        /// How, in words.
        text: String,
    },
}

/// What to store, and the one effect to carry out once that is stored.
#[derive(Debug, Clone)]
pub struct Decision {
    /// The node as it shall be.
    pub node: Node,
    /// Its flow as it shall be; `None` when nothing is under way any more.
    pub flow: Option<FlowRecord>,
    /// For the journal, with the flow each entry belongs to.
    pub journal: Vec<(FlowId, Entry)>,
    /// For the history.
    pub notes: Vec<Note>,
    /// For those who watch, beside what the change of the node tells.
    pub told: Vec<ConsoleTold>,
    /// To be carried out.
    pub effect: Option<Effect>,
    /// Who asked for what the notes tell of.
    pub asked_by: Option<Asker>,
}

impl Decision {
    /// The node is written and nothing more follows; the flow stays as it is.
    pub fn rest(node: Node, flow: Option<FlowRecord>) -> Self {
        Self {
            node,
            flow,
            journal: Vec::new(),
            notes: Vec::new(),
            told: Vec::new(),
            effect: None,
            asked_by: None,
        }
    }

    /// The same, asked for by `asker`: what was begun remembers it.
    #[must_use]
    pub fn asked_by(mut self, asker: Asker) -> Self {
        if let Some(flow) = &mut self.flow {
            flow.asked_by.get_or_insert_with(|| asker.clone());
        }
        self.asked_by = Some(asker);
        self
    }

    /// Whether whoever decided works on the flow from here on. What another conductor has under way stays with that one.
    pub fn takes_over(&self) -> bool {
        self.effect.is_some() || self.flow.as_ref().is_none_or(|flow| flow.open.is_none())
    }
}

/// Begins `kind` on a node whose provision state is already the flow's first.
pub fn begin(node: Node, kind: FlowKind, plan: Plan, world: World<'_>) -> Decision {
    let mut turn = Turn::new(node, world);
    turn.start(kind, plan);
    turn.finish()
}

/// Begins a change of power on a node that has no flow.
pub(crate) fn begin_power(node: Node, target: PowerTarget, limit: u32, world: World<'_>) -> Decision {
    let mut turn = Turn::new(node, world);
    turn.start_power(target, limit);
    turn.finish()
}

/// Goes on with `flow` after `input`.
pub fn decide(node: Node, flow: FlowRecord, input: Input, world: World<'_>) -> Decision {
    let mut turn = Turn::new(node, world);
    turn.flow = Some(flow);
    match input {
        Input::Ended { run, seq, outcome } => turn.ended(run, seq, outcome),
        Input::Heartbeat(members) => turn.heartbeat(members),
        Input::LookedUp => turn.looked_up(),
        Input::Inspected => turn.inspected(),
        Input::Power(target, limit) => turn.power_aside(target, limit),
        Input::Unhold => turn.unhold(),
        Input::Timer => turn.timer(None),
        Input::Overdue(why) => turn.timer(Some(why)),
        Input::Restarted => turn.restarted(),
        Input::Abort => turn.abort(),
    }
    turn.finish()
}

/// Moves a node by `event` as the table says; false when the table does not allow it.
pub fn move_node(node: &mut Node, event: FsmEvent, now: Timestamp) -> bool {
    let Some(state) = next_state(node.provision_state, event) else { return false };
    node.provision_state = state;
    node.provision_updated_at = Some(now);
    true
}

/// Notes what an agent says of itself on a node that has no flow.
pub fn note_agent(node: &mut Node, members: Map<String, Value>) {
    merge(&mut node.driver_internal_info, members, true);
}

/// Forgets what belongs to one boot of the agent.
pub fn forget_agent(node: &mut Node) {
    remove_internal(node, &AGENT_KEYS);
}

pub(crate) fn remove_internal(node: &mut Node, keys: &[&str]) {
    remove(&mut node.driver_internal_info, keys);
}

/// Removes members.
pub(crate) fn remove(object: &mut JsonObject, keys: &[&str]) {
    let mut map = object.to_map();
    let before = map.len();
    map.retain(|key, _| !keys.contains(&key.as_str()));
    if map.len() != before {
        *object = JsonObject::from(map);
    }
}

/// Sets members, those that are there only when `replace`; null then removes one.
pub(crate) fn merge(object: &mut JsonObject, members: Map<String, Value>, replace: bool) {
    if members.is_empty() {
        return;
    }
    let mut map = object.to_map();
    for (key, value) in members {
        if replace && value.is_null() {
            map.remove(&key);
        } else if replace || !map.contains_key(&key) {
            map.insert(key, value);
        }
    }
    *object = JsonObject::from(map);
}
