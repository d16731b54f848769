//! Simulated machines for tasks that need many: started in this process, and as nodes in a store.

use anyhow::{Context as _, Result};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use model::{InterfaceKind, JsonObject, Node, NodeUuid, Port, PowerState, ProvisionState, Timestamp};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::json;
use sim::{Fleet, FleetOptions, Machine};

/// Writes to the store under way at once.
const PARALLEL: usize = 32;

/// The interfaces of a node with a simulated machine.
const INTERFACES: [(InterfaceKind, &str); 13] = [
    (InterfaceKind::Bios, "no-bios"),
    (InterfaceKind::Boot, "ipxe"),
    (InterfaceKind::Console, "no-console"),
    (InterfaceKind::Deploy, "direct"),
    (InterfaceKind::Firmware, "no-firmware"),
    (InterfaceKind::Inspect, "no-inspect"),
    (InterfaceKind::Management, "ipmitool"),
    (InterfaceKind::Network, "noop"),
    (InterfaceKind::Power, "ipmitool"),
    (InterfaceKind::Raid, "no-raid"),
    (InterfaceKind::Rescue, "no-rescue"),
    (InterfaceKind::Storage, "noop"),
    (InterfaceKind::Vendor, "no-vendor"),
];

/// Starts machines. Each takes a socket, so as many files are allowed as the system lets us have.
pub(crate) async fn start(options: FleetOptions) -> Result<Fleet> {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum })
        .context("raise the limit of open files")?;
    Fleet::start(options).await.context("start the simulated machines")
}

/// Makes a node, and its port, for each machine; `state` says where a node stands, by the machine's number.
pub(crate) async fn enroll(
    db: &db::Db,
    fleet: &Fleet,
    state: impl Fn(usize) -> ProvisionState,
) -> Result<()> {
    let state = &state;
    let made = stream::iter(fleet.machines()).map(|machine| async move {
        let node = db.create_node(node(machine, state(machine.index()))?).await?;
        db.create_port(Port::new(node.uuid, machine.mac().parse()?, Timestamp::now())).await?;
        anyhow::Ok(())
    });
    made.buffer_unordered(PARALLEL).try_collect().await
}

/// A node as it is before anything was deployed to its machine, which is off.
fn node(machine: &Machine, state: ProvisionState) -> Result<Node> {
    let (bmc, login) = (machine.bmc_address(), machine.credentials());
    let mut node = Node::new("ipmi", Timestamp::now());
    node.uuid = NodeUuid::from_uuid(machine.uuid());
    node.name = Some(machine.name().to_owned());
    node.provision_state = state;
    node.power_state = Some(PowerState::Off);
    node.driver_info = JsonObject::parse(
        &json!({
            "ipmi_address": bmc.ip(), "ipmi_port": bmc.port(),
            "ipmi_username": login.username, "ipmi_password": login.password,
            "deploy_kernel": "http://boot.example/vmlinuz", "deploy_ramdisk": "http://boot.example/initramfs",
        })
        .to_string(),
    )?;
    for (kind, name) in INTERFACES {
        node.interfaces.set(kind, Some(name.to_owned()));
    }
    Ok(node)
}
