//! What a node did when it booted: an addition to the contract.

use boot_trace::{Attempt, Entry, Hears, Judgement, attempts, judge};
use model::{BootIntent, Node, ProvisionState};
use provision::ErrorCode;
use serde_json::{Value, json};

use crate::reply::{Answer, Reply};
use crate::request::Request;

/// States in which an agent is waited for, and those in which the machine is on its way there.
const WAITS: [ProvisionState; 10] = [
    ProvisionState::CleanWait,
    ProvisionState::Cleaning,
    ProvisionState::DeployWait,
    ProvisionState::Deploying,
    ProvisionState::InspectWait,
    ProvisionState::Inspecting,
    ProvisionState::RescueWait,
    ProvisionState::Rescuing,
    ProvisionState::ServiceWait,
    ProvisionState::Servicing,
];

/// `GET /v1/nodes/{node_ident}/boot-trace`
pub(crate) async fn show(request: Request) -> Answer {
    // Addresses and loaders of the site are its operator's and the node's owner's, as is the node's history.
    let node = request.node("baremetal:node:history:get").await?;
    let entries = request.state.db.boot_trace(node.uuid).await?;
    let attempts = attempts(&entries);
    let hears = request.state.options.hears;
    let newest = attempts.len().saturating_sub(1);
    let shown: Vec<Value> = attempts
        .iter()
        .enumerate()
        .rev()
        .map(|(index, attempt)| shown(attempt, hears, index == newest && is_awaited(&node)))
        .collect();
    Ok(Reply::json(json!({"node_uuid": node.uuid, "attempts": shown}).to_string()))
}

/// The verdict on the last attempt of a node; none when it has never been seen to boot.
pub(crate) fn last(node: &Node, entries: &[Entry], hears: Hears) -> Option<Value> {
    let attempts = attempts(entries);
    Some(summary(attempts.last()?, hears, is_awaited(node)))
}

/// Whether the machine is still expected to arrive.
fn is_awaited(node: &Node) -> bool {
    let called = node.driver_internal_info.get("agent_url").is_some();
    node.boot_intent == BootIntent::Ramdisk && !called && WAITS.contains(&node.provision_state)
}

fn shown(attempt: &Attempt<'_>, hears: Hears, awaited: bool) -> Value {
    let mut shown = summary(attempt, hears, awaited);
    shown["events"] = attempt.entries.iter().map(event).collect();
    shown
}

/// The verdict; nothing is a failure as long as the machine is awaited.
fn summary(attempt: &Attempt<'_>, hears: Hears, awaited: bool) -> Value {
    let Judgement { stage, restarts, summary, diagnosis } = judge(attempt, hears);
    let code = diagnosis.as_ref().map(|diagnosis| diagnosis.code).filter(|_| !awaited);
    json!({
        "started_at": attempt.started_at().map(|at| at.to_string()),
        "intent": attempt.intent,
        "stage": stage,
        "restarts": restarts,
        "under_way": awaited,
        "summary": if awaited { format!("So far: {summary}") } else { summary },
        "code": code.map(ErrorCode::as_str),
        "documentation": code.map(|code| format!("docs/errors/{code}.md")),
        "next_step": diagnosis.map(|diagnosis| diagnosis.next_step).filter(|_| !awaited),
    })
}

fn event(entry: &Entry) -> Value {
    let mut event = serde_json::to_value(&entry.told).unwrap_or_default();
    event["at"] = json!(entry.at.to_string());
    event["last_at"] = json!(entry.last_at.to_string());
    event["count"] = json!(entry.count);
    event["text"] = json!(entry.told.kind.to_string());
    event
}
