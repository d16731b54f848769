//! What the drivers of a rehearsed node plan and offer: a machine with an agent in a ramdisk, or one that only pretends.

use model::{InterfaceKind, Node};
use provision::flow::{clean, deploy, inspect, rescue, service};
use provision::{OfferedStep, OnRestart, PlannedStep, Plans, StepList};

/// Drivers that offer a step that goes on by itself and one that does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hardware {
    /// Whether the site cleans automatically, where the node does not say.
    pub cleans: bool,
    /// Whether there is a ramdisk; without one, everything only pretends, as the `fake` interfaces do.
    pub ramdisk: bool,
}

impl Default for Hardware {
    fn default() -> Self {
        Self { cleans: true, ramdisk: true }
    }
}

impl Plans for Hardware {
    fn deploy(&self, _node: &Node) -> Vec<PlannedStep> {
        if self.ramdisk { deploy::direct() } else { deploy::pretend() }
    }

    fn clean(&self, _node: &Node) -> Vec<PlannedStep> {
        if self.ramdisk { clean::in_band() } else { clean::none() }
    }

    fn cleans(&self, node: &Node) -> bool {
        node.automated_clean.unwrap_or(self.cleans)
    }

    fn offered(&self, _node: &Node, list: StepList) -> Vec<OfferedStep> {
        let log = OfferedStep::new(list, InterfaceKind::Vendor, "log_passthrough");
        match list {
            StepList::Service => vec![log],
            StepList::Deploy => Vec::new(),
            StepList::Clean => {
                let settings = OfferedStep {
                    priority: 50,
                    on_restart: OnRestart::Poll,
                    ..OfferedStep::new(list, InterfaceKind::Bios, "apply_defaults")
                };
                vec![settings, OfferedStep { priority: 1, ..log }]
            }
        }
    }

    fn service(&self, _node: &Node) -> Vec<PlannedStep> {
        if self.ramdisk { service::in_band() } else { Vec::new() }
    }

    fn rescue(&self, _node: &Node) -> Vec<PlannedStep> {
        if self.ramdisk { rescue::in_band() } else { rescue::pretend() }
    }

    fn unrescue(&self, _node: &Node) -> Vec<PlannedStep> {
        if self.ramdisk { rescue::leave() } else { rescue::pretend() }
    }

    fn inspect(&self, _node: &Node) -> Vec<PlannedStep> {
        if self.ramdisk { inspect::in_band() } else { inspect::out_of_band() }
    }
}
