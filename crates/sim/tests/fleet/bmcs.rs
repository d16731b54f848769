//! The BMCs: 50 at once, ipmitool, faults.

use std::time::Duration;

use bmc::{IpmiClient, PowerState};
use futures_util::future::join_all;
use hostcmd::Command;
use ipmi::command::boot::BootDevice;
use ipmi::command::chassis::ChassisControl;
use sim::{Bind, BmcCommand, Fault, FaultKind, FaultPlan, Fleet, FleetOptions, Phase};

use super::{LONG, client, one, own_address, pool, reaches};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_bmcs_are_polled_and_switched() {
    let fleet = Fleet::start(FleetOptions::new(50, 1)).await.unwrap();
    let pool = pool();
    let clients: Vec<_> = fleet.machines().iter().map(|machine| client(&pool, machine)).collect();
    let states = || async { join_all(clients.iter().map(IpmiClient::power_state)).await };
    assert!(states().await.into_iter().all(|state| state.unwrap() == PowerState::Off));
    for client in clients.iter().step_by(2) {
        client.chassis_control(ChassisControl::PowerUp).await.unwrap();
    }
    for (index, state) in states().await.into_iter().enumerate() {
        let expected = if index % 2 == 0 { PowerState::On } else { PowerState::Off };
        assert_eq!(state.unwrap(), expected, "node {index}");
    }
    let machine = fleet.machine(7).unwrap();
    let guid = clients[7].guid().await.unwrap();
    assert_eq!(guid.to_uuid(), *machine.uuid().as_bytes());
    fleet.stop().await;
    pool.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_changes_something_is_noted_with_who_told_it() {
    let (fleet, machine) = one(FleetOptions::new(1, 6)).await;
    let (pool, other) = (pool(), pool());
    let (first, second) = (client(&pool, &machine), client(&other, &machine));
    first.set_boot_device(BootDevice::Pxe, false, true).await.unwrap();
    first.power_state().await.unwrap();
    second.power_state().await.unwrap();
    // Refused, so nothing changed.
    second.chassis_control(ChassisControl::HardReset).await.unwrap_err();
    first.chassis_control(ChassisControl::PowerUp).await.unwrap();
    second.chassis_control(ChassisControl::PowerDown).await.unwrap();
    let told = machine.bmc_orders();
    let what: Vec<_> = told.iter().map(|order| order.what).collect();
    assert_eq!(
        what,
        [
            BmcCommand::BootDevice(BootDevice::Pxe),
            BmcCommand::Control(ChassisControl::PowerUp),
            BmcCommand::Control(ChassisControl::PowerDown),
        ]
    );
    assert!(told[0].console == told[1].console && told[1].console != told[2].console, "{told:?}");
    assert!(told[0].at <= told[1].at && told[1].at <= told[2].at);
    machine.forget_consoles();
    assert!(machine.bmc_orders().is_empty());
    fleet.stop().await;
    pool.shutdown().await;
    other.shutdown().await;
}

async fn ipmitool(
    machine: &sim::Machine,
    suite: &str,
    args: &[&str],
) -> Result<String, hostcmd::CommandError> {
    let address = machine.bmc_address();
    let command = Command::new("ipmitool")
        .args(["-I", "lanplus", "-C", suite, "-H", &address.ip().to_string()])
        .args(["-p", &address.port().to_string(), "-U", "admin", "-P", "password", "-N", "2", "-R", "2"])
        .args(args);
    command.run(LONG).await.map(|output| output.stdout_text())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ipmitool_speaks_to_a_machine_by_both_suites() {
    let (fleet, machine) = one(FleetOptions::new(1, 2)).await;
    for suite in ["3", "17"] {
        assert_eq!(
            ipmitool(&machine, suite, &["power", "status"]).await.unwrap().trim(),
            "Chassis Power is off"
        );
        ipmitool(&machine, suite, &["chassis", "bootdev", "pxe", "options=efiboot"]).await.unwrap();
        let state = machine.state();
        assert_eq!((state.boot_device, state.boot_persistent), (BootDevice::Pxe, false));
        ipmitool(&machine, suite, &["power", "on"]).await.unwrap();
        assert_eq!(
            ipmitool(&machine, suite, &["power", "status"]).await.unwrap().trim(),
            "Chassis Power is on"
        );
        reaches(&machine, "one-time override used up", |state| state.boot_device == BootDevice::NoOverride)
            .await;
        let guid = ipmitool(&machine, suite, &["mc", "guid"]).await.unwrap();
        assert!(guid.to_lowercase().contains(&machine.uuid().to_string()), "{guid}");
        ipmitool(&machine, suite, &["power", "cycle"]).await.unwrap();
        reaches(&machine, "on again", |state| state.powered && state.boots % 2 == 0).await;
        ipmitool(&machine, suite, &["power", "off"]).await.unwrap();
        assert_eq!(machine.state().phase, Phase::Off);
    }
    ipmitool(&machine, "17", &["power", "cycle"]).await.unwrap_err();
    fleet.stop().await;
}

#[tokio::test]
async fn a_persistent_device_stays_and_a_disk_without_image_does_not_boot() {
    let (fleet, machine) = one(FleetOptions::new(1, 3)).await;
    let pool = pool();
    let bmc = client(&pool, &machine);
    bmc.set_boot_device(BootDevice::Disk, true, true).await.unwrap();
    bmc.chassis_control(ChassisControl::PowerUp).await.unwrap();
    reaches(&machine, "nothing to boot", |state| state.phase == Phase::NothingToBoot).await;
    let setting = bmc.get_boot_device().await.unwrap();
    assert!(setting.valid && setting.persistent && setting.device == BootDevice::Disk);
    fleet.stop().await;
}

#[tokio::test]
async fn faults_of_bmcs_begin_and_end_at_run_time() {
    let (fleet, machine) = one(FleetOptions::new(1, 4)).await;
    // A client each, as a pool remembers failures and would answer from memory.
    let state = || async {
        let pool = pool();
        let state = client(&pool, &machine).power_state().await;
        pool.shutdown().await;
        state
    };
    state().await.unwrap();

    machine.inject_fault(Fault::WrongPassword);
    let error = state().await.unwrap_err();
    assert_eq!(error.retry(), bmc::Retry::NeedsOperator, "{error:?}");
    machine.clear_fault(FaultKind::WrongPassword);
    state().await.unwrap();

    machine.inject_fault(Fault::SlowBmc(Duration::from_millis(100)));
    let begun = tokio::time::Instant::now();
    state().await.unwrap();
    // At least five datagrams of a login and the question, one after the other.
    assert!(begun.elapsed() > Duration::from_millis(500), "{:?}", begun.elapsed());
    machine.clear_fault(FaultKind::SlowBmc);

    machine.inject_fault(Fault::BmcPowerStuck);
    let pool_ = pool();
    client(&pool_, &machine).chassis_control(ChassisControl::PowerUp).await.unwrap();
    assert!(!machine.state().powered);
    machine.clear_fault(FaultKind::BmcPowerStuck);

    machine.inject_fault(Fault::DeadBmc);
    let error = state().await.unwrap_err();
    assert!(matches!(error, bmc::Error::Unreachable { .. }), "{error:?}");
    machine.clear_fault(FaultKind::DeadBmc);
    state().await.unwrap();
    fleet.stop().await;
}

#[tokio::test]
async fn the_seed_decides_who_is_who_and_what_is_wrong() {
    let options = |seed| FleetOptions {
        faults: FaultPlan::default().with(Fault::DeadBmc, 0.3).with(Fault::DiskTooSmall, 0.3),
        ..FleetOptions::new(40, seed)
    };
    let describe = |fleet: &Fleet| -> Vec<(String, String, Vec<Fault>)> {
        let machines = fleet.machines().iter();
        machines.map(|m| (m.uuid().to_string(), m.mac().to_owned(), m.faults())).collect()
    };
    let first = Fleet::start(options(9)).await.unwrap();
    let again = Fleet::start(options(9)).await.unwrap();
    let other = Fleet::start(options(10)).await.unwrap();
    assert_eq!(describe(&first), describe(&again));
    assert_ne!(describe(&first), describe(&other));
    assert!(first.machines().iter().any(|machine| machine.faults().is_empty()));
    assert!(first.machines().iter().any(|machine| machine.faults().len() == 2));
}

#[tokio::test]
async fn machines_may_have_an_address_each() {
    let bind = Bind::Addresses { first: own_address(20), port: 16_623 };
    let fleet = Fleet::start(FleetOptions { bind, ..FleetOptions::new(4, 5) }).await.unwrap();
    let last = fleet.machine(3).unwrap();
    assert_eq!(last.bmc_address(), (own_address(23), 16_623).into());
    let pool = pool();
    client(&pool, last).power_state().await.unwrap();
    // The same addresses again are taken.
    let error = Fleet::start(FleetOptions { bind, ..FleetOptions::new(4, 5) }).await.unwrap_err();
    assert!(matches!(error, sim::SimError::Listen { index: 0, .. }), "{error:?}");
    fleet.stop().await;
    Fleet::start(FleetOptions { bind, ..FleetOptions::new(4, 5) }).await.unwrap();
}
