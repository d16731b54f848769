//! What is in the machine: processors, memory, interfaces, disks, maker, way of booting.

pub mod bmc;
pub mod dmi;
pub mod interfaces;
mod processor;

use crate::agent::Agent;
use agent_api::inventory::{Boot, Disk, Firmware, Inventory, Memory, SystemVendor};
use std::{fs, path::Path};

/// Everything there is to know. Reads hundreds of small files and asks the BMC: not for the thread that serves.
pub fn gather(agent: &Agent) -> Inventory {
    let tables = dmi::Tables::of_machine();
    let disks = agent.disks.list().unwrap_or_else(|error| {
        tracing::warn!("disks: {}", crate::console::chain(&error));
        Vec::new()
    });
    let bmc = if knows_the_bmc(agent) { bmc::BmcAddresses::default() } else { bmc::of_machine() };
    Inventory {
        interfaces: interfaces::all(),
        cpu: processor::all(&tables),
        disks: disks.into_iter().map(disk).collect(),
        memory: Memory { total: memory_total(), physical_mb: tables.memory_mb() },
        bmc_address: bmc.ipv4.map(|address| address.to_string()),
        bmc_v6address: bmc.ipv6.map(|address| address.to_string()),
        system_vendor: vendor(&tables),
        boot: Boot {
            current_boot_mode: Some(boot_mode().to_owned()),
            pxe_interface: agent.parameters.boot_mac.clone(),
        },
        hostname: rustix::system::uname().nodename().to_str().ok().map(str::to_owned),
        bmc_mac: bmc.mac,
        other: serde_json::Map::new(),
    }
}

/// Whether the conductor has said that it knows where the BMC is, and does not want it asked.
fn knows_the_bmc(agent: &Agent) -> bool {
    agent.identity().is_some_and(|identity| identity.lookup.config.agent_skip_bmc_detect)
}

/// `uefi` or `bios`, by how the kernel was started.
pub fn boot_mode() -> &'static str {
    if Path::new("/sys/firmware/efi").exists() { "uefi" } else { "bios" }
}

fn disk(found: disk::DiskInfo) -> Disk {
    Disk {
        name: found.name,
        model: found.model,
        size: found.size,
        rotational: Some(found.rotational),
        wwn: found.wwn,
        serial: found.serial,
        vendor: found.vendor,
        wwn_with_extension: found.wwn_with_extension,
        wwn_vendor_extension: found.wwn_vendor_extension,
        hctl: found.hctl,
        by_path: found.by_path,
        logical_sectors: found.logical_sectors.map(u64::from),
        physical_sectors: found.physical_sectors.map(u64::from),
        tran: found.tran,
    }
}

fn vendor(tables: &dmi::Tables) -> SystemVendor {
    let firmware = Firmware {
        vendor: tables.firmware_vendor(),
        version: tables.firmware_version(),
        build_date: tables.firmware_date(),
    };
    SystemVendor {
        product_name: tables.product_name(),
        serial_number: tables.serial_number(),
        manufacturer: tables.manufacturer(),
        firmware: Some(firmware),
    }
}

/// Bytes that the kernel has to give.
fn memory_total() -> u64 {
    let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let kib: u64 = line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0);
    kib * 1024
}
