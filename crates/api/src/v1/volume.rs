//! What `/v1/volume` leads to, for all nodes and for one.

use api_types::write_links;

use crate::reply::{Answer, Reply};
use crate::request::Request;

/// `GET /v1/volume`
pub(crate) async fn root(request: Request) -> Answer {
    request.authorise("baremetal:volume:get", None)?;
    Ok(links(&request, &["volume"]))
}

/// `GET /v1/nodes/{node_ident}/volume`
pub(crate) async fn of_node(request: Request) -> Answer {
    let node = request.node("baremetal:volume:get").await?;
    Ok(links(&request, &["nodes", &node.uuid.to_string(), "volume"]))
}

fn links(request: &Request, path: &[&str]) -> Reply {
    Reply::json(request.written(|cx, out| {
        out.raw("{");
        // The last part of the collection itself is empty: its links end with a slash.
        for (index, (name, last)) in
            [("connectors", "connectors"), ("links", ""), ("targets", "targets")].into_iter().enumerate()
        {
            out.key(index == 0, name);
            write_links(out, cx.base, &[path, &[last]].concat());
        }
        out.raw("}");
    }))
}
