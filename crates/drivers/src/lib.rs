//! The shipped drivers: one folder per hardware interface, and the table of hardware types that combines them.

pub mod bios;
pub mod boot;
pub mod console;
pub mod deploy;
pub mod firmware;
pub mod inspect;
pub mod management;
pub mod network;
pub mod power;
pub mod raid;
pub mod rescue;
pub mod vendor;

mod agents;
mod hardware_types;
mod ipmi_access;
mod redfish_access;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use driver::Registry;
use images::ImageCache;
use model::InterfaceKind;

pub use agents::Agents;
pub use hardware_types::{CannotOffer, HARDWARE_TYPES, InterfaceChoice};
pub use management::redfish::RedfishOptions;

/// Sessions with BMCs, by protocol. Whoever makes them ends them.
#[derive(Debug, Clone)]
pub struct Bmcs {
    /// IPMI over LAN.
    pub ipmi: bmc::IpmiPool,
    /// Redfish.
    pub redfish: bmc::redfish::RedfishPool,
}

/// What the drivers need of the process.
#[derive(Debug, Clone)]
pub struct Options {
    /// Hardware types to offer.
    pub enabled_hardware_types: Vec<String>,
    /// Which implementations of interfaces to offer, and which are the defaults.
    pub interfaces: InterfaceChoice,
    /// Sessions with BMCs.
    pub bmcs: Bmcs,
    /// What the site says about Redfish.
    pub redfish: RedfishOptions,
    /// Verified images.
    pub images: ImageCache,
    /// Where machines fetch images from: images are below it by their key. Ends without a slash.
    pub images_url: String,
    /// Whether there are a kernel and a ramdisk to boot, and a server that gives them out.
    pub ramdisk_configured: bool,
    /// Where the agents' logs are kept.
    pub log_dir: PathBuf,
    /// Priorities in automated cleaning that replace the agents' own, by `interface.step`.
    pub step_priorities: BTreeMap<String, i64>,
}

/// Builds the registry of everything that this process offers.
pub fn registry(options: &Options) -> Result<Registry, CannotOffer> {
    let mut registry = Registry {
        hardware_types: hardware_types::enabled(&options.enabled_hardware_types, &options.interfaces)?,
        ..Registry::default()
    };
    let ipmi = Arc::new(ipmi_access::IpmiAccess::new(options.bmcs.ipmi.clone()));
    registry.power.insert("ipmitool", Arc::new(power::ipmi::IpmiPower::new(Arc::clone(&ipmi))));
    let redfish = Arc::new(redfish_access::RedfishAccess::new(options.bmcs.redfish.clone()));
    registry.power.insert("redfish", Arc::new(power::redfish::RedfishPower::new(Arc::clone(&redfish))));
    registry.power.insert("fake", Arc::new(power::fake::FakePower));
    let ipmi_vendor = Arc::new(vendor::ipmi::IpmiVendor::new(Arc::clone(&ipmi)));
    registry.vendor.insert("ipmitool", Arc::clone(&ipmi_vendor) as _);
    registry.steps.insert((InterfaceKind::Vendor, "ipmitool"), ipmi_vendor);
    registry.management.insert("ipmitool", Arc::new(management::ipmi::IpmiManagement::new(ipmi)));
    let redfish_management =
        Arc::new(management::redfish::RedfishManagement::new(redfish, options.redfish.clone()));
    registry.management.insert("redfish", Arc::clone(&redfish_management) as _);
    registry.steps.insert((InterfaceKind::Management, "redfish"), redfish_management);
    let fake_management = Arc::new(management::fake::FakeManagement::default());
    registry.management.insert("noop", Arc::new(management::noop::NoManagement));
    registry.management.insert("fake", fake_management);
    registry.boot.insert("ipxe", Arc::new(boot::ipxe::IpxeBoot::new(options.ramdisk_configured)));
    registry.boot.insert("fake", Arc::new(boot::fake::FakeBoot));
    registry.deploy.insert("direct", Arc::new(deploy::direct::DirectDeploy::new(options)));
    registry.deploy.insert("fake", Arc::new(deploy::fake::FakeDeploy));
    registry.network.insert("noop", Arc::new(network::noop::NoNetwork));
    register_optional(&mut registry);
    Ok(registry)
}

/// The interfaces that a node can do without and that need nothing of the process.
fn register_optional(registry: &mut Registry) {
    registry.bios.insert("fake", Arc::new(bios::fake::FakeBios));
    registry.steps.insert((InterfaceKind::Bios, "fake"), Arc::new(bios::fake::FakeBios));
    registry.console.insert("fake", Arc::new(console::fake::FakeConsole));
    registry.firmware.insert("fake", Arc::new(firmware::fake::FakeFirmware));
    registry.steps.insert((InterfaceKind::Firmware, "fake"), Arc::new(firmware::fake::FakeFirmware));
    registry.inspect.insert("agent", Arc::new(inspect::agent::AgentInspect));
    registry.inspect.insert("fake", Arc::new(inspect::fake::FakeInspect));
    registry.raid.insert("fake", Arc::new(raid::FakeRaid));
    registry.raid.insert("agent", Arc::new(raid::AgentRaid));
    registry.rescue.insert("agent", Arc::new(rescue::agent::AgentRescue));
    registry.rescue.insert("fake", Arc::new(rescue::fake::FakeRescue));
    registry.vendor.insert("fake", Arc::new(vendor::fake::FakeVendor));
    registry.steps.insert((InterfaceKind::Vendor, "fake"), Arc::new(vendor::fake::FakeVendor));
}
