//! Hooks: what inspection data change about a node and its ports, one concern each, in the order of the configuration.
//!
//! First every hook of the list checks and completes the data, then every hook changes the machine.

mod devices;
mod disks;
mod extra;
mod interfaces;
mod link;
mod lldp;
mod properties;

use std::collections::{BTreeMap, BTreeSet};

use ipnet::IpNet;
use model::{MacAddr, Node, Port, Timestamp};
use serde_json::{Map, Value};

/// Which interfaces get a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AddPorts {
    /// All.
    All,
    /// Those with an address.
    Active,
    /// The one that the machine booted from; all with an address where that is not known.
    #[default]
    Pxe,
    /// None.
    Disabled,
}

/// Which ports stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum KeepPorts {
    /// All.
    #[default]
    All,
    /// Those whose interface the machine has.
    Present,
    /// Those whose interface would get a port.
    Added,
}

/// A hook.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hook {
    /// An error that the ramdisk reports fails the inspection.
    RamdiskError,
    /// Sorts out the interfaces; those that use them need it before them.
    ValidateInterfaces,
    /// Makes, changes and removes ports.
    Ports,
    /// `properties.cpu_arch`.
    Architecture,
    /// `properties.cpus`.
    Cpus,
    /// `properties.memory_mb`.
    Memory,
    /// The capability `boot_mode`.
    BootMode,
    /// Capabilities for features of the processor.
    CpuCapabilities,
    /// Capabilities that count devices.
    PciDevices,
    /// `local_link_connection` of ports, from what switches say of themselves.
    LocalLinkConnection,
    /// `physical_network` of ports, from their addresses.
    PhysicalNetwork,
    /// `properties.accelerators`: known devices with their addresses.
    Accelerators,
    /// `data` of the plug-in data, a list of rows, becomes `extra`, an object.
    ExtraHardware,
    /// What switches say of themselves becomes `parsed_lldp` of the plug-in data.
    ParseLldp,
    /// `properties.root_device`: the one disk that was not there at the inspection before.
    RaidDevice,
    /// `properties.local_gb`: the size of the root disk, by the node's hints.
    RootDevice,
}

impl Hook {
    /// Every hook, by name.
    pub const ALL: [(&'static str, Self); 16] = [
        ("ramdisk-error", Self::RamdiskError),
        ("validate-interfaces", Self::ValidateInterfaces),
        ("ports", Self::Ports),
        ("architecture", Self::Architecture),
        ("cpus", Self::Cpus),
        ("memory", Self::Memory),
        ("boot-mode", Self::BootMode),
        ("cpu-capabilities", Self::CpuCapabilities),
        ("pci-devices", Self::PciDevices),
        ("local-link-connection", Self::LocalLinkConnection),
        ("physical-network", Self::PhysicalNetwork),
        ("accelerators", Self::Accelerators),
        ("extra-hardware", Self::ExtraHardware),
        ("parse-lldp", Self::ParseLldp),
        ("raid-device", Self::RaidDevice),
        ("root-device", Self::RootDevice),
    ];

    /// The hook of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|(known, _)| *known == name).map(|(_, hook)| hook)
    }

    /// Whether it needs `validate-interfaces` before it.
    pub fn needs_interfaces(self) -> bool {
        matches!(self, Self::Ports | Self::LocalLinkConnection | Self::PhysicalNetwork)
    }
}

/// A kind of PCI device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PciDevice {
    /// As `8086`.
    pub vendor_id: String,
    /// As `1583`.
    pub product_id: String,
}

impl PciDevice {
    /// From both numbers, as `8086` and `1583`.
    pub fn new(vendor_id: &str, product_id: &str) -> Self {
        Self { vendor_id: vendor_id.to_owned(), product_id: product_id.to_owned() }
    }
}

/// A kind of device that is counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PciAlias {
    /// Which it is.
    pub device: PciDevice,
    /// The capability that says how many there are.
    pub name: String,
}

/// A kind of device that computes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accelerator {
    /// Which it is.
    pub device: PciDevice,
    /// `GPU` or `FPGA`.
    pub kind: String,
    /// Its name.
    pub info: String,
}

/// Accelerators that are known without configuration, all of NVIDIA: device, name.
const GPUS: [(&str, &str); 6] = [
    ("1eb8", "Tesla T4"),
    ("1df6", "GV100GL"),
    ("2236", "A10"),
    ("2235", "A40"),
    ("26b9", "L40S"),
    ("26ba", "L20"),
];

/// What an operator may turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// What is done, in order.
    pub hooks: Vec<Hook>,
    /// Which interfaces get a port.
    pub add_ports: AddPorts,
    /// Which ports stay.
    pub keep_ports: KeepPorts,
    /// Whether the port that the machine booted from, and no other, gets `pxe_enabled`.
    pub update_pxe_enabled: bool,
    /// Devices that are counted.
    pub pci_aliases: Vec<PciAlias>,
    /// Networks and what they are called.
    pub physical_networks: Vec<(IpNet, String)>,
    /// Features of a processor, and the capability that each becomes.
    pub cpu_capabilities: BTreeMap<String, String>,
    /// Devices that are accelerators.
    pub accelerators: Vec<Accelerator>,
    /// Whether rows of `data` that are not of four parts make all of it unusable.
    pub strict_extra_hardware: bool,
    /// Whether `local_gb` leaves one GiB of the root disk for partition tables.
    pub disk_spacing: bool,
}

impl Default for Options {
    fn default() -> Self {
        let features = [
            ("vmx", "cpu_vt"),
            ("svm", "cpu_vt"),
            ("aes", "cpu_aes"),
            ("pse", "cpu_hugepages"),
            ("pdpe1gb", "cpu_hugepages_1g"),
            ("smx", "cpu_txt"),
        ];
        Self {
            hooks: vec![Hook::RamdiskError, Hook::ValidateInterfaces, Hook::Ports, Hook::Architecture],
            add_ports: AddPorts::default(),
            keep_ports: KeepPorts::default(),
            update_pxe_enabled: true,
            pci_aliases: Vec::new(),
            physical_networks: Vec::new(),
            cpu_capabilities: features.map(|(flag, name)| (flag.to_owned(), name.to_owned())).into(),
            accelerators: GPUS
                .map(|(product, name)| Accelerator {
                    device: PciDevice::new("10de", product),
                    kind: "GPU".to_owned(),
                    info: format!("NVIDIA Corporation {name}"),
                })
                .into(),
            strict_extra_hardware: false,
            disk_spacing: true,
        }
    }
}

/// A machine that was inspected, and what is known of it.
#[derive(Debug, Clone)]
pub struct Machine {
    /// The node.
    pub node: Node,
    /// Its ports; new ones have the row number 0.
    pub ports: Vec<Port>,
    /// Addresses of the inventory that are ports of other nodes.
    pub taken: BTreeSet<MacAddr>,
    /// What the ramdisk found.
    pub inventory: Map<String, Value>,
    /// What was found at the inspection before, where it is known.
    pub previous: Option<Map<String, Value>>,
    /// Whatever else it said, and what the hooks made of it.
    pub plugin_data: Map<String, Value>,
    /// When it was inspected.
    pub now: Timestamp,
}

/// Why inspection data are not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HookError {
    /// The ramdisk says so.
    #[error("the ramdisk reported an error: {0}")]
    Ramdisk(String),
    /// They do not say what they should.
    #[error("the inventory is not usable: {0}")]
    Inventory(&'static str),
    /// No interface gets a port.
    #[error("no network interface matches the configuration (add_ports is {0:?})")]
    NoInterface(AddPorts),
    /// The node's hints do not lead to a disk.
    #[error("the root disk cannot be told: {0}")]
    RootDevice(String),
}

/// Runs the hooks.
///
/// # Errors
/// The machine is then in the middle of things and to be thrown away.
pub fn run(options: &Options, machine: &mut Machine) -> Result<(), HookError> {
    for hook in &options.hooks {
        match hook {
            Hook::RamdiskError => ramdisk_error(machine)?,
            Hook::ValidateInterfaces => interfaces::validate(options.add_ports, machine)?,
            _ => {}
        }
    }
    for hook in &options.hooks {
        match hook {
            Hook::RamdiskError | Hook::ValidateInterfaces => {}
            Hook::Ports => interfaces::change_ports(options, machine),
            Hook::Architecture => properties::architecture(machine)?,
            Hook::Cpus => properties::cpus(machine),
            Hook::Memory => properties::memory(machine)?,
            Hook::BootMode => properties::boot_mode(machine),
            Hook::CpuCapabilities => properties::cpu_capabilities(&options.cpu_capabilities, machine),
            Hook::PciDevices => devices::count(&options.pci_aliases, machine),
            Hook::LocalLinkConnection => link::connections(machine),
            Hook::PhysicalNetwork => interfaces::physical_networks(&options.physical_networks, machine),
            Hook::Accelerators => devices::accelerators(&options.accelerators, machine),
            Hook::ExtraHardware => extra::hardware(options.strict_extra_hardware, machine),
            Hook::ParseLldp => lldp::parse(&machine.inventory, &mut machine.plugin_data),
            Hook::RaidDevice => disks::raid_device(machine),
            Hook::RootDevice => disks::root_device(options.disk_spacing, machine)?,
        }
    }
    Ok(())
}

fn ramdisk_error(machine: &Machine) -> Result<(), HookError> {
    match machine.plugin_data.get("error") {
        None | Some(Value::Null) => Ok(()),
        Some(Value::String(text)) if text.is_empty() => Ok(()),
        Some(Value::String(text)) => Err(HookError::Ramdisk(text.chars().take(1000).collect())),
        Some(other) => Err(HookError::Ramdisk(other.to_string().chars().take(1000).collect())),
    }
}
