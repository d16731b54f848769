//! A machine of memory behind an emulated BMC, and the credentials of its administrator.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, reason = "included by several test binaries")]

use bmc::emulator::IpmiServer;
use bmc::{Credentials, IpmiClient, IpmiPool, Options, Target};
use ipmi::command::Guid;
use ipmi::command::app::DeviceId;
use ipmi::command::boot::BootFlags;
use ipmi::command::chassis::{ChassisControl, ChassisStatus};
use ipmi::server::{Chassis, ServerConfig, User};
use ipmi::{CompletionCode, Password, Privilege, Username};
use std::net::SocketAddr;
use std::time::Duration;

pub const USER: &str = "admin";
pub const PASSWORD: &str = "secret";
/// The GUID in canonical order.
pub const UUID: [u8; 16] =
    [0x12, 0x34, 0x56, 0x78, 0x9a, 0xbc, 0x4d, 0xef, 0x81, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef];

#[derive(Debug, Default)]
pub struct Machine {
    pub power_on: bool,
    pub controls: Vec<ChassisControl>,
    pub flags: BootFlags,
    /// How many times the status must be asked before a power-on shows.
    pub slow: u32,
    pub pending_on: Option<u32>,
    /// How many more commands are answered with "busy".
    pub busy: u32,
    pub asked: u32,
}

impl Chassis for Machine {
    fn status(&mut self) -> ChassisStatus {
        self.asked += 1;
        if let Some(left) = &mut self.pending_on {
            if *left == 0 {
                self.power_on = true;
                self.pending_on = None;
            } else {
                *left -= 1;
            }
        }
        ChassisStatus { power_on: self.power_on, ..ChassisStatus::default() }
    }

    fn control(&mut self, control: ChassisControl) -> Result<(), CompletionCode> {
        if self.busy > 0 {
            self.busy -= 1;
            return Err(CompletionCode::NodeBusy);
        }
        self.controls.push(control);
        match control {
            ChassisControl::PowerUp => self.pending_on = Some(self.slow),
            ChassisControl::PowerDown | ChassisControl::SoftShutdown => self.power_on = false,
            ChassisControl::PowerCycle | ChassisControl::HardReset if !self.power_on => {
                return Err(CompletionCode::NotInThisState);
            }
            _ => {}
        }
        Ok(())
    }

    fn boot_flags(&mut self) -> BootFlags {
        self.flags
    }

    fn set_boot_flags(&mut self, flags: BootFlags) -> Result<(), CompletionCode> {
        self.flags = flags;
        Ok(())
    }

    fn guid(&self) -> Guid {
        Guid::from_uuid(UUID)
    }

    fn device_id(&self) -> DeviceId {
        DeviceId {
            device_id: 32,
            device_revision: 1,
            firmware_major: 2,
            firmware_minor: 0x45,
            ipmi_version: (2, 0),
            manufacturer: 0x2A7C,
            product: 0x1234,
            ..DeviceId::default()
        }
    }
}

pub fn users(password: &str) -> Vec<User> {
    vec![User {
        name: Username::new(USER).unwrap(),
        password: Password::new(password).unwrap(),
        max_privilege: Privilege::Administrator,
    }]
}

pub fn server_config() -> ServerConfig {
    ServerConfig { users: users(PASSWORD), ..ServerConfig::default() }
}

pub fn credentials() -> Credentials {
    Credentials::new(Username::new(USER).unwrap(), Password::new(PASSWORD).unwrap())
}

pub fn target(address: SocketAddr) -> Target {
    Target::with_port(address.ip().to_string(), address.port())
}

pub async fn machine() -> IpmiServer<Machine> {
    machine_at("127.0.0.1:0").await
}

pub async fn machine_at(address: &str) -> IpmiServer<Machine> {
    IpmiServer::bind(address.parse().unwrap(), server_config(), Machine::default()).await.unwrap()
}

/// Patience for tests on a loaded host: quick retries, long deadlines.
pub fn options() -> Options {
    let mut options = Options::default();
    options.timing.first_retry = Duration::from_millis(200);
    options.timing.longest_retry = Duration::from_secs(1);
    options
}

pub fn client_of(pool: &IpmiPool, server: &IpmiServer<Machine>) -> IpmiClient {
    pool.client(target(server.local_addr()), credentials())
}

/// The error with all its sources.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        text = format!("{text}: {source}");
        next = source.source();
    }
    text
}
