//! Rescue by the agent: the ramdisk that deploys also rescues, once its agent has set the user's password.

use driver::{DriverError, Rescue};
use model::Node;
use provision::PlannedStep;

/// Rescue by the agent in the ramdisk.
#[derive(Debug)]
pub struct AgentRescue;

impl Rescue for AgentRescue {
    fn validate(&self, node: &Node) -> Result<(), DriverError> {
        let deploy = node.interfaces.get(model::InterfaceKind::Deploy).unwrap_or("unset");
        if deploy == "fake" {
            return Err(DriverError::driver_info(
                "rescue_interface agent needs a deploy_interface that talks to agents; this node has 'fake'.",
            ));
        }
        Ok(())
    }

    fn rescue_steps(&self, _node: &Node) -> Vec<PlannedStep> {
        provision::flow::rescue::in_band()
    }

    fn unrescue_steps(&self, _node: &Node) -> Vec<PlannedStep> {
        provision::flow::rescue::leave()
    }
}
