//! What is in a machine, with the keys that in-band inspection and `poll.get_hardware_info` use.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The whole inventory.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Inventory {
    /// Network interfaces.
    #[serde(default)]
    pub interfaces: Vec<Interface>,
    /// Processors.
    #[serde(default)]
    pub cpu: Cpu,
    /// Disks.
    #[serde(default)]
    pub disks: Vec<Disk>,
    /// Memory.
    #[serde(default)]
    pub memory: Memory,
    /// IPv4 address of the BMC.
    #[serde(default)]
    pub bmc_address: Option<String>,
    /// IPv6 address of the BMC.
    #[serde(default)]
    pub bmc_v6address: Option<String>,
    /// Maker and model.
    #[serde(default)]
    pub system_vendor: SystemVendor,
    /// How the machine booted.
    #[serde(default)]
    pub boot: Boot,
    /// Host name of the ramdisk.
    #[serde(default)]
    pub hostname: Option<String>,
    /// MAC address of the BMC.
    #[serde(default)]
    pub bmc_mac: Option<String>,
    /// Keys of other agents.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// A network interface.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Interface {
    /// `eth0`.
    #[serde(default)]
    pub name: String,
    /// Lower-case, with colons.
    #[serde(default)]
    pub mac_address: Option<String>,
    /// First address.
    #[serde(default)]
    pub ipv4_address: Option<String>,
    /// First address that is not link-local, else the link-local one.
    #[serde(default)]
    pub ipv6_address: Option<String>,
    /// Whether a cable is in.
    #[serde(default)]
    pub has_carrier: Option<bool>,
    /// LLDP TLVs.
    #[serde(default)]
    pub lldp: Value,
    /// PCI vendor, `0x1af4`.
    #[serde(default)]
    pub vendor: Option<String>,
    /// PCI device, `0x1000`.
    #[serde(default)]
    pub product: Option<String>,
    /// `InfiniBand` client identifier.
    #[serde(default)]
    pub client_id: Option<String>,
    /// Name by the firmware.
    #[serde(default)]
    pub biosdevname: Option<String>,
    /// Mbit/s.
    #[serde(default)]
    pub speed_mbps: Option<u64>,
    /// `0000:00:03.0`.
    #[serde(default)]
    pub pci_address: Option<String>,
    /// Kernel driver.
    #[serde(default)]
    pub driver: Option<String>,
}

/// Processors.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Cpu {
    /// Marketing name.
    #[serde(default)]
    pub model_name: Option<String>,
    /// MHz, as text.
    #[serde(default)]
    pub frequency: Option<String>,
    /// Hardware threads.
    #[serde(default)]
    pub count: u64,
    /// `x86_64`.
    #[serde(default)]
    pub architecture: String,
    /// Feature flags.
    #[serde(default)]
    pub flags: Vec<String>,
    /// Sockets.
    #[serde(default)]
    pub socket_count: Option<u64>,
}

/// Memory.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Memory {
    /// Bytes that the kernel sees.
    #[serde(default)]
    pub total: u64,
    /// MiB of the modules, by the firmware's tables.
    #[serde(default)]
    pub physical_mb: Option<u64>,
}

/// A disk.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Disk {
    /// `/dev/sda`.
    #[serde(default)]
    pub name: String,
    /// Model.
    #[serde(default)]
    pub model: Option<String>,
    /// Bytes.
    #[serde(default)]
    pub size: u64,
    /// Whether it turns.
    #[serde(default)]
    pub rotational: Option<bool>,
    /// World wide name.
    #[serde(default)]
    pub wwn: Option<String>,
    /// Serial number.
    #[serde(default)]
    pub serial: Option<String>,
    /// Vendor.
    #[serde(default)]
    pub vendor: Option<String>,
    /// With the vendor's extension.
    #[serde(default)]
    pub wwn_with_extension: Option<String>,
    /// The extension alone.
    #[serde(default)]
    pub wwn_vendor_extension: Option<String>,
    /// SCSI address `0:0:0:0`.
    #[serde(default)]
    pub hctl: Option<String>,
    /// `/dev/disk/by-path/…`.
    #[serde(default)]
    pub by_path: Option<String>,
    /// Bytes of a logical sector.
    #[serde(default)]
    pub logical_sectors: Option<u64>,
    /// Bytes of a physical sector.
    #[serde(default)]
    pub physical_sectors: Option<u64>,
    /// `sata`, `nvme`, …
    #[serde(default)]
    pub tran: Option<String>,
}

/// Maker and model.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SystemVendor {
    /// Model.
    #[serde(default)]
    pub product_name: Option<String>,
    /// Serial number.
    #[serde(default)]
    pub serial_number: Option<String>,
    /// Maker.
    #[serde(default)]
    pub manufacturer: Option<String>,
    /// Firmware.
    #[serde(default)]
    pub firmware: Option<Firmware>,
}

/// The machine's firmware.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Firmware {
    /// Who made it.
    #[serde(default)]
    pub vendor: Option<String>,
    /// Which it is.
    #[serde(default)]
    pub version: Option<String>,
    /// `mm/dd/yyyy`.
    #[serde(default)]
    pub build_date: Option<String>,
}

/// How the machine booted.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Boot {
    /// `bios` or `uefi`.
    #[serde(default)]
    pub current_boot_mode: Option<String>,
    /// MAC address of the interface it booted from.
    #[serde(default)]
    pub pxe_interface: Option<String>,
}
