//! The rows of the table: what is asked of the API, and of the floor for the same.

use super::load::Call;
use super::stock::{AT_WORK, OWNER, TOKEN, address, first_at_work, node_uuid};
use http::Method;
use serde_json::json;

/// One row.
pub(super) struct Row {
    /// Its title.
    pub(super) name: &'static str,
    /// The call with this number, of a store with this many nodes. Calls in a row name different objects.
    pub(super) call: fn(usize, usize) -> Call,
    /// The same of the floor.
    pub(super) floor: fn(usize, usize) -> Call,
    /// Whether it is about one object: these are measured with many connections, too.
    pub(super) single: bool,
}

/// All rows. Those that make the store grow come last.
pub(super) const ROWS: &[Row] = &[
    Row {
        name: "GET a node",
        call: |nodes, i| Call::get(format!("/v1/nodes/{}", any(nodes, i))),
        floor: |nodes, i| Call::get(format!("/node/{}", any(nodes, i))),
        single: true,
    },
    Row {
        name: "GET a node's ports",
        call: |nodes, i| Call::get(format!("/v1/nodes/{}/ports", any(nodes, i))),
        floor: |nodes, i| Call::get(format!("/ports_of/{}", any(nodes, i))),
        single: true,
    },
    Row {
        name: "GET 1,000 nodes, detailed",
        call: |_, _| Call::get("/v1/nodes/detail?limit=1000"),
        floor: |_, _| Call::get("/nodes/1000/0"),
        single: false,
    },
    Row {
        name: "walk all nodes, detailed",
        call: |_, _| Call::walk("/v1/nodes/detail?limit=1000"),
        floor: |_, _| Call::walk("/nodes/1000/0"),
        single: false,
    },
    Row {
        name: "walk all ports",
        call: |_, _| Call::walk("/v1/ports?limit=1000"),
        floor: |_, _| Call::walk("/ports/1000/0"),
        single: false,
    },
    Row {
        name: "100 nodes by provision state, detailed",
        call: |_, _| Call::get("/v1/nodes/detail?provision_state=available&limit=100"),
        floor: |_, _| Call::get("/nodes_by/provision_state/available/100"),
        single: false,
    },
    Row {
        name: "100 nodes by resource class, detailed",
        call: |_, _| Call::get("/v1/nodes/detail?resource_class=baremetal.large&limit=100"),
        floor: |_, _| Call::get("/nodes_by/resource_class/baremetal.large/100"),
        single: false,
    },
    Row {
        name: "100 nodes by owner, detailed",
        call: |_, _| Call::get(format!("/v1/nodes/detail?owner={OWNER}&limit=100")),
        floor: |_, _| Call::get(format!("/nodes_by/owner/{OWNER}/100")),
        single: false,
    },
    Row {
        name: "lookup by two addresses",
        call: |nodes, i| {
            let node = at_work(nodes, i);
            Call::get(format!("/v1/lookup?addresses={},{}", address(node, false), address(node, true)))
        },
        floor: |nodes, i| Call::get(format!("/node/{}", node_uuid(at_work(nodes, i)))),
        single: true,
    },
    Row {
        name: "heartbeat",
        call: |nodes, i| {
            let body = json!({
                "callback_url": "http://192.0.2.7:9999", "agent_version": "11.0.0", "agent_token": TOKEN,
            });
            let path = format!("/v1/heartbeat/{}", node_uuid(at_work(nodes, i)));
            Call::send(Method::POST, path, body.to_string())
        },
        floor: |nodes, i| {
            Call::send(Method::POST, format!("/touch/{}", node_uuid(at_work(nodes, i))), String::new())
        },
        single: true,
    },
    Row {
        name: "PATCH a node",
        call: |nodes, i| {
            let body = json!([{"op": "add", "path": "/extra/round", "value": i}]);
            Call::send(Method::PATCH, format!("/v1/nodes/{}", idle(nodes, i)), body.to_string())
        },
        floor: |nodes, i| Call::send(Method::POST, format!("/touch/{}", idle(nodes, i)), String::new()),
        single: true,
    },
    Row {
        name: "POST a node",
        call: |_, i| {
            let body = json!({
                "driver": "fake-hardware",
                "resource_class": "baremetal.large",
                "properties": {"cpu_arch": "x86_64", "cpus": 64, "memory_mb": 524_288, "local_gb": 960},
                "extra": {"number": i},
            });
            Call::send(Method::POST, "/v1/nodes", body.to_string())
        },
        floor: |_, _| Call::send(Method::POST, "/insert", String::new()),
        single: true,
    },
];

/// Some node; neighbours in time are far apart in the store.
fn any(nodes: usize, i: usize) -> uuid::Uuid {
    node_uuid(i.wrapping_mul(7919) % nodes)
}

/// Some node without an agent at work.
fn idle(nodes: usize, i: usize) -> uuid::Uuid {
    any(first_at_work(nodes), i)
}

/// Some node with an agent at work.
fn at_work(nodes: usize, i: usize) -> usize {
    first_at_work(nodes) + i % AT_WORK.min(nodes / 4).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_name_nodes_that_are_there() {
        for nodes in [8, 300, 10_000] {
            for i in 0..1000 {
                assert!((first_at_work(nodes)..nodes).contains(&at_work(nodes, i)));
            }
        }
        for row in ROWS {
            assert!((row.call)(300, 5).path.starts_with("/v1/"), "{}", row.name);
            assert!(!(row.floor)(300, 5).path.starts_with("/v1/"), "{}", row.name);
        }
    }
}
