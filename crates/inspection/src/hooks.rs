//! Hooks: what inspection data change about a node and its ports, one concern each, in the order of the configuration.
//!
//! First every hook of the list checks and completes the data, then every hook changes the machine.

mod interfaces;
mod link;
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
}

impl Hook {
    /// Every hook, by name.
    pub const ALL: [(&'static str, Self); 11] = [
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

/// A kind of device that is counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PciAlias {
    /// As `8086`.
    pub vendor_id: String,
    /// As `1583`.
    pub product_id: String,
    /// The capability that says how many there are.
    pub name: String,
}

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
            Hook::PciDevices => properties::pci_devices(&options.pci_aliases, machine),
            Hook::LocalLinkConnection => link::connections(machine),
            Hook::PhysicalNetwork => interfaces::physical_networks(&options.physical_networks, machine),
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
