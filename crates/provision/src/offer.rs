//! Steps that a node's drivers offer, as rows: what callers may order, and what runs by itself.
//!
//! The agent's own steps are not known before it has called; they are not here.

use model::{InterfaceKind, JsonObject};

use crate::error::{ErrorCode, StepError};
use crate::step::{Action, OnRestart, PlannedStep, StepList};

/// An argument of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StepArgument {
    /// Its name.
    pub name: &'static str,
    /// Whether the step cannot do without it.
    pub required: bool,
    /// What it says, for people.
    pub description: &'static str,
}

/// A step that a driver offers (contract/extra/steps.tsv).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OfferedStep {
    /// The list it belongs to; a driver that offers it in several has a row for each.
    pub list: StepList,
    /// The interface that offers it.
    pub interface: InterfaceKind,
    /// Its name.
    pub step: &'static str,
    /// Higher runs first; 0 is offered and never runs by itself.
    pub priority: i64,
    /// Whether `abort` may interrupt it while it waits.
    pub abortable: bool,
    /// Whether the agent's ramdisk has to run while it does.
    pub requires_ramdisk: bool,
    /// The arguments it takes; others are refused.
    pub arguments: &'static [StepArgument],
    /// What to do when the process dies while the step is being begun: rerun what ends in the same state when done
    /// twice, poll what must not be sent again blindly.
    pub on_restart: OnRestart,
}

impl OfferedStep {
    /// A row with the usual values: never by itself, not to be interrupted, in the ramdisk, without arguments, rerun.
    pub const fn new(list: StepList, interface: InterfaceKind, step: &'static str) -> Self {
        Self {
            list,
            interface,
            step,
            priority: 0,
            abortable: false,
            requires_ramdisk: true,
            arguments: &[],
            on_restart: OnRestart::Rerun,
        }
    }

    /// The step in a plan, with these arguments.
    pub fn planned(&self, priority: i64, args: JsonObject) -> PlannedStep {
        let run = Action::RunStep { list: self.list, on_restart: self.on_restart };
        PlannedStep {
            abortable: self.abortable,
            args,
            ..PlannedStep::new(self.interface.as_str(), self.step, priority, vec![run])
        }
    }

    /// Whether `args` are those that the step takes.
    pub fn check(&self, args: &JsonObject) -> Result<(), StepError> {
        let given = args.to_map();
        let label = format!("{}.{}", self.interface, self.step);
        let known = |name: &str| self.arguments.iter().any(|argument| argument.name == name);
        if let Some(name) = given.keys().find(|name| !known(name)) {
            let list = self.arguments.iter().map(|argument| argument.name).collect::<Vec<_>>().join(", ");
            let takes = if list.is_empty() { "it takes none".to_owned() } else { format!("it takes {list}") };
            let shown: String = name.chars().take(64).collect();
            let text = format!("step {label} has no argument '{shown}': {takes}.");
            return Err(StepError::new(ErrorCode::StepArguments, text));
        }
        let missing = |argument: &&StepArgument| argument.required && !given.contains_key(argument.name);
        match self.arguments.iter().find(missing) {
            Some(argument) => Err(StepError::new(
                ErrorCode::StepArguments,
                format!("step {label} needs the argument '{}': {}.", argument.name, argument.description),
            )),
            None => Ok(()),
        }
    }
}

/// What runs first of two steps of the same priority: the interfaces of the API in their order.
pub(crate) fn rank(interface: &str) -> u8 {
    match interface {
        "network" => 8,
        "vendor" => 7,
        "power" => 6,
        "management" => 5,
        "firmware" => 4,
        "deploy" => 3,
        "bios" => 2,
        "raid" => 1,
        _ => 0,
    }
}

/// Sorts a plan: higher priorities first, then by interface, then as it was.
pub(crate) fn sort(steps: &mut [PlannedStep]) {
    steps.sort_by_key(|step| std::cmp::Reverse((step.priority, rank(&step.interface))));
}

/// The plan of those that run by themselves, in no order yet.
pub(crate) fn by_themselves(offered: &[OfferedStep]) -> Vec<PlannedStep> {
    let own = offered.iter().filter(|step| step.priority > 0);
    own.map(|step| step.planned(step.priority, JsonObject::default())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTINGS: &[StepArgument] =
        &[StepArgument { name: "settings", required: true, description: "names and values" }];

    fn apply() -> OfferedStep {
        OfferedStep {
            arguments: SETTINGS,
            ..OfferedStep::new(StepList::Clean, InterfaceKind::Bios, "apply_configuration")
        }
    }

    #[test]
    fn arguments_are_checked_by_name() {
        let args = |text| JsonObject::parse(text).unwrap();
        assert!(apply().check(&args(r#"{"settings": []}"#)).is_ok());
        let missing = apply().check(&args("{}")).unwrap_err();
        assert!(missing.to_string().contains("needs the argument 'settings': names and values"), "{missing}");
        let unknown = apply().check(&args(r#"{"settings": [], "x": 1}"#)).unwrap_err();
        assert!(unknown.to_string().contains("no argument 'x': it takes settings"), "{unknown}");
    }

    #[test]
    fn what_runs_by_itself_is_ordered_by_priority_and_interface() {
        let step = |interface, name, priority| OfferedStep {
            priority,
            ..OfferedStep::new(StepList::Clean, interface, name)
        };
        let offered = [
            step(InterfaceKind::Raid, "never", 0),
            step(InterfaceKind::Raid, "third", 10),
            step(InterfaceKind::Vendor, "second", 10),
            step(InterfaceKind::Deploy, "first", 20),
        ];
        let mut plan = by_themselves(&offered);
        sort(&mut plan);
        let plan: Vec<String> = plan.into_iter().map(|step| step.step).collect();
        assert_eq!(plan, ["first", "second", "third"]);
    }
}
