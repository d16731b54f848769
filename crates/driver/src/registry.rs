//! Which implementation serves which interface of a node.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use model::{HardwareType, InterfaceKind, Node};

use crate::{
    Bios, Boot, Console, Deploy, Firmware, Inspect, Management, Network, Power, Raid, Rescue, Steps, Vendor,
};

/// The implementations that this process offers, by name, and the hardware types that combine them.
#[derive(Default)]
pub struct Registry {
    /// Hardware types, in alphabetical order.
    pub hardware_types: Vec<HardwareType>,
    /// Power implementations.
    pub power: BTreeMap<&'static str, Arc<dyn Power>>,
    /// Management implementations.
    pub management: BTreeMap<&'static str, Arc<dyn Management>>,
    /// Boot implementations.
    pub boot: BTreeMap<&'static str, Arc<dyn Boot>>,
    /// Deploy implementations.
    pub deploy: BTreeMap<&'static str, Arc<dyn Deploy>>,
    /// Network implementations.
    pub network: BTreeMap<&'static str, Arc<dyn Network>>,
    /// Inspect implementations; `no-inspect` is none.
    pub inspect: BTreeMap<&'static str, Arc<dyn Inspect>>,
    /// Rescue implementations; `no-rescue` is none.
    pub rescue: BTreeMap<&'static str, Arc<dyn Rescue>>,
    /// BIOS implementations.
    pub bios: BTreeMap<&'static str, Arc<dyn Bios>>,
    /// Firmware implementations.
    pub firmware: BTreeMap<&'static str, Arc<dyn Firmware>>,
    /// RAID implementations.
    pub raid: BTreeMap<&'static str, Arc<dyn Raid>>,
    /// Console implementations.
    pub console: BTreeMap<&'static str, Arc<dyn Console>>,
    /// Vendor implementations.
    pub vendor: BTreeMap<&'static str, Arc<dyn Vendor>>,
    /// The steps that implementations offer, by interface and name. Whoever has no steps has no row.
    pub steps: BTreeMap<(InterfaceKind, &'static str), Arc<dyn Steps>>,
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registry").field("hardware_types", &self.hardware_types).finish_non_exhaustive()
    }
}

/// A node names an implementation that this process does not have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "node {node} has {kind}_interface {chosen}, which no conductor has enabled; set it to one of those of driver {driver}"
)]
pub struct UnknownInterface {
    /// The node.
    pub node: String,
    /// The interface.
    pub kind: InterfaceKind,
    /// What the node names.
    pub chosen: String,
    /// The hardware type.
    pub driver: String,
}

/// The drivers of one node.
#[derive(Clone)]
pub struct Drivers {
    /// Power.
    pub power: Arc<dyn Power>,
    /// Management.
    pub management: Arc<dyn Management>,
    /// Boot.
    pub boot: Arc<dyn Boot>,
    /// Deploy.
    pub deploy: Arc<dyn Deploy>,
    /// Network.
    pub network: Arc<dyn Network>,
    /// Inspect, where the node has it.
    pub inspect: Option<Arc<dyn Inspect>>,
    /// Rescue, where the node has it.
    pub rescue: Option<Arc<dyn Rescue>>,
    /// Those of the node's interfaces that offer steps.
    pub steps: BTreeMap<InterfaceKind, Arc<dyn Steps>>,
}

impl fmt::Debug for Drivers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Drivers")
    }
}

fn find<T: ?Sized>(
    map: &BTreeMap<&'static str, Arc<T>>,
    node: &Node,
    kind: InterfaceKind,
) -> Result<Arc<T>, UnknownInterface> {
    let chosen = node.interfaces.get(kind).unwrap_or_default();
    map.get(chosen).cloned().ok_or_else(|| UnknownInterface {
        node: node.uuid.to_string(),
        kind,
        chosen: if chosen.is_empty() { "unset".to_owned() } else { chosen.to_owned() },
        driver: node.driver.clone(),
    })
}

/// As [`find`], for interfaces that a node can do without: none chosen, or `no-…`.
fn find_if_any<T: ?Sized>(
    map: &BTreeMap<&'static str, Arc<T>>,
    node: &Node,
    kind: InterfaceKind,
) -> Result<Option<Arc<T>>, UnknownInterface> {
    match node.interfaces.get(kind) {
        Some(chosen) if !chosen.starts_with("no-") => find(map, node, kind).map(Some),
        _ => Ok(None),
    }
}

impl Registry {
    /// The node's power interface: for those who need no other.
    pub fn power(&self, node: &Node) -> Result<Arc<dyn Power>, UnknownInterface> {
        find(&self.power, node, InterfaceKind::Power)
    }

    /// The node's BIOS interface, when it has one.
    pub fn bios(&self, node: &Node) -> Result<Option<Arc<dyn Bios>>, UnknownInterface> {
        find_if_any(&self.bios, node, InterfaceKind::Bios)
    }

    /// The node's firmware interface, when it has one.
    pub fn firmware(&self, node: &Node) -> Result<Option<Arc<dyn Firmware>>, UnknownInterface> {
        find_if_any(&self.firmware, node, InterfaceKind::Firmware)
    }

    /// The node's RAID interface, when it has one.
    pub fn raid(&self, node: &Node) -> Result<Option<Arc<dyn Raid>>, UnknownInterface> {
        find_if_any(&self.raid, node, InterfaceKind::Raid)
    }

    /// The node's console interface, when it has one.
    pub fn console(&self, node: &Node) -> Result<Option<Arc<dyn Console>>, UnknownInterface> {
        find_if_any(&self.console, node, InterfaceKind::Console)
    }

    /// The node's vendor interface, when it has one.
    pub fn vendor(&self, node: &Node) -> Result<Option<Arc<dyn Vendor>>, UnknownInterface> {
        find_if_any(&self.vendor, node, InterfaceKind::Vendor)
    }

    /// The drivers of `node`.
    pub fn drivers(&self, node: &Node) -> Result<Drivers, UnknownInterface> {
        Ok(Drivers {
            power: find(&self.power, node, InterfaceKind::Power)?,
            management: find(&self.management, node, InterfaceKind::Management)?,
            boot: find(&self.boot, node, InterfaceKind::Boot)?,
            deploy: find(&self.deploy, node, InterfaceKind::Deploy)?,
            network: find(&self.network, node, InterfaceKind::Network)?,
            inspect: find_if_any(&self.inspect, node, InterfaceKind::Inspect)?,
            rescue: find_if_any(&self.rescue, node, InterfaceKind::Rescue)?,
            steps: self.steps_of(node),
        })
    }

    /// What the node's interfaces offer as steps; interfaces without are left out.
    fn steps_of(&self, node: &Node) -> BTreeMap<InterfaceKind, Arc<dyn Steps>> {
        let of = |kind| {
            let chosen = node.interfaces.get(kind)?;
            let found = self.steps.iter().find(|((of, name), _)| *of == kind && *name == chosen);
            found.map(|(_, steps)| (kind, Arc::clone(steps)))
        };
        InterfaceKind::ALL.into_iter().filter_map(of).collect()
    }
}
