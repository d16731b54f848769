//! Traits of nodes.

use model::{Node, Trait};
use serde_json::{Value, json};

use crate::error::ApiError;
use crate::reply::{Answer, Reply};
use crate::request::Request;

/// Traits that a node may have.
const MAX_TRAITS: usize = 50;

/// `GET /v1/nodes/{node_ident}/traits`
pub(crate) async fn list(request: Request) -> Answer {
    let node = request.node("baremetal:node:traits:list").await?;
    let names: Vec<&str> = node.traits.iter().map(Trait::as_str).collect();
    Ok(Reply::json(json!({"traits": names}).to_string()))
}

/// `PUT /v1/nodes/{node_ident}/traits`
pub(crate) async fn replace(request: Request) -> Answer {
    let Some(Value::Array(names)) = request.shaped()?.remove("traits") else {
        return Err(ApiError::bad_request("/traits: expected a list of traits"));
    };
    let wanted = names.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    change(&request, "baremetal:node:traits:set", |_| Ok(wanted.clone())).await?;
    Ok(Reply::no_content())
}

/// `DELETE /v1/nodes/{node_ident}/traits`
pub(crate) async fn clear(request: Request) -> Answer {
    change(&request, "baremetal:node:traits:delete", |_| Ok(Vec::new())).await?;
    Ok(Reply::no_content())
}

/// `PUT /v1/nodes/{node_ident}/traits/{trait}`
pub(crate) async fn add(request: Request) -> Answer {
    request.no_body()?;
    let new = read(&json!(request.param("trait")))?;
    change(&request, "baremetal:node:traits:set", |node| {
        let mut traits = node.traits.clone();
        traits.push(new.clone());
        Ok(traits)
    })
    .await?;
    Ok(Reply::no_content().at(request.url(&format!("nodes/{}/traits/{new}", request.param("node_ident")))))
}

/// `DELETE /v1/nodes/{node_ident}/traits/{trait}`
pub(crate) async fn remove(request: Request) -> Answer {
    let old = request.param("trait");
    change(&request, "baremetal:node:traits:delete", |node| {
        let mut traits = node.traits.clone();
        traits.retain(|name| name.as_str() != old);
        if traits.len() == node.traits.len() {
            let shown: String = old.chars().take(300).collect();
            return Err(ApiError::not_found(format!("Node {} doesn't have a trait '{shown}'", node.uuid)));
        }
        Ok(traits)
    })
    .await?;
    Ok(Reply::no_content())
}

fn read(name: &Value) -> Result<Trait, ApiError> {
    let text = name.as_str().ok_or_else(|| ApiError::bad_request("/traits: expected names of traits"))?;
    text.parse().map_err(|error: model::InvalidTrait| ApiError::bad_request(error.to_string()))
}

/// Gives the node the traits that `choose` picks, in order and each once.
async fn change(
    request: &Request,
    rule: &'static str,
    choose: impl Fn(&Node) -> Result<Vec<Trait>, ApiError> + Send + Sync,
) -> Result<Node, ApiError> {
    let node = request.node(rule).await?;
    let change = |before: &Node| {
        let mut traits = choose(before)?;
        traits.sort_unstable();
        traits.dedup();
        if traits.len() > MAX_TRAITS {
            return Err(ApiError::bad_request(format!(
                "/traits: a node may have {MAX_TRAITS} traits at most"
            )));
        }
        Ok(Node { traits, ..before.clone() })
    };
    request.change_node(node, change).await
}
