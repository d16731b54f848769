//! The power of many machines is compared with what is stored, over real IPMI: nobody is asked two things at once, and
//! machines that do not answer cost nobody but themselves.
#![expect(clippy::unwrap_used, reason = "a test stops where something is missing")]

use std::collections::BTreeMap;
use std::time::Duration;

use conductor::{Conductor, PowerSync};
use db::{DatabaseUrl, Db, NodeQuery, Scope};
use ipmi::Timing;
use model::{Fault, InterfaceKind, JsonObject, Node, NodeUuid, PowerState, ProvisionState, Timestamp};
use provision::PowerSyncPolicy;
use serde_json::json;
use sim::{Fault as Broken, FaultKind, Fleet, FleetOptions, Machine};

const MACHINES: usize = 200;
/// Every tenth machine's BMC dies.
const DEAD: usize = 10;
/// Longer than anything here takes on a busy computer.
const LONG: Duration = Duration::from_mins(2);

fn node_of(machine: &Machine) -> Node {
    let bmc = machine.bmc_address();
    let login = machine.credentials();
    let mut node = Node::new("ipmi", Timestamp::now());
    node.uuid = NodeUuid::from_uuid(machine.uuid());
    node.driver_info = JsonObject::parse(
        &json!({
            "ipmi_address": bmc.ip(), "ipmi_port": bmc.port(),
            "ipmi_username": login.username, "ipmi_password": login.password,
        })
        .to_string(),
    )
    .unwrap();
    for (kind, name) in [
        (InterfaceKind::Power, "ipmitool"),
        (InterfaceKind::Management, "ipmitool"),
        (InterfaceKind::Boot, "ipxe"),
        (InterfaceKind::Deploy, "direct"),
        (InterfaceKind::Network, "noop"),
    ] {
        node.interfaces.set(kind, Some(name.to_owned()));
    }
    node.provision_state = ProvisionState::Active;
    node
}

/// A conductor with the shipped drivers, whose BMCs have little time.
async fn start(db: &Db, folder: &std::path::Path) -> (Conductor, bmc::IpmiPool) {
    server::install_tls_provider();
    let second = Duration::from_secs(1);
    let ipmi = bmc::IpmiPool::new(bmc::Options {
        timing: Timing { connect: 2 * second, request: 2 * second, ..Timing::default() },
        patience: bmc::Patience { first_probe: second / 5, longest_probe: second, ..Default::default() },
        ..bmc::Options::default()
    });
    let web = images::Web::new(images::WebOptions::default()).unwrap();
    let registry = drivers::registry(&drivers::Options {
        enabled_hardware_types: vec!["ipmi".to_owned()],
        interfaces: drivers::InterfaceChoice::default(),
        bmcs: drivers::Bmcs {
            ipmi: ipmi.clone(),
            redfish: bmc::redfish::RedfishPool::new(bmc::redfish::Options::default()),
        },
        redfish: drivers::RedfishOptions::default(),
        images: images::ImageCache::open(images::Options::new(folder.join("images")), web).unwrap(),
        images_url: String::new(),
        ramdisk_configured: false,
        log_dir: folder.join("logs"),
        step_priorities: BTreeMap::new(),
    });
    let options = conductor::Options {
        power: PowerSync {
            every: Some(second / 4),
            recover_every: Some(second / 4),
            width: 64,
            policy: PowerSyncPolicy { force: true, max_retries: 3 },
            health: true,
        },
        ..conductor::Options::default()
    };
    (Box::pin(Conductor::start(db.clone(), registry.unwrap(), options)).await.unwrap(), ipmi)
}

async fn until(db: &Db, what: &str, fits: impl Fn(usize, &Node) -> bool) {
    let deadline = tokio::time::Instant::now() + LONG;
    loop {
        let nodes = db.list_nodes(&NodeQuery::new(Scope::All)).await.unwrap();
        assert_eq!(nodes.len(), MACHINES);
        let Some((index, node)) = nodes.iter().enumerate().find(|(index, node)| !fits(*index, node)) else {
            return;
        };
        let (power, fault) = (node.power_state, node.fault);
        assert!(tokio::time::Instant::now() < deadline, "not {what}: node {index}: {power:?}, {fault:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_machines_are_watched_and_twenty_dead_ones_harm_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let db = Db::open(&db::Options::new(DatabaseUrl::sqlite(dir.path().join("site.db")))).await.unwrap();
    let fleet = Fleet::start(FleetOptions::new(MACHINES, 7)).await.unwrap();
    for machine in fleet.machines() {
        machine.inject_fault(Broken::SlowBmc(Duration::from_millis(5)));
        db.create_node(node_of(machine)).await.unwrap();
    }
    let (conductor, bmcs) = start(&db, dir.path()).await;
    until(&db, "read once", |_, node| node.power_state == Some(PowerState::Off)).await;

    let dead = |index: usize| index.is_multiple_of(DEAD);
    for machine in fleet.machines().iter().step_by(DEAD) {
        machine.inject_fault(Broken::DeadBmc);
    }
    // Somebody presses buttons: what is stored wins.
    for machine in fleet.machines().iter().skip(1).step_by(DEAD) {
        machine.power_on();
    }
    until(&db, "dead and given up", |index, node| {
        (node.fault == Some(Fault::Power)) == dead(index) && node.maintenance == dead(index)
    })
    .await;
    for machine in fleet.machines().iter().skip(1).step_by(DEAD) {
        let off = machine.wait_for(LONG, |state| !state.powered).await;
        assert!(off.is_some(), "{} was not switched back", machine.name());
    }
    for machine in fleet.machines() {
        machine.clear_fault(FaultKind::DeadBmc);
    }
    until(&db, "sound again", |_, node| {
        node.fault.is_none() && !node.maintenance && node.power_state == Some(PowerState::Off)
    })
    .await;
    conductor.stop().await;
    bmcs.shutdown().await;
    for machine in fleet.machines() {
        assert_eq!(machine.most_consoles(), 1, "{} was asked two things at once", machine.name());
    }
    fleet.stop().await;
}
