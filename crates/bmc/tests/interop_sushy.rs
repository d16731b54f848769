//! Our Redfish client against the service of sushy-tools, which others wrote.
#![allow(clippy::unwrap_used, reason = "set-up of tests")]

#[path = "support/interop.rs"]
mod interop;

use bmc::redfish::{
    Address, Auth, Credentials, Error, Options, Password, RedfishClient, RedfishPool, SystemId, Verify,
};
use bmc::{PowerState as Power, Retry};
use interop::{PYTHON, start};
use redfish::{BootMode, BootTarget, Override, PowerState, ResetType};
use std::time::Duration;
use tempfile::TempDir;
use tokio::process::Child;

/// The machine that sushy-tools' driver makes up.
const SYSTEM: &str = "/redfish/v1/Systems/27946b59-9e44-4fa7-8e91-f3527a1ef094";
const LIMIT: Duration = Duration::from_secs(30);

struct Service {
    _server: Child,
    _state: TempDir,
    port: u16,
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

async fn service(tls: Option<(&str, &str)>) -> Service {
    let _installed_before = rustls::crypto::ring::default_provider().install_default();
    let state = TempDir::new().unwrap();
    let port = free_port();
    let folder = state.path().to_str().unwrap().to_owned();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/sushy_bmc.py");
    let mut arguments = vec![script.to_owned(), "127.0.0.1".to_owned(), port.to_string(), folder.clone()];
    if let Some((certificate, key)) = tls {
        for (name, pem) in [("bmc.crt", certificate), ("bmc.key", key)] {
            let path = format!("{folder}/{name}");
            std::fs::write(&path, pem).unwrap();
            arguments.push(path);
        }
    }
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    Service { _server: start(PYTHON, &arguments).await, _state: state, port }
}

impl Service {
    fn client(&self, credentials: Credentials, system: Option<&str>) -> RedfishClient {
        let address = Address::parse(&format!("http://127.0.0.1:{}", self.port)).unwrap();
        let system = system.map(|id| SystemId::parse(id).unwrap());
        RedfishPool::new(Options::default()).client(address, credentials, system)
    }
}

fn admin() -> Credentials {
    Credentials {
        username: Some("admin".into()),
        password: Password::new("password"),
        ..Credentials::default()
    }
}

#[tokio::test]
async fn a_machines_life() {
    let service = service(None).await;
    let client = service.client(admin(), None);
    assert_eq!(client.power_state().await.unwrap(), PowerState::Off);
    client.reset(ResetType::On).await.unwrap();
    client.wait_for_power_state(Power::On, LIMIT).await.unwrap();
    client.reset(ResetType::ForceRestart).await.unwrap();
    client.wait_for_power_state(Power::On, LIMIT).await.unwrap();
    client.reset(ResetType::GracefulShutdown).await.unwrap();
    client.wait_for_power_state(Power::Off, LIMIT).await.unwrap();
    let (root, system) = client.facts().await.unwrap();
    assert_eq!(root.redfish_version.as_deref(), Some("1.5.0"));
    assert_eq!(system.manufacturer.as_deref(), Some("Sushy Emulator"));
    assert_eq!(system.health.as_deref(), Some("OK"));
}

#[tokio::test]
async fn boot_devices_and_modes_are_kept() {
    let service = service(None).await;
    let client = service.client(admin(), Some(SYSTEM));
    for (target, enabled) in [
        (BootTarget::Pxe, Override::Once),
        (BootTarget::Hdd, Override::Continuous),
        (BootTarget::Cd, Override::Once),
    ] {
        let held = client.set_boot(target, enabled, Some(BootMode::Uefi)).await.unwrap();
        assert_eq!(held, enabled);
        let boot = client.boot().await.unwrap().unwrap();
        assert_eq!((boot.target, boot.enabled), (Some(target), Some(enabled)));
        assert_eq!(boot.mode, Some(BootMode::Uefi));
    }
    client.set_boot_mode(BootMode::Legacy).await.unwrap();
    let boot = client.boot().await.unwrap().unwrap();
    assert_eq!((boot.mode, boot.target), (Some(BootMode::Legacy), Some(BootTarget::Cd)));
    client.set_boot(BootTarget::Pxe, Override::Once, Some(BootMode::Uefi)).await.unwrap();
    assert_eq!(client.boot().await.unwrap().unwrap().mode, Some(BootMode::Uefi));
    let error = client.set_boot(BootTarget::Floppy, Override::Once, None).await.unwrap_err();
    assert!(matches!(&error, Error::Unsupported { offered, .. } if offered.contains("Pxe")), "{error:?}");
    client.set_secure_boot(true).await.unwrap();
    assert_eq!(client.secure_boot().await.unwrap().enabled, Some(true));
}

#[tokio::test]
async fn refusals_are_understood() {
    let service = service(None).await;
    let wrong = Credentials { password: Password::new("wrong"), ..admin() };
    let pool = RedfishPool::new(Options::default());
    let address = Address::parse(&format!("http://127.0.0.1:{}", service.port)).unwrap();
    let client = pool.client(address.clone(), wrong, None);
    let error = client.power_state().await.unwrap_err();
    assert!(matches!(error, Error::Login { .. }), "{error:?}");
    assert_eq!(error.retry(), Retry::NeedsOperator);
    let again = client.power_state().await.unwrap_err();
    assert!(matches!(again, Error::Remembered { .. }), "no second wrong password: {again:?}");
    pool.client(address.clone(), admin(), None)
        .power_state()
        .await
        .expect("another password is tried at once");

    let session = Credentials { auth: Auth::Session, ..admin() };
    let error = pool.client(address, session, None).power_state().await.unwrap_err();
    assert!(matches!(error, Error::NoSessions { .. }), "{error:?}");

    let client = service.client(admin(), Some("/redfish/v1/Systems/none"));
    let error = client.power_state().await.unwrap_err();
    assert!(error.to_string().contains(SYSTEM), "the systems there are: {error}");
    assert_eq!(error.retry(), Retry::NeedsOperator);
}

#[tokio::test]
async fn a_dead_bmc_is_told_from_a_live_one() {
    let service = service(None).await;
    let client = service.client(admin(), None);
    client.power_state().await.unwrap();
    drop(service);
    let mut errors = Vec::new();
    while errors.len() < 3 {
        if let Err(error) = client.power_state().await {
            errors.push(error);
        }
    }
    assert!(errors.iter().all(|error| error.retry() == Retry::Transient), "{errors:?}");
    assert!(matches!(errors[1], Error::Unreachable { .. }), "{errors:?}");
    assert!(matches!(errors[2], Error::Remembered { .. }), "{errors:?}");
}

#[tokio::test]
async fn certificates_are_verified_unless_told_otherwise() {
    let mut parameters = rcgen::CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    parameters.is_ca = rcgen::IsCa::ExplicitNoCa;
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = parameters.self_signed(&key).unwrap().pem();
    let service = service(Some((&certificate, &key.serialize_pem()))).await;
    let address = Address::parse(&format!("127.0.0.1:{}", service.port)).unwrap();
    let pool = RedfishPool::new(Options::default());
    let client = |verify| pool.client(address.clone(), Credentials { verify, ..admin() }, None);

    let error = client(Verify::System).power_state().await.unwrap_err();
    assert!(matches!(error, Error::Certificate { .. }), "{error:?}");
    assert_eq!(error.retry(), Retry::NeedsOperator);
    client(Verify::authorities(&certificate).unwrap()).power_state().await.unwrap();
    client(Verify::Nothing).power_state().await.unwrap();
    let (other, _) = {
        let key = rcgen::KeyPair::generate().unwrap();
        (
            rcgen::CertificateParams::new(vec!["127.0.0.1".to_owned()])
                .unwrap()
                .self_signed(&key)
                .unwrap()
                .pem(),
            key,
        )
    };
    let error = client(Verify::authorities(&other).unwrap()).power_state().await.unwrap_err();
    assert!(matches!(error, Error::Certificate { .. }), "{error:?}");
}
