//! Serves a machine of memory as a BMC, to try consoles on: `cargo run -p bmc --example bmc -- 127.0.0.1:6230`, then
//! `ipmitool -I lanplus -H 127.0.0.1 -p 6230 -U admin -P secret power status`.

use bmc::emulator::IpmiServer;
use ipmi::command::Guid;
use ipmi::command::app::DeviceId;
use ipmi::command::boot::BootFlags;
use ipmi::command::chassis::{ChassisControl, ChassisStatus};
use ipmi::server::{Chassis, ServerConfig, User};
use ipmi::{CompletionCode, Password, Privilege, Username};
use std::error::Error;

struct Machine {
    power_on: bool,
    flags: BootFlags,
}

impl Chassis for Machine {
    fn status(&mut self) -> ChassisStatus {
        ChassisStatus { power_on: self.power_on, ..ChassisStatus::default() }
    }

    fn control(&mut self, control: ChassisControl) -> Result<(), CompletionCode> {
        match control {
            ChassisControl::PowerUp => self.power_on = true,
            ChassisControl::PowerDown | ChassisControl::SoftShutdown => self.power_on = false,
            _ if !self.power_on => return Err(CompletionCode::NotInThisState),
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
        Guid::from_uuid(*b"\x12\x34\x56\x78\x9a\xbc\x4d\xef\x81\x23\x45\x67\x89\xab\xcd\xef")
    }

    fn device_id(&self) -> DeviceId {
        DeviceId { device_id: 32, firmware_major: 1, ipmi_version: (2, 0), ..DeviceId::default() }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:6230".to_owned()).parse()?;
    let users = vec![User {
        name: Username::new("admin")?,
        password: Password::new("secret")?,
        max_privilege: Privilege::Administrator,
    }];
    let config = ServerConfig { users, ..ServerConfig::default() };
    let machine = Machine { power_on: false, flags: BootFlags::default() };
    let server = IpmiServer::bind(address, config, machine).await?;
    tokio::signal::ctrl_c().await?;
    server.shutdown().await;
    Ok(())
}
