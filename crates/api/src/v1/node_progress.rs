//! Where nodes stand in their flows, and everything that explains it: an addition to the contract.

use boot_trace::{Entry, Hears};
use conductor_api::NodeProgress;
use model::{Node, Timestamp};
use serde_json::{Value, json};

use super::node_boot_trace;
use crate::reply::{Answer, Reply};
use crate::request::Request;

/// `GET /v1/nodes/{node_ident}/progress`
pub(crate) async fn show(request: Request) -> Answer {
    let node = request.node("baremetal:node:get_states").await?;
    let progress = request.state.conductors.progress(node.uuid).await?;
    let entries = request.state.db.boot_trace(node.uuid).await?;
    let explained = explanation(&node, &progress, &entries, request.state.options.hears);
    Ok(Reply::json(explained.to_string()))
}

/// What the node does and what led to it, as `GET /v1/nodes/{id}/progress` answers it. `entries` is its boot trace.
pub fn explanation(node: &Node, progress: &NodeProgress, entries: &[Entry], hears: Hears) -> Value {
    let lease = node.lease.as_ref().filter(|_| node.is_locked(Timestamp::now()));
    let code = node.last_error.as_deref().and_then(code_of);
    let mut all = serde_json::to_value(progress).unwrap_or_default();
    all["node"] = json!({
        "uuid": node.uuid,
        "name": node.name,
        "driver": node.driver,
        "provision_state": node.provision_state,
        "state_since": node.provision_updated_at.map(|at| at.to_string()),
        "target_provision_state": node.target_provision_state,
        "power_state": node.power_state,
        "target_power_state": node.target_power_state,
        "maintenance": node.maintenance,
        "maintenance_reason": node.maintenance_reason,
    });
    all["held_by"] = json!(lease.map(|lease| &lease.holder));
    all["held_until"] = json!(lease.map(|lease| lease.expires_at.to_string()));
    all["last_boot"] = node_boot_trace::last(node, entries, hears).unwrap_or(Value::Null);
    all["last_error"] = json!(node.last_error);
    all["code"] = json!(code);
    all["documentation"] = json!(code.map(|code| format!("docs/errors/{code}.md")));
    all
}

/// The code in the text of an error: `E` and four digits.
fn code_of(text: &str) -> Option<&str> {
    text.split(|letter: char| !letter.is_ascii_alphanumeric()).find(|word| {
        word.len() == 5 && word.starts_with('E') && word.bytes().skip(1).all(|byte| byte.is_ascii_digit())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_found_in_errors() {
        assert_eq!(code_of("deploy failed in step deploy.deploy: E0514: kernel"), Some("E0514"));
        assert_eq!(code_of("no such E1 EXXXX 0x"), None);
    }
}
