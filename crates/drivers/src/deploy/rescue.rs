//! Opening a ramdisk to its user. An agent that has done so serves nobody any more, so that a user does not meet it: whether
//! it was done can be seen only by that, once the answer is lost.

use agent_api::{CommandStatus, params::FinalizeRescue};
use agent_client::AgentClient;
use driver::{AgentReply, DriverError};
use model::Node;

use super::direct::{command_failed, unreachable};

/// The command without its extension, as agents list it.
const COMMAND: &str = "finalize_rescue";

/// Gives the agent the hash of the user's password; it opens the machine.
pub(super) async fn finalize(client: &AgentClient, node: &Node) -> Result<(), DriverError> {
    let hash = node.instance_info.get_str("hashed_rescue_password").ok_or_else(|| {
        DriverError::instance_info("instance_info has no hashed_rescue_password to give to the agent.")
    })?;
    let request = FinalizeRescue { rescue_password: hash, hashed: true };
    match client.finalize_rescue(&request).await {
        Ok(()) => Ok(()),
        // It may have closed before its answer was out.
        Err(error) if error.is_uncertain() => match ask(client).await? {
            AgentReply::Done(_) => Ok(()),
            _ => Err(command_failed(&error)),
        },
        Err(error) => Err(command_failed(&error)),
    }
}

/// Whether the machine was opened: the agent says so, or its machine answers and the agent is gone. A machine that does not
/// answer at all says nothing.
pub(super) async fn ask(client: &AgentClient) -> Result<AgentReply, DriverError> {
    let commands = match client.commands().await {
        Ok(commands) => commands,
        Err(error) if error.is_refused_connection() => {
            tracing::info!("the agent has closed itself: the machine is open to its user");
            return Ok(AgentReply::Done(Box::default()));
        }
        Err(error) => return Ok(unreachable(&error)),
    };
    let Some(begun) = commands.into_iter().rev().find(|command| command.command_name == COMMAND) else {
        return Ok(AgentReply::NotFound);
    };
    Ok(match begun.command_status {
        CommandStatus::Succeeded => AgentReply::Done(Box::default()),
        // Not opened, and nothing done: it is sent again, and the answer tells why it fails.
        CommandStatus::Failed | CommandStatus::CleanVersionMismatch => AgentReply::NotFound,
        CommandStatus::Running => match client.end_of_rescue(begun).await {
            Ok(()) => AgentReply::Done(Box::default()),
            Err(error) if error.is_refused_connection() => AgentReply::Done(Box::default()),
            Err(error) => return Err(command_failed(&error)),
        },
    })
}
