//! One node.

use api_types::{NODE, Shape, write_node_states};

use crate::page;
use crate::reply::{Answer, Reply};
use crate::request::Request;

/// `GET /v1/nodes/{node_ident}`
pub(crate) async fn show(request: Request) -> Answer {
    let shape = page::shape(&request, Shape::Full)?;
    let node = request.node("baremetal:node:get").await?;
    Ok(Reply::json(request.object(&NODE, &shape, &node)?))
}

/// `GET /v1/nodes/{node_ident}/states`
pub(crate) async fn states(request: Request) -> Answer {
    let node = request.node("baremetal:node:get_states").await?;
    Ok(Reply::json(request.written(|cx, out| write_node_states(&node, cx, out))))
}
