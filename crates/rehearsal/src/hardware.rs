//! What the drivers of a rehearsed node plan and offer: a machine with an agent in a ramdisk, or one that only pretends.

use model::{InterfaceKind, JsonObject, Node};
use provision::flow::{clean, deploy, inspect, rescue, service};
use provision::{OfferedStep, OnRestart, PlannedStep, Plans, RequestedStep, StepError, StepList, Wish};

/// Drivers that offer a step that goes on by itself and one that does not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hardware {
    /// Whether the site cleans automatically, where the node does not say.
    pub cleans: bool,
    /// Whether there is a ramdisk; without one, everything only pretends, as the `fake` interfaces do.
    pub ramdisk: bool,
    /// What the site's runbook says about automated cleaning; `None` runs what drivers offer.
    pub runbook: Result<Option<Wish>, StepError>,
}

impl Default for Hardware {
    fn default() -> Self {
        Self { cleans: true, ramdisk: true, runbook: Ok(None) }
    }
}

impl Hardware {
    /// The same on a site whose runbook says how nodes are cleaned.
    #[must_use]
    pub fn with_runbook(self) -> Self {
        let step = |interface: &str, step: &str| RequestedStep {
            interface: interface.to_owned(),
            step: step.to_owned(),
            args: JsonObject::default(),
            priority: 0,
            children: None,
        };
        let mut steps = vec![step("vendor", "log_passthrough"), step("bios", "apply_defaults")];
        if self.ramdisk {
            steps.insert(1, step("deploy", "erase_devices_metadata"));
        }
        Self { runbook: Ok(Some(Wish { steps, ..Wish::default() })), ..self }
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

    fn runbook(&self, _node: &Node) -> Result<Option<Wish>, StepError> {
        self.runbook.clone()
    }

    fn offered(&self, _node: &Node, list: StepList) -> Vec<OfferedStep> {
        let log = OfferedStep::new(list, InterfaceKind::Vendor, "log_passthrough");
        match list {
            StepList::Service => vec![
                log,
                OfferedStep {
                    on_restart: OnRestart::Poll,
                    requires_ramdisk: false,
                    ..OfferedStep::new(list, InterfaceKind::Firmware, "update")
                },
            ],
            StepList::Deploy => Vec::new(),
            StepList::Verify => vec![OfferedStep {
                priority: 1,
                ..OfferedStep::new(list, InterfaceKind::Management, "verify_clock")
            }],
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
