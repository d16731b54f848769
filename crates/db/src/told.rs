//! What a write is told as: an event for each change of a noun that others know of, whoever made it.
//!
//! The names are those of Ironic's notifications. What is recorded has happened, so that creation, change and deletion
//! are told once, as `end`; only what takes its time (power, provision states) has a `start`.

use api_types::{
    ALLOCATION_CRUD, CHASSIS_CRUD, DEPLOY_TEMPLATE_CRUD, INSPECTION_RULE_CRUD, NODE_CORRECTED_POWER,
    NODE_CRUD, NODE_PAYLOAD, NODE_SET_POWER, NODE_SET_PROVISION, PORT_CRUD, PORTGROUP_CRUD, Payload,
    RUNBOOK_CRUD, VOLUME_CONNECTOR_CRUD, VOLUME_TARGET_CRUD,
};
use model::{
    Allocation, Chassis, DeployTemplate, InspectionRule, Node, NodeUuid, Port, Portgroup, PowerState,
    PowerTarget, ProvisionState, Runbook, Timestamp, VolumeConnector, VolumeTarget,
};
use provision::{Status, told_as};

use crate::session::Session;
use crate::{NewEvent, Whose};

/// A noun whose changes are told.
pub(crate) trait Told: Sized + 'static {
    /// The noun in the kinds of events.
    const OBJECT: &'static str;
    /// What is told of it.
    const PAYLOAD: Payload<Self>;

    /// Its UUID.
    fn resource(&self) -> String;
    /// The node it belongs to.
    fn node(&self) -> Option<NodeUuid>;
    /// Who may see it.
    fn whose(&self) -> Whose;
}

/// What can be done to a noun.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Done {
    Created,
    Updated,
    Deleted,
}

/// Tells of an item.
pub(crate) fn tell<T: Told>(session: &mut dyn Session, done: Done, item: &T) {
    let action = match done {
        Done::Created => "create",
        Done::Updated => "update",
        Done::Deleted => "delete",
    };
    session.tell(NewEvent {
        kind: format!("baremetal.{}.{action}.end", T::OBJECT),
        node: item.node(),
        resource: Some(item.resource()),
        whose: item.whose(),
        payload: T::PAYLOAD.json(item, &[]),
        at: Timestamp::now(),
    });
}

macro_rules! told {
    ($($noun:ty: $object:literal $payload:ident, $node:expr, $whose:expr;)*) => {$(
        impl Told for $noun {
            const OBJECT: &'static str = $object;
            const PAYLOAD: Payload<Self> = $payload;

            fn resource(&self) -> String {
                self.uuid.to_string()
            }

            fn node(&self) -> Option<NodeUuid> {
                let node: fn(&Self) -> Option<NodeUuid> = $node;
                node(self)
            }

            fn whose(&self) -> Whose {
                let whose: fn(&Self) -> Whose = $whose;
                whose(self)
            }
        }
    )*};
}

told! {
    Node: "node" NODE_CRUD, |node| Some(node.uuid), of_node;
    Port: "port" PORT_CRUD, |port| Some(port.node_uuid), |_| Whose::OfNode;
    Portgroup: "portgroup" PORTGROUP_CRUD, |portgroup| Some(portgroup.node_uuid), |_| Whose::OfNode;
    VolumeConnector: "volumeconnector" VOLUME_CONNECTOR_CRUD, |item| Some(item.node_uuid), |_| Whose::OfNode;
    VolumeTarget: "volumetarget" VOLUME_TARGET_CRUD, |item| Some(item.node_uuid), |_| Whose::OfNode;
    Chassis: "chassis" CHASSIS_CRUD, |_| None, |_| Whose::System;
    DeployTemplate: "deploytemplate" DEPLOY_TEMPLATE_CRUD, |_| None, |_| Whose::System;
    InspectionRule: "inspectionrule" INSPECTION_RULE_CRUD, |_| None, |_| Whose::System;
    Allocation: "allocation" ALLOCATION_CRUD, |item| item.node_uuid, |item| {
        Whose::Of { owner: item.owner.clone(), lessee: None }
    };
    Runbook: "runbook" RUNBOOK_CRUD, |_| None, of_runbook;
}

fn of_runbook(runbook: &Runbook) -> Whose {
    if runbook.public {
        return Whose::Everybody;
    }
    Whose::Of { owner: runbook.owner.clone(), lessee: None }
}

fn of_node(node: &Node) -> Whose {
    Whose::Of { owner: node.owner.clone(), lessee: node.lessee.clone() }
}

/// What is done to the console of a node, as an event: `change` is its name, as `console_restore`.
pub fn console_event(node: &Node, change: &str, status: Status, at: Timestamp) -> NewEvent {
    NewEvent {
        kind: format!("baremetal.node.{change}.{}", status.as_str()),
        node: Some(node.uuid),
        resource: Some(node.uuid.to_string()),
        whose: of_node(node),
        payload: NODE_PAYLOAD.json(node, &[]),
        at,
    }
}

/// Tells what a write of a node means. A write may be more than one thing.
pub(crate) fn tell_node(session: &mut dyn Session, before: &Node, after: &Node) {
    let mut tell = |action: String, payload: String| {
        session.tell(NewEvent {
            kind: format!("baremetal.node.{action}"),
            node: Some(after.uuid),
            resource: Some(after.uuid.to_string()),
            whose: of_node(after),
            payload,
            at: Timestamp::now(),
        });
    };
    if is_edited(before, after) {
        tell("update.end".to_owned(), NODE_CRUD.json(after, &[]));
    }
    let upkeep = |node: &Node| (node.maintenance, node.maintenance_reason.clone(), node.fault);
    if upkeep(before) != upkeep(after) {
        tell("maintenance_set.end".to_owned(), NODE_PAYLOAD.json(after, &[]));
    }
    if before.console_enabled != after.console_enabled {
        tell("console_set.end".to_owned(), NODE_PAYLOAD.json(after, &[]));
    }
    if before.provision_state != after.provision_state {
        let target = after.target_provision_state;
        let (event, status) = told_as(before.provision_state, after.provision_state, target);
        let event = event.map(|event| event.to_string());
        let extra = [
            event.as_deref(),
            Some(before.provision_state.as_str()),
            before.target_provision_state.map(ProvisionState::as_str),
        ];
        tell(format!("provision_set.{}", status.as_str()), NODE_SET_PROVISION.json(after, &extra));
    }
    match power_change(before, after) {
        None => {}
        Some(Power::Set(status, to)) => {
            tell(format!("power_set.{status}"), NODE_SET_POWER.json(after, &[Some(to)]));
        }
        Some(Power::Corrected) => {
            let from = before.power_state.map(PowerState::as_str);
            tell("power_state_corrected.success".to_owned(), NODE_CORRECTED_POWER.json(after, &[from]));
        }
    }
}

/// A change of power.
enum Power {
    /// Somebody wants or wanted it: how it stands, and what is wanted.
    Set(&'static str, &'static str),
    /// The machine was found in another state than last time.
    Corrected,
}

fn power_change(before: &Node, after: &Node) -> Option<Power> {
    match (before.target_power_state, after.target_power_state) {
        (was, Some(target)) if was != Some(target) => Some(Power::Set("start", target.as_str())),
        (Some(target), None) => {
            let reached = after.power_state == Some(target.end());
            Some(Power::Set(if reached { "end" } else { "error" }, target.as_str()))
        }
        _ if before.power_state == after.power_state => None,
        // A flow at work switches the machine by itself.
        _ if before.lease.is_some() || after.lease.is_some() => {
            let to = after.power_state.map_or(PowerTarget::On.as_str(), PowerState::as_str);
            Some(Power::Set(if after.power_state == Some(PowerState::Error) { "error" } else { "end" }, to))
        }
        _ => Some(Power::Corrected),
    }
}

/// Whether something was changed that callers can set, but for maintenance.
fn is_edited(before: &Node, after: &Node) -> bool {
    macro_rules! differs {
        ($($field:ident)*) => { false $(|| before.$field != after.$field)* };
    }
    differs! {
        name driver driver_info properties instance_info instance_uuid instance_name extra network_data chassis_uuid
        interfaces resource_class traits conductor_group automated_clean protected protected_reason retired
        retired_reason owner lessee description shard parent_node disable_power_off boot_mode secure_boot
        target_raid_config raid_config allocation_uuid
    }
}
