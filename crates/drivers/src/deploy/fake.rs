//! Deployment of machines that are not there.

use driver::{AgentCall, AgentReply, Answer, Deploy, DriverError, KnownAgent, Retry};
use model::Node;
use provision::{ErrorCode, Observed, PlannedStep};

/// Deploys nothing, at once.
#[derive(Debug)]
pub struct FakeDeploy;

impl Deploy for FakeDeploy {
    fn validate(&self, _node: &Node) -> Result<(), DriverError> {
        Ok(())
    }

    fn deploy_steps(&self, _node: &Node) -> Vec<PlannedStep> {
        provision::flow::deploy::pretend()
    }

    fn clean_steps(&self, _node: &Node) -> Vec<PlannedStep> {
        provision::flow::clean::none()
    }

    fn prepare_image<'a>(&'a self, _node: &'a Node) -> Answer<'a, Observed> {
        Box::pin(async { Ok(Observed::default()) })
    }

    fn agent<'a>(
        &'a self,
        _node: &'a Node,
        call: AgentCall,
        _known: KnownAgent<'a>,
    ) -> Answer<'a, AgentReply> {
        Box::pin(async move {
            let text = format!("deploy_interface fake has no agent to ask for {call:?}.");
            Err(DriverError::new(ErrorCode::Internal, Retry::Permanent, text))
        })
    }
}
