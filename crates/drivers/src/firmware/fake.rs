//! Firmware of machines that are not there: there is none to read, and updates do nothing.

use driver::{Answer, DriverError, Firmware, StepReply, Steps};
use model::{FirmwareComponent, InterfaceKind, Node};
use provision::{OfferedStep, PlannedStep, StepArgument, StepList};
use serde_json::Value;

const SETTINGS: &[StepArgument] = &[StepArgument {
    name: "settings",
    required: true,
    description: "a list of objects, each with a component and the url of its new firmware",
}];

/// Takes any update.
#[derive(Debug)]
pub struct FakeFirmware;

impl Firmware for FakeFirmware {
    fn validate(&self, _node: &Node) -> Result<(), DriverError> {
        Ok(())
    }

    fn components<'a>(&'a self, _node: &'a Node) -> Answer<'a, Option<Vec<FirmwareComponent>>> {
        Box::pin(async { Ok(None) })
    }
}

impl Steps for FakeFirmware {
    fn offered(&self, _node: &Node) -> Vec<OfferedStep> {
        let update = OfferedStep::new(StepList::Clean, InterfaceKind::Firmware, "update");
        vec![OfferedStep { arguments: SETTINGS, ..update }]
    }

    fn run<'a>(&'a self, _node: &'a Node, _list: StepList, step: &'a PlannedStep) -> Answer<'a, StepReply> {
        Box::pin(async move {
            let settings = step.args.get("settings");
            let fits = settings
                .as_ref()
                .and_then(Value::as_array)
                .is_some_and(|updates| updates.iter().all(Value::is_object));
            if fits {
                return Ok(StepReply::done());
            }
            Err(DriverError::invalid("settings has to be a list of objects."))
        })
    }
}
