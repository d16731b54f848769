//! How flows end: what the node's record says afterwards, and what follows of itself.

use model::{Fault, JsonObject, Node, PowerState, PowerTarget, ProvisionState as S};

use super::Turn;
use crate::decide::{INSTANCE_KEYS, Note, move_node, remove, remove_internal};
use crate::error::{ErrorCode, StepError};
use crate::event::FsmEvent;
use crate::flow::FlowKind;
use crate::record::{FlowRecord, Phase};
use crate::request::cleaning;
use crate::transitions::next_state;

/// Members of `instance_info` that let somebody into a rescued machine.
const RESCUE_KEYS: [&str; 2] = ["rescue_password", "hashed_rescue_password"];

/// The member of `driver_internal_info` that says that the lessee came with the instance, and goes with it.
pub const AUTOMATIC_LESSEE: &str = "automatic_lessee";

impl Turn<'_> {
    pub(super) fn fail(&mut self, error: StepError) {
        let Some(flow) = &mut self.flow else { return };
        self.notes.push(Note { event_type: "provisioning", error: true, text: account(flow, &error) });
        flow.failure = Some(error);
        flow.phase = Phase::Failing;
        flow.action = 0;
        flow.wait = None;
        flow.open = None;
        flow.boots = None;
        flow.aside.clear();
    }

    pub(super) fn end_failed(&mut self) {
        let Some(mut record) = self.flow.take() else { return };
        self.asked_by.clone_from(&record.asked_by);
        let error = record
            .failure
            .take()
            .unwrap_or_else(|| StepError::new(ErrorCode::Internal, "no cause was recorded."));
        if let Some(event) = record.kind.flow().fail {
            // A hold cannot fail, but be aborted.
            let fails = next_state(self.node.provision_state, event).is_some();
            move_node(&mut self.node, if fails { event } else { FsmEvent::Abort }, self.world.now);
        }
        if let Some(fault) = fault_of(&record, &error) {
            self.node.maintenance = true;
            self.node.fault = Some(fault);
            self.node.maintenance_reason = Some(error.to_string());
        }
        self.node.last_error = Some(account(&record, &error));
        self.settle(record.kind);
        if record.kind == FlowKind::Adopt {
            // Whatever was read may not be this machine's.
            self.node.power_state = None;
        }
        // Nothing failed: the user's system is what was interrupted, and runs again.
        let back = match self.node.power_state {
            // The ramdisk runs on.
            _ if self.node.disable_power_off => Some(PowerTarget::Reboot),
            Some(PowerState::Off) => Some(PowerTarget::On),
            _ => None,
        };
        if record.kind == FlowKind::Service
            && error.code == ErrorCode::Aborted
            && let Some(back) = back.filter(|_| record.ramdisk)
        {
            let last_error = self.node.last_error.take();
            self.start_power(back, 0);
            self.node.last_error = last_error;
        }
    }

    pub(super) fn end_done(&mut self) {
        let Some(record) = self.flow.take() else { return };
        self.asked_by.clone_from(&record.asked_by);
        self.note("provisioning", false, format!("{} done", record.kind.flow().name));
        if let Some(event) = record.done_event(self.node.retired) {
            move_node(&mut self.node, event, self.world.now);
        }
        if record.kind == FlowKind::Inspect {
            self.node.inspection_finished_at = Some(self.world.now);
        }
        self.settle(record.kind);
        if record.kind == FlowKind::TearDown {
            clear_instance(&mut self.node);
            match cleaning(&self.node, self.world) {
                Ok(plan) => self.start(FlowKind::Clean, plan),
                Err(error) => self.cannot_start(FlowKind::Clean, error),
            }
        }
    }

    /// The flow is over: what belonged to it goes.
    fn settle(&mut self, kind: FlowKind) {
        if kind == FlowKind::Inspect {
            // It tells since when an inspection has been going on.
            self.node.inspection_started_at = None;
        }
        self.node.target_power_state = None;
        self.node.deploy_step = JsonObject::default();
        self.node.clean_step = JsonObject::default();
        self.node.service_step = JsonObject::default();
        if matches!(kind, FlowKind::Rescue | FlowKind::Unrescue) {
            remove(&mut self.node.instance_info, &RESCUE_KEYS);
        }
        if is_settled(self.node.provision_state) {
            self.node.target_provision_state = None;
        }
    }
}

/// The failure in words.
fn account(flow: &FlowRecord, error: &StepError) -> String {
    let name = flow.kind.flow().name;
    match Turn::visible_step(flow) {
        Some(step) => format!("{name} failed in step {}: {error}", step.label()),
        None => format!("{name} failed: {error}"),
    }
}

/// The fault that a failure leaves: something had begun, or could not be put back.
fn fault_of(record: &FlowRecord, error: &StepError) -> Option<Fault> {
    let aborted = error.code == ErrorCode::Aborted;
    if record.kind == FlowKind::Rescue && aborted && record.undo_failed {
        return Some(Fault::RescueAbort);
    }
    record.kind.flow().fault.filter(|_| record.step_started && !aborted)
}

/// Whether a node in `state` is on its way nowhere. A failed deployment or cleaning still has its aim.
const fn is_settled(state: S) -> bool {
    matches!(state, S::Active | S::Available | S::Enroll | S::Manageable | S::Rescue | S::Error)
}

fn clear_instance(node: &mut Node) {
    node.instance_info = JsonObject::default();
    node.instance_uuid = None;
    node.instance_name = None;
    node.allocation_uuid = None;
    if node.driver_internal_info.get(AUTOMATIC_LESSEE).is_some() {
        node.lessee = None;
        remove_internal(node, &[AUTOMATIC_LESSEE]);
    }
    remove_internal(node, &INSTANCE_KEYS);
}
