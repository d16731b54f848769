//! Which node an allocation gets, and what the two become. Pure; who else wants the node is for the store to settle.

use model::{Allocation, Node, ProvisionState as S};
use serde_json::json;

/// Whether a node that was a candidate still suits the allocation: it may have changed since it was listed.
pub fn suits(node: &Node, wanted: &Allocation) -> bool {
    node.provision_state == S::Available
        && !node.maintenance
        && node.instance_uuid.is_none()
        && node.power_state.is_some()
        && node.resource_class == wanted.resource_class
        && has_traits(node, wanted)
        && is_candidate(node, wanted)
        && is_lent_to(node, wanted)
}

/// Why `wanted` cannot be made for a node that somebody uses already; all reasons in one text.
pub fn why_not_backfill(node: &Node, wanted: &Allocation) -> Option<String> {
    let mut reasons = Vec::new();
    if node.provision_state != S::Active {
        reasons.push(format!("the node has to be active, and is in state '{}'", node.provision_state));
    }
    if wanted.resource_class.is_some() && node.resource_class != wanted.resource_class {
        let class = node.resource_class.as_deref().unwrap_or("none");
        reasons.push(format!("the resource class of the node is {class}"));
    }
    if !has_traits(node, wanted) {
        reasons.push("the node lacks some of the traits".to_owned());
    }
    if !is_candidate(node, wanted) {
        reasons.push("candidate_nodes does not have the node".to_owned());
    }
    (!reasons.is_empty()).then(|| reasons.join("; "))
}

/// The node once `wanted` has it.
pub fn claimed(mut node: Node, wanted: &Allocation) -> Node {
    node.instance_uuid = Some(wanted.uuid.to_string());
    node.allocation_uuid = Some(wanted.uuid.to_string());
    let traits: Vec<&str> = wanted.traits.iter().map(model::Trait::as_str).collect();
    node.instance_info.set("traits", json!(traits));
    node
}

/// The node once its allocation is gone.
pub fn released(mut node: Node) -> Node {
    node.instance_uuid = None;
    node.allocation_uuid = None;
    node
}

fn has_traits(node: &Node, wanted: &Allocation) -> bool {
    wanted.traits.iter().all(|name| node.traits.contains(name))
}

fn is_candidate(node: &Node, wanted: &Allocation) -> bool {
    wanted.candidate_nodes.is_empty() || wanted.candidate_nodes.contains(&node.uuid)
}

fn is_lent_to(node: &Node, wanted: &Allocation) -> bool {
    wanted.owner.is_none() || node.owner == wanted.owner || node.lessee == wanted.owner
}

#[cfg(test)]
mod tests {
    use model::{NodeUuid, PowerState, Timestamp};

    use super::*;

    fn pair() -> (Node, Allocation) {
        let mut node = Node::new("ipmi", Timestamp::from_micros(0));
        node.provision_state = S::Available;
        node.power_state = Some(PowerState::Off);
        node.resource_class = Some("gold".to_owned());
        node.traits = vec!["CUSTOM_A".parse().unwrap(), "CUSTOM_B".parse().unwrap()];
        node.owner = Some("p".to_owned());
        let mut wanted = Allocation::new(Timestamp::from_micros(0));
        wanted.resource_class = Some("gold".to_owned());
        wanted.traits = vec!["CUSTOM_B".parse().unwrap()];
        wanted.candidate_nodes = vec![NodeUuid::random(), node.uuid];
        wanted.owner = Some("p".to_owned());
        (node, wanted)
    }

    #[test]
    fn every_condition_counts() {
        let (node, wanted) = pair();
        assert!(suits(&node, &wanted));
        let spoilt: [fn(&mut Node, &mut Allocation); 9] = [
            |n, _| n.provision_state = S::Manageable,
            |n, _| n.maintenance = true,
            |n, _| n.instance_uuid = Some("x".to_owned()),
            |n, _| n.power_state = None,
            |n, _| n.resource_class = None,
            |n, _| n.traits.truncate(1),
            |n, _| n.owner = Some("q".to_owned()),
            |_, a| a.candidate_nodes.truncate(1),
            |_, a| a.resource_class = Some("silver".to_owned()),
        ];
        for (number, spoil) in spoilt.into_iter().enumerate() {
            let (mut node, mut wanted) = pair();
            spoil(&mut node, &mut wanted);
            assert!(!suits(&node, &wanted), "{number}");
        }
        let (mut node, mut wanted) = pair();
        (node.owner, node.lessee) = (None, Some("p".to_owned()));
        assert!(suits(&node, &wanted));
        (wanted.owner, wanted.candidate_nodes, wanted.traits) = (None, Vec::new(), Vec::new());
        node.lessee = None;
        assert!(suits(&node, &wanted));
    }

    #[test]
    fn a_claim_can_be_taken_back() {
        let (node, wanted) = pair();
        let taken = claimed(node.clone(), &wanted);
        assert_eq!(taken.instance_uuid, Some(wanted.uuid.to_string()));
        assert_eq!(taken.allocation_uuid, taken.instance_uuid);
        assert_eq!(taken.instance_info.get("traits"), Some(json!(["CUSTOM_B"])));
        let free = released(taken);
        assert_eq!((free.instance_uuid, free.allocation_uuid), (None, None));
    }

    #[test]
    fn only_active_nodes_that_fit_are_backfilled() {
        let (mut node, mut wanted) = pair();
        assert!(why_not_backfill(&node, &wanted).unwrap().contains("'available'"));
        node.provision_state = S::Active;
        assert_eq!(why_not_backfill(&node, &wanted), None);
        wanted.resource_class = None;
        assert_eq!(why_not_backfill(&node, &wanted), None);
        wanted.resource_class = Some("silver".to_owned());
        wanted.candidate_nodes.truncate(1);
        node.traits.clear();
        let text = why_not_backfill(&node, &wanted).unwrap();
        for word in ["gold", "traits", "candidate_nodes"] {
            assert!(text.contains(word), "{text}");
        }
    }
}
