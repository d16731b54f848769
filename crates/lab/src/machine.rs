//! What a lab's machine is made of. Plain data; nothing here starts anything.

use serde::{Deserialize, Serialize};
use std::net::Ipv4Addr;
use uuid::Uuid;

/// How a machine boots.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Firmware {
    /// `SeaBIOS` with iPXE in the network card's ROM.
    Bios,
    /// OVMF with its own PXE client.
    Uefi,
}

impl Firmware {
    /// As in the capability `boot_mode`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Bios => "bios",
            Self::Uefi => "uefi",
        }
    }
}

/// One machine: its hardware, and how to reach its BMC.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct MachineSpec {
    /// `vm0`, `vm1`, ...
    pub name: String,
    /// System UUID, as SMBIOS and the BMC tell it.
    pub uuid: Uuid,
    /// Of its one network card, lower case.
    pub mac: String,
    /// The host's end of its cable.
    pub tap: String,
    /// The BMC's address: IPMI on UDP 623, Redfish on TCP 8000.
    pub bmc: Ipv4Addr,
    /// BMC login.
    pub user: String,
    /// BMC password. No secret: the lab's BMCs are reachable from inside the lab alone.
    pub password: String,
    /// What it boots with, until its BMC is told otherwise.
    pub firmware: Firmware,
    /// Memory in MiB.
    pub memory_mib: u32,
    /// Size of its disk in GiB; takes no space until written.
    pub disk_gib: u32,
    /// Virtual processors. Under emulation one is as fast as two.
    pub cpus: u32,
    /// Serial number of the system; the disk's is this with `-0` appended.
    pub serial: String,
}

impl MachineSpec {
    /// Machine number `index` (0 to 80) with the lab's usual hardware: 1 GiB of memory, 8 GiB of disk, one processor.
    pub fn numbered(index: u8, firmware: Firmware) -> Self {
        let name = format!("vm{index}");
        Self {
            uuid: Uuid::new_v5(&Uuid::NAMESPACE_DNS, format!("{name}.lab").as_bytes()),
            mac: format!("52:54:00:22:00:{index:02x}"),
            tap: format!("tap{index}"),
            bmc: Ipv4Addr::new(172, 22, 0, 10 + index),
            user: "admin".to_owned(),
            password: "password".to_owned(),
            firmware,
            memory_mib: 1024,
            disk_gib: 8,
            cpus: 1,
            serial: format!("LAB{index:04}"),
            name,
        }
    }

    /// The Redfish system's path on its BMC.
    pub fn redfish_system(&self) -> String {
        format!("/redfish/v1/Systems/{}", self.uuid)
    }

    /// The Redfish service's address.
    pub fn redfish_address(&self) -> String {
        format!("http://{}:8000", self.bmc)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn no_two_machines_share_anything() {
        let all: Vec<MachineSpec> =
            (0..80).map(|index| MachineSpec::numbered(index, Firmware::Bios)).collect();
        for key in [
            |m: &MachineSpec| m.mac.clone(),
            |m: &MachineSpec| m.uuid.to_string(),
            |m: &MachineSpec| m.bmc.to_string(),
            |m: &MachineSpec| m.tap.clone(),
            |m: &MachineSpec| m.serial.clone(),
        ] {
            assert_eq!(all.iter().map(key).collect::<HashSet<_>>().len(), all.len());
        }
    }

    #[test]
    fn the_emulator_reads_these_names() {
        let spec = serde_json::to_value(MachineSpec::numbered(1, Firmware::Uefi)).unwrap();
        assert_eq!(spec["firmware"], "uefi");
        assert_eq!(spec["bmc"], "172.22.0.11");
        assert_eq!(spec["mac"], "52:54:00:22:00:01");
    }
}
