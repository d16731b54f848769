//! What callers want: a tenant on the node, and gone again, as often as the options say. On the way they do whatever the
//! state allows, and now and then what it does not.

use model::{JsonObject, PowerTarget, ProvisionState as S};
use provision::{RequestedStep, Verb, Wish, perform, perform_power};

use super::Life;
use crate::checker::Breach;
use crate::queue::Event;

/// What callers may ask of a node before they leave it alone, for each tenant.
const ACTS: u32 = 40;

/// How much they still want.
#[derive(Debug)]
pub(super) struct Caller {
    tenants: u32,
    acts: u32,
    hosted: bool,
}

impl Caller {
    pub(super) fn new(lives: u32) -> Self {
        Self { tenants: lives, acts: lives.saturating_mul(ACTS), hosted: false }
    }

    /// They have what they want, or gave up.
    pub(super) fn is_done(&self) -> bool {
        self.tenants == 0 || self.acts == 0
    }
}

/// What leads on from a state, by weight.
fn ways(state: S) -> &'static [(u32, Verb)] {
    match state {
        S::Enroll | S::CleanFailed => &[(1, Verb::Manage)],
        S::Manageable => &[(12, Verb::Provide), (2, Verb::Inspect), (3, Verb::Clean), (1, Verb::Adopt)],
        S::Available => &[(12, Verb::Active), (2, Verb::Deploy), (1, Verb::Manage)],
        S::Active => &[
            (10, Verb::Deleted),
            (2, Verb::Undeploy),
            (2, Verb::Rebuild),
            (3, Verb::Service),
            (3, Verb::Rescue),
        ],
        S::Rescue => &[(4, Verb::Unrescue), (1, Verb::Deleted), (1, Verb::Rescue)],
        S::AdoptFailed => &[(1, Verb::Manage), (1, Verb::Adopt)],
        S::InspectFailed => &[(2, Verb::Manage), (1, Verb::Inspect)],
        S::DeployFailed => &[(2, Verb::Active), (1, Verb::Rebuild), (2, Verb::Deleted)],
        S::Error => &[(2, Verb::Deleted), (1, Verb::Rebuild)],
        S::RescueFailed | S::UnrescueFailed => &[(2, Verb::Unrescue), (1, Verb::Rescue), (1, Verb::Deleted)],
        S::ServiceFailed => &[(2, Verb::Service), (2, Verb::Abort), (1, Verb::Rescue), (1, Verb::Deleted)],
        S::CleanHold | S::DeployHold | S::ServiceHold => &[(4, Verb::Unhold), (1, Verb::Abort)],
        _ => &[],
    }
}

fn step(label: &str, args: &str, priority: i64) -> RequestedStep {
    let (interface, step) = label.split_once('.').unwrap_or(("deploy", label));
    let args = JsonObject::parse(args).unwrap_or_default();
    RequestedStep { interface: interface.to_owned(), step: step.to_owned(), args, priority, children: None }
}

/// Steps that callers give to a cleaning or a servicing; the last one nobody offers.
const GIVEN: [&str; 10] = [
    "deploy.erase_devices_metadata",
    "deploy.burn_in",
    "bios.apply_defaults",
    "vendor.log_passthrough",
    "power.reboot",
    "power.power_off",
    "power.power_on",
    "power.hold",
    "power.wait",
    "raid.dream_up",
];

impl Life<'_> {
    /// A caller looks at the node, and does something or not.
    pub(super) fn act(&mut self) -> Result<(), Breach> {
        let state = self.node.provision_state;
        match state {
            S::Active => self.caller.hosted = true,
            S::Available | S::Manageable if self.caller.hosted && self.flow.is_none() => {
                self.caller.hosted = false;
                self.caller.tenants = self.caller.tenants.saturating_sub(1);
            }
            _ => {}
        }
        if self.is_over() {
            return Ok(());
        }
        let idle = self.flow.is_none();
        let next = self.dice.millis(if idle { 1_000..120_000 } else { 30_000..900_000 });
        self.plan(next, Event::Act);
        if self.caller.is_done() {
            // Only what would rest for ever without a word.
            let held = matches!(state, S::CleanHold | S::DeployHold | S::ServiceHold);
            return if held { self.ask(Verb::Unhold) } else { Ok(()) };
        }
        if self.dice.permille(70) {
            self.caller.acts -= 1;
            return self.mischief();
        }
        let Some(verb) = self.dice.weighed(ways(state)) else {
            return if self.dice.permille(60) { self.interfere() } else { Ok(()) };
        };
        if !idle && !matches!(verb, Verb::Unhold | Verb::Abort) {
            return Ok(());
        }
        self.caller.acts -= 1;
        if self.node.maintenance {
            self.patch_maintenance(false);
        }
        self.ask(verb)
    }

    /// Something under way is cut short, or disturbed.
    fn interfere(&mut self) -> Result<(), Breach> {
        self.caller.acts -= 1;
        match self.dice.below(4) {
            0 => self.ask(Verb::Abort),
            1 => self.ask(Verb::Deleted),
            2 => self.power(),
            _ => {
                let on = !self.node.maintenance;
                self.patch_maintenance(on);
                Ok(())
            }
        }
    }

    /// Anything at all, whether it makes sense or not.
    fn mischief(&mut self) -> Result<(), Breach> {
        let verbs: Vec<Verb> = Verb::all().collect();
        match self.dice.below(6) {
            0 => self.power(),
            1 => {
                let on = self.dice.permille(500);
                self.patch_maintenance(on);
                Ok(())
            }
            2 => {
                let choice = self.dice.pick(&[None, Some(true), Some(false)]).flatten();
                self.node.automated_clean = choice;
                self.node.revision += 1;
                self.log.line(self.now, format_args!("caller: automated_clean {choice:?}"));
                Ok(())
            }
            3 => {
                self.node.retired = !self.node.retired && self.dice.permille(300);
                self.node.revision += 1;
                self.log.line(self.now, format_args!("caller: retired {}", self.node.retired));
                Ok(())
            }
            _ => self.dice.pick(&verbs).map_or(Ok(()), |verb| self.ask(verb)),
        }
    }

    fn patch_maintenance(&mut self, on: bool) {
        self.node.maintenance = on;
        if !on {
            self.node.fault = None;
            self.node.maintenance_reason = None;
        }
        self.node.revision += 1;
        self.log.line(self.now, format_args!("caller: maintenance {on}"));
    }

    fn power(&mut self) -> Result<(), Breach> {
        use PowerTarget::{Off, On, Reboot, SoftOff, SoftReboot};
        let Some(target) = self.dice.pick(&[On, Off, Reboot, SoftOff, SoftReboot]) else { return Ok(()) };
        let Some(seat) = self.route() else { return self.unheard() };
        let limit = 60;
        let said = self.turn(seat, "power request", |node, flow, world| {
            perform_power(node, flow, target, limit, world)
        })?;
        self.told(said.map(|said| said.is_ok()), "power");
        Ok(())
    }

    fn ask(&mut self, verb: Verb) -> Result<(), Breach> {
        let Some(seat) = self.route() else { return self.unheard() };
        let wish = self.wish(verb);
        let was = self.node.provision_state;
        let said =
            self.turn(seat, verb.as_str(), |node, flow, world| perform(node, flow, verb, &wish, world))?;
        if verb == Verb::Adopt && said == Some(Ok(())) && was != self.node.provision_state {
            // The machine comes with somebody's system.
            self.machine.dirty = true;
        }
        self.told(said.map(|said| said.is_ok()), verb.as_str());
        Ok(())
    }

    fn told(&mut self, accepted: Option<bool>, what: &'static str) {
        match accepted {
            Some(true) => self.tally.caller(what),
            Some(false) => {
                self.tally.caller("(refused)");
                self.log.line(self.now, format_args!("caller: {what} is refused"));
            }
            None => self.tally.caller("(unheard)"),
        }
    }

    #[expect(clippy::unnecessary_wraps, reason = "stands where a request would have been made")]
    fn unheard(&mut self) -> Result<(), Breach> {
        self.told(None, "");
        Ok(())
    }

    /// What goes along with a verb.
    fn wish(&mut self, verb: Verb) -> Wish {
        let mut wish = Wish::default();
        match verb {
            Verb::Clean | Verb::Service => {
                for _ in 0..=self.dice.below(4) {
                    let given = if self.dice.permille(980) { &GIVEN[..9] } else { &GIVEN[..] };
                    let label = self.dice.pick(given).unwrap_or("deploy.burn_in");
                    let seconds = label == "power.wait" && self.dice.permille(700);
                    wish.steps.push(step(label, if seconds { r#"{"seconds":9}"# } else { "{}" }, 0));
                }
                wish.disable_ramdisk = self.dice.permille(50);
            }
            Verb::Active | Verb::Deploy | Verb::Rebuild if self.dice.permille(150) => {
                let label = self.dice.pick(&["power.hold", "deploy.burn_in", "power.wait", "power.reboot"]);
                wish.steps.push(step(label.unwrap_or("power.hold"), "{}", 90));
            }
            _ => {}
        }
        wish
    }
}
