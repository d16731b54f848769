//! The fleet against real clients: crate `bmc`, `ipmitool`, crate `agent-client`, and an API of a hundred lines.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

mod agents;
mod api;
mod bmcs;
mod command_line;
mod deploying;

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use bmc::{Credentials, IpmiClient, IpmiPool, Options, Patience, Target};
use ipmi::command::boot::BootDevice;
use ipmi::{Password, Username};
use sim::{Fleet, FleetOptions, Machine, MachineState};

/// Longer than anything here takes on a busy machine.
const LONG: Duration = Duration::from_secs(30);

/// The network of this process on the loopback: tests with fixed ports do not meet those of another run.
fn own_address(last: u8) -> Ipv4Addr {
    let [.., high, low] = std::process::id().to_be_bytes();
    Ipv4Addr::new(127, 64 | high & 63, low, last)
}

fn pool() -> IpmiPool {
    IpmiPool::new(Options {
        patience: Patience { poll_first: Duration::from_millis(20), ..Patience::default() },
        ..Options::default()
    })
}

fn client(pool: &IpmiPool, machine: &Machine) -> IpmiClient {
    let credentials = machine.credentials();
    let user = Username::new(credentials.username.clone()).unwrap();
    let password = Password::new(credentials.password.clone()).unwrap();
    let address = machine.bmc_address();
    pool.client(Target::with_port(address.ip().to_string(), address.port()), Credentials::new(user, password))
}

async fn one(options: FleetOptions) -> (Fleet, Arc<Machine>) {
    let fleet = Fleet::start(options).await.unwrap();
    let machine = Arc::clone(fleet.machine(0).unwrap());
    (fleet, machine)
}

async fn reaches(
    machine: &Machine,
    what: &str,
    wanted: impl Fn(&MachineState) -> bool + Send,
) -> MachineState {
    let reached = machine.wait_for(LONG, wanted).await;
    reached.unwrap_or_else(|| panic!("{} never reached: {what}; it is {:?}", machine.name(), machine.state()))
}

/// Network boot now, as a conductor orders it.
async fn boot_ramdisk(machine: &Machine) {
    let pool = pool();
    let bmc = client(&pool, machine);
    bmc.set_boot_device(BootDevice::Pxe, false, true).await.unwrap();
    let control = if machine.state().powered {
        ipmi::command::chassis::ChassisControl::HardReset
    } else {
        ipmi::command::chassis::ChassisControl::PowerUp
    };
    bmc.chassis_control(control).await.unwrap();
}
