//! What becomes of an agent's calls: in which states it may ask who it is, in which its heartbeats count, and what both
//! do to the node and its flow. Whether the caller is the agent that it says is for the shell to find out.

use model::{Node, ProvisionState as S};
use serde_json::{Map, Value};

use crate::decide::{Decision, Input, World, decide, note_agent};
use crate::record::FlowRecord;

/// The member of `driver_internal_info` that holds the token of this boot's agent.
pub const AGENT_TOKEN: &str = "agent_secret_token";

/// States in which an agent may ask who it is (`contract/states_meta.tsv`, `lookup_allowed`).
const LOOKUP_STATES: [S; 9] = [
    S::Deploying,
    S::DeployWait,
    S::Cleaning,
    S::CleanWait,
    S::Inspecting,
    S::InspectWait,
    S::Rescuing,
    S::RescueWait,
    S::ServiceWait,
];

/// States in which a heartbeat is taken note of (`contract/states_meta.tsv`, `heartbeat_handled`).
const HEARTBEAT_STATES: [S; 11] = [
    S::Deploying,
    S::DeployWait,
    S::Cleaning,
    S::CleanWait,
    S::Rescuing,
    S::RescueWait,
    S::DeployHold,
    S::CleanHold,
    S::Servicing,
    S::ServiceWait,
    S::ServiceHold,
];

/// States in which, with fast track, an agent may ask who it is although nothing is under way.
const FAST_LOOKUP_STATES: [S; 5] = [S::Available, S::Enroll, S::Manageable, S::ServiceHold, S::Servicing];

/// States in which, with fast track, a heartbeat is noted although nothing is under way.
const FAST_HEARTBEAT_STATES: [S; 3] = [S::Available, S::Enroll, S::Manageable];

/// Whether an agent may ask who it is while its node is in `state`.
pub fn expects_lookup(state: S, fast_track: bool) -> bool {
    LOOKUP_STATES.contains(&state) || (fast_track && FAST_LOOKUP_STATES.contains(&state))
}

/// Whether a heartbeat is taken note of while its node is in `state`.
pub fn expects_heartbeat(state: S, fast_track: bool) -> bool {
    HEARTBEAT_STATES.contains(&state) || (fast_track && FAST_HEARTBEAT_STATES.contains(&state))
}

/// A heartbeat of the node's own agent, expected in its state; `members` go into `driver_internal_info`.
pub fn take_heartbeat(
    mut node: Node,
    flow: Option<FlowRecord>,
    members: Map<String, Value>,
    world: World<'_>,
) -> Decision {
    if let Some(flow) = flow {
        return decide(node, flow, Input::Heartbeat(members), world);
    }
    if world.policy.fast_track.is_some() {
        note_agent(&mut node, members);
    }
    Decision::rest(node, None)
}

/// Gives the agent of this boot its `token`, once: whoever comes second changes nothing.
pub fn give_token(mut node: Node, flow: Option<FlowRecord>, token: &str, world: World<'_>) -> Decision {
    if node.driver_internal_info.get_str(AGENT_TOKEN).is_some() {
        return Decision::rest(node, flow);
    }
    node.driver_internal_info.set(AGENT_TOKEN, token.into());
    match flow {
        Some(flow) => decide(node, flow, Input::LookedUp, world),
        None => Decision::rest(node, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_states_are_those_of_the_contract() {
        let table = include_str!("../../../contract/states_meta.tsv");
        let heading: Vec<&str> = table.lines().next().unwrap().split('\t').collect();
        let column = |name: &str| heading.iter().position(|cell| *cell == name).unwrap();
        for row in table.lines().skip(1) {
            let cells: Vec<&str> = row.split('\t').collect();
            let state: S = cells[0].parse().unwrap();
            let lookup = |name: &str| cells[column(name)] == "yes";
            assert_eq!(expects_lookup(state, false), lookup("lookup_allowed"), "{state}");
            assert_eq!(expects_lookup(state, true), lookup("lookup_allowed_fast_track"), "{state}");
            let heartbeat = cells[column("heartbeat_handled")];
            assert_eq!(expects_heartbeat(state, false), ["acted on", "record only"].contains(&heartbeat));
            assert_eq!(expects_heartbeat(state, true), heartbeat != "ignored", "{state}");
        }
    }
}
