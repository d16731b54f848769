//! Our console against pyghmi's BMC (cipher suite 3 whatever is proposed; silent for what it does not like).

#[path = "support/interop.rs"]
mod interop;
#[path = "support/machine.rs"]
mod machine;

use bmc::{BootSetting, Credentials, Error, IpmiPool, PowerState, Retry, Target};
use interop::{PYTHON, free_port, start};
use ipmi::command::boot::BootDevice;
use ipmi::command::chassis::ChassisControl;
use ipmi::{CipherChoice, CipherSuite, ClientError, Password, Phase, Username};
use machine::{UUID, credentials, options};
use std::time::Duration;
use tokio::process::Child;

async fn pyghmi() -> (Child, Target) {
    let port = free_port();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/pyghmi_bmc.py");
    let server = start(PYTHON, &[script, "127.0.0.1", &port.to_string()]).await;
    (server, Target::with_port("127.0.0.1", port))
}

#[tokio::test]
async fn a_machines_life() {
    let (_server, target) = pyghmi().await;
    let pool = IpmiPool::new(options());
    let bmc = pool.client(target, credentials());
    assert_eq!(bmc.power_state().await.unwrap(), PowerState::Off);
    bmc.set_boot_device(BootDevice::Pxe, false, true).await.unwrap();
    let pxe = BootSetting { valid: true, device: BootDevice::Pxe, persistent: false, uefi: true };
    assert_eq!(bmc.get_boot_device().await.unwrap(), pxe);
    let error = bmc.chassis_control(ChassisControl::HardReset).await.unwrap_err();
    assert!(matches!(error, Error::Command { .. }), "{error:?}");
    bmc.chassis_control(ChassisControl::PowerUp).await.unwrap();
    bmc.wait_for_power_state(PowerState::On, Duration::from_secs(30)).await.unwrap();
    bmc.chassis_control(ChassisControl::HardReset).await.unwrap();
    bmc.chassis_control(ChassisControl::SoftShutdown).await.unwrap();
    assert_eq!(bmc.power_state().await.unwrap(), PowerState::Off);
    assert_eq!(bmc.guid().await.unwrap().to_uuid(), UUID);
    assert_eq!(bmc.device_id().await.unwrap().ipmi_version, (2, 0));
    pool.shutdown().await;
}

#[tokio::test]
async fn a_second_session_of_one_host_works() {
    let (_server, target) = pyghmi().await;
    for _ in 0..2 {
        let pool = IpmiPool::new(options());
        pool.client(target.clone(), credentials()).power_state().await.unwrap();
        pool.shutdown().await;
    }
}

#[tokio::test]
async fn refusals_are_understood() {
    let (_server, target) = pyghmi().await;
    let pool = IpmiPool::new(options());

    let wrong = Credentials { password: Password::new("wrong").unwrap(), ..credentials() };
    let error = pool.client(target.clone(), wrong).power_state().await.unwrap_err();
    assert!(matches!(error, Error::Login { source: ClientError::WrongPassword, .. }), "{error:?}");
    assert_eq!(error.retry(), Retry::NeedsOperator);

    let modern = Credentials { cipher: CipherChoice::Only(CipherSuite::Sha256), ..credentials() };
    let error = pool.client(target.clone(), modern).power_state().await.unwrap_err();
    assert!(
        matches!(error, Error::Login { source: ClientError::NoMatchingCipherSuite { .. }, .. }),
        "{error:?}"
    );

    // This BMC says nothing to a user it does not know.
    let mut options = options();
    options.timing.connect = Duration::from_secs(3);
    let pool = IpmiPool::new(options);
    let nobody = Credentials { username: Username::new("nobody").unwrap(), ..credentials() };
    let error = pool.client(target, nobody).power_state().await.unwrap_err();
    let Error::LoginSilent { source: ClientError::Timeout { phase, .. }, .. } = &error else {
        panic!("{error:?}")
    };
    assert_eq!(*phase, Phase::Rakp1);
}
