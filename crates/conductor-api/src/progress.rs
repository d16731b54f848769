//! Where a node stands in its flow, and what comes next: made of the flow's record alone.

use provision::{FlowRecord, Phase, PlannedStep};
use serde::{Deserialize, Serialize};

use crate::AgentProgress;

/// Where a node stands in its flow: part of the answer of `GET /v1/nodes/{id}/progress`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeProgress {
    /// The flow being run, as `deploy`.
    pub flow: Option<String>,
    /// Its step, as `deploy.write_image`.
    pub step: Option<String>,
    /// What it waits for, or the agent's phase.
    pub phase: Option<String>,
    /// Bytes done in the phase.
    pub bytes_done: Option<u64>,
    /// Bytes in all.
    pub bytes_total: Option<u64>,
    /// Since when (RFC 3339).
    pub since: Option<String>,
    /// When it will be given up, or looked at again (RFC 3339).
    pub deadline: Option<String>,
    /// When the flow began (RFC 3339).
    pub started_at: Option<String>,
    /// What it waits for, when it waits; what it does to the machine otherwise.
    pub doing: Option<String>,
    /// Why it fails, when it is on its way to do so.
    pub failure: Option<String>,
    /// What comes next, the rest of the current step first.
    pub remaining: Vec<RemainingStep>,
}

/// A step, or what is left of one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemainingStep {
    /// As `deploy.write_image`.
    pub step: String,
    /// Its actions, in words.
    pub actions: Vec<String>,
}

impl NodeProgress {
    /// Of a flow, with what the agent last said of its work.
    pub fn of(flow: Option<&FlowRecord>, report: Option<&AgentProgress>) -> Self {
        let Some(flow) = flow else { return Self::default() };
        let doing = match (&flow.open, &flow.wait) {
            (Some(open), _) if !open.poll => Some(open.action.to_string()),
            (_, Some(wait)) => Some(wait.event.to_string()),
            (Some(open), None) => Some(open.action.to_string()),
            (None, None) => None,
        };
        let since = flow.wait.as_ref().map(|wait| wait.since).or(flow.open.as_ref().map(|open| open.since));
        let ends = flow.open.as_ref().map(|open| open.since.plus(open.action.limit()));
        Self {
            flow: Some(flow.kind.flow().name.to_owned()),
            step: flow.current().map(PlannedStep::label),
            phase: report.map(|report| report.phase.clone()).or_else(|| doing.clone()),
            bytes_done: report.map(|report| report.bytes_done),
            bytes_total: report.and_then(|report| report.bytes_total),
            since: since.map(|at| at.to_string()),
            deadline: flow.deadline().or(ends).map(|at| at.to_string()),
            started_at: Some(flow.started_at.to_string()),
            doing,
            failure: flow.failure.as_ref().map(ToString::to_string),
            remaining: if flow.phase == Phase::Running { remaining(flow) } else { Vec::new() },
        }
    }
}

fn remaining(flow: &FlowRecord) -> Vec<RemainingStep> {
    let under_way = flow.open.is_some() || flow.wait.is_some();
    let steps = flow.steps.iter().enumerate().skip(flow.step);
    steps
        .map(|(index, step)| {
            let done = if index == flow.step { flow.action + usize::from(under_way) } else { 0 };
            let actions = step.actions.iter().skip(done).map(ToString::to_string).collect();
            RemainingStep { step: step.label(), actions }
        })
        .filter(|step| !step.actions.is_empty())
        .collect()
}
