//! What a node costs on its way to the wire, in nanoseconds: `cargo bench -p api-types`. Instructions, which are the same
//! on a busy machine: `valgrind --tool=callgrind` with the program that this makes.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a measurement for people to read, by the clock"
)]

use std::hint::black_box;
use std::time::Instant;

use api_types::{Context, NODE, Selection, Shape, Shown, Writer, write_masked};
use microversion::Version;
use model::{InterfaceKind, JsonObject, Node, Timestamp};

const TIMES: u32 = 20_000;
const DRIVER_INFO: &str = r#"{"redfish_address": "https://10.0.0.1", "redfish_username": "admin", "redfish_password": "0123456789abcdef",
    "deploy_kernel": "http://images.example/agent.kernel", "deploy_ramdisk": "http://images.example/agent.initramfs"}"#;

fn main() {
    let node = node();
    let conductor = |_: &Node| Some("host-1".to_owned());
    let cx = Context {
        base: "http://api.example:6385",
        version: Version::MAX,
        now: Timestamp::now(),
        reveal: false,
        shown: &Shown::default(),
        conductor_of: &conductor,
        alive_since: Timestamp::now(),
    };
    for (name, shape) in [("a node, detailed", Shape::Full), ("a node, short", Shape::Short)] {
        let selection = Selection::new(&NODE, &shape, cx.version).unwrap();
        measure(name, |out| selection.write(black_box(&node), &cx, out));
    }
    measure("driver_info, masked", |out| write_masked(out, black_box(DRIVER_INFO), &[]));
    measure("a time", |out| out.time(black_box(node.created_at)));
    measure("a string", |out| out.text(black_box("baremetal.large")));
}

fn measure(name: &str, write: impl Fn(&mut Writer)) {
    let began = Instant::now();
    for _ in 0..TIMES {
        let mut out = Writer::with_capacity(8192);
        write(&mut out);
        black_box(out.into_bytes());
    }
    println!("{name:24} {:8.0} ns", began.elapsed().as_secs_f64() * 1e9 / f64::from(TIMES));
}

/// A node as production has them.
fn node() -> Node {
    let mut node = Node::new("redfish", Timestamp::now());
    node.name = Some("rack001-node01".to_owned());
    node.driver_info = JsonObject::parse(DRIVER_INFO).unwrap();
    for kind in InterfaceKind::ALL {
        node.interfaces.set(kind, Some("redfish".to_owned()));
    }
    node.resource_class = Some("baremetal.large".to_owned());
    node.owner = Some("project-1".to_owned());
    node.traits = vec!["CUSTOM_GPU".parse().unwrap(), "HW_CPU_X86_VMX".parse().unwrap()];
    node
}
