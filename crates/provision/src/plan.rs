//! What a flow runs: the driver's own steps, those that callers and templates ask for, and the frame around them.
//!
//! Pure. What only the agent offers is not known before it calls: such steps are planned as asked for, and checked
//! against the agent's list when it comes ([`agent_steps`]).

use std::time::Duration;

use model::{BootDevice, JsonObject, NodeUuid};

use crate::error::{ErrorCode, StepError};
use crate::offer::{OfferedStep, by_themselves, sort};
use crate::record::FlowRecord;
use crate::step::{Action, AgentStep, PlannedStep, StepList};

/// The longest pause of a `wait` step.
pub const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Priorities between which the agent's own steps of a deployment may stand: it is there, and not yet told to go.
const AGENT_PRIORITIES: std::ops::RangeInclusive<i64> = 41..=99;

/// A step that a caller, a template or a runbook asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestedStep {
    /// The interface that offers it, as `bios`.
    pub interface: String,
    /// Its name.
    pub step: String,
    /// What it is given.
    pub args: JsonObject,
    /// Its turn in a deployment; 0 switches the step off. Other flows run the steps as they come.
    pub priority: i64,
    /// Run it on the node's children instead: on these, or on all when there are none.
    pub children: Option<Vec<NodeUuid>>,
}

/// What a caller sends along with a verb.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Wish {
    /// The steps that the caller orders.
    pub steps: Vec<RequestedStep>,
    /// The steps of the deploy templates that the instance's traits name.
    pub templates: Vec<RequestedStep>,
    /// Run the steps without the ramdisk.
    pub disable_ramdisk: bool,
}

/// A plan.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Plan {
    /// Its steps.
    pub steps: Vec<PlannedStep>,
    /// Steps that must not run, as `interface.step`: the agent may still offer them.
    pub disabled: Vec<String>,
    /// Whether the steps stand in the order that the caller gave: nothing is added and nothing is sorted.
    pub in_order: bool,
    /// Whether nobody asked for these steps: a runbook that the site chose runs in an automated cleaning.
    pub automated: bool,
    /// Whether the machine is booted into the ramdisk for them.
    pub ramdisk: bool,
}

impl Plan {
    /// Steps by themselves, with nothing about a ramdisk.
    pub fn bare(steps: Vec<PlannedStep>) -> Self {
        Self { steps, ..Self::default() }
    }
}

/// Automated cleaning: the frame, and whatever a driver offers with a priority.
pub(crate) fn automated(mut frame: Vec<PlannedStep>, offered: &[OfferedStep]) -> Plan {
    let ramdisk = !frame.is_empty();
    frame.extend(by_themselves(offered));
    Plan { steps: frame, ramdisk, ..Plan::default() }
}

/// Verification: the frame, and whatever a driver offers with a priority.
pub(crate) fn verification(mut frame: Vec<PlannedStep>, offered: &[OfferedStep]) -> Plan {
    frame.extend(by_themselves(offered));
    Plan::bare(frame)
}

/// Manual cleaning and servicing: the steps in the order that the caller gave, within the frame where they need it, or
/// where the machine is `in_ramdisk` already and has to be taken out of it.
pub(crate) fn in_order(
    frame: Vec<PlannedStep>,
    offered: &[OfferedStep],
    wish: &Wish,
    list: StepList,
    in_ramdisk: bool,
) -> Result<Plan, StepError> {
    let needs_ramdisk = wish.steps.iter().any(|step| {
        let row = find(offered, step);
        reserved(step).is_none() && step.children.is_none() && row.is_none_or(|row| row.requires_ramdisk)
    });
    let ramdisk = (in_ramdisk || (needs_ramdisk && !wish.disable_ramdisk)) && !frame.is_empty();
    let mut steps = Vec::with_capacity(wish.steps.len() + frame.len());
    for step in &wish.steps {
        steps.push(resolve(step, offered, list, ramdisk)?);
    }
    if ramdisk {
        // The frame's steps stand around the others by their priorities, the highest and the lowest there are.
        let (before, after): (Vec<_>, Vec<_>) = frame.into_iter().partition(|step| step.priority > 0);
        steps = before.into_iter().chain(steps).chain(after).collect();
    }
    Ok(Plan { steps, in_order: true, ramdisk, ..Plan::default() })
}

/// Deployment: the driver's core steps, what drivers offer with a priority, and what templates and the caller put in
/// their places. The caller's word counts more than a template's, a template's more than the driver's.
pub(crate) fn deployment(
    core: Vec<PlannedStep>,
    offered: &[OfferedStep],
    wish: &Wish,
) -> Result<Plan, StepError> {
    let ramdisk = core.iter().any(|step| step.actions.contains(&Action::AwaitAgent));
    let mut steps = core;
    steps.extend(by_themselves(offered));
    let mut disabled = Vec::new();
    let named = |step: &RequestedStep| wish.steps.iter().any(|own| same(own, step));
    let templates = wish.templates.iter().filter(|step| !named(step));
    for step in templates.chain(&wish.steps) {
        if (step.interface.as_str(), step.step.as_str()) == ("deploy", "deploy") && step.priority != 0 {
            let text = "step deploy.deploy can only be switched off (priority 0), not moved or replaced.";
            return Err(StepError::new(ErrorCode::StepArguments, text));
        }
        let planned = steps.iter().position(|own| own.interface == step.interface && own.step == step.step);
        let replaced = planned.map(|index| steps.remove(index));
        if step.priority == 0 {
            disabled.push(format!("{}.{}", step.interface, step.step));
            continue;
        }
        steps.push(match replaced.filter(|own| !own.actions.is_empty() && find(offered, step).is_none()) {
            Some(core) => PlannedStep { priority: step.priority, args: step.args.clone(), ..core },
            None => deploy_step(step, offered, ramdisk)?,
        });
    }
    // Whatever the deploy interface: its user had it, or the user before.
    steps.push(PlannedStep::frame("start_console", i64::MIN, vec![Action::StartConsole]));
    sort(&mut steps);
    Ok(Plan { steps, disabled, ramdisk, ..Plan::default() })
}

fn deploy_step(
    step: &RequestedStep,
    offered: &[OfferedStep],
    ramdisk: bool,
) -> Result<PlannedStep, StepError> {
    let known = reserved(step).is_some() || find(offered, step).is_some();
    if !known && ramdisk && !AGENT_PRIORITIES.contains(&step.priority) {
        let text = format!(
            "step {}.{} is not offered by the node's drivers, and the agent runs steps of priorities {} to {} only.",
            step.interface,
            step.step,
            AGENT_PRIORITIES.start(),
            AGENT_PRIORITIES.end(),
        );
        return Err(StepError::new(ErrorCode::UnknownStep, text));
    }
    resolve(step, offered, StepList::Deploy, ramdisk)
}

fn same(one: &RequestedStep, other: &RequestedStep) -> bool {
    one.interface == other.interface && one.step == other.step
}

fn find<'a>(offered: &'a [OfferedStep], step: &RequestedStep) -> Option<&'a OfferedStep> {
    offered.iter().find(|row| row.interface.as_str() == step.interface && row.step == step.step)
}

/// The planned form of one step.
fn resolve(
    step: &RequestedStep,
    offered: &[OfferedStep],
    list: StepList,
    ramdisk: bool,
) -> Result<PlannedStep, StepError> {
    if let Some(only) = &step.children {
        let run = Action::RunOnChildren { list, only: only.clone() };
        return Ok(PlannedStep {
            args: step.args.clone(),
            ..PlannedStep::new(&step.interface, &step.step, step.priority, vec![run])
        });
    }
    if let Some(reserved) = reserved(step) {
        return Ok(PlannedStep {
            args: step.args.clone(),
            abortable: true,
            ..PlannedStep::new(&step.interface, &step.step, step.priority, reserved.actions(ramdisk)?)
        });
    }
    if let Some(row) = find(offered, step) {
        row.check(&step.args)?;
        return Ok(row.planned(step.priority, step.args.clone()));
    }
    if !ramdisk {
        let known = offered.iter().map(|row| format!("{}.{}", row.interface, row.step)).collect::<Vec<_>>();
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        let text = format!(
            "step {}.{} is not offered by the node's drivers, and no agent is booted to be asked; they offer: {known}.",
            step.interface, step.step,
        );
        return Err(StepError::new(ErrorCode::UnknownStep, text));
    }
    Ok(PlannedStep {
        args: step.args.clone(),
        requested: true,
        ..PlannedStep::new(&step.interface, &step.step, step.priority, vec![Action::RunAgentStep(list)])
    })
}

/// The steps that the service itself runs, whatever the interface they are ordered of.
enum Reserved {
    PowerOn,
    PowerOff,
    Reboot,
    Hold,
    Wait(Option<u64>),
}

fn reserved(step: &RequestedStep) -> Option<Reserved> {
    Some(match step.step.as_str() {
        "power_on" => Reserved::PowerOn,
        "power_off" => Reserved::PowerOff,
        "reboot" => Reserved::Reboot,
        "hold" => Reserved::Hold,
        "wait" => Reserved::Wait(seconds(&step.args)),
        _ => return None,
    })
}

fn seconds(args: &JsonObject) -> Option<u64> {
    let value = args.get("seconds")?;
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}

impl Reserved {
    fn actions(&self, ramdisk: bool) -> Result<Vec<Action>, StepError> {
        Ok(match self {
            Self::PowerOn if ramdisk => vec![
                Action::SetBootDevice { device: BootDevice::Pxe, persistent: false },
                Action::PowerOn,
                Action::AwaitAgent,
            ],
            Self::PowerOn => vec![Action::PowerOn],
            Self::PowerOff => vec![Action::PowerOff { grace: 0 }, Action::ForgetAgent],
            Self::Reboot if ramdisk => boot_ramdisk_again(),
            Self::Reboot => vec![Action::PowerOff { grace: 0 }, Action::PowerOn],
            Self::Hold => vec![Action::Hold],
            Self::Wait(Some(seconds)) => {
                let seconds = (*seconds).min(LONGEST_PAUSE.as_secs());
                vec![Action::Pause { seconds: u32::try_from(seconds).unwrap_or(0) }]
            }
            Self::Wait(None) if ramdisk => vec![Action::AwaitHeartbeat],
            Self::Wait(None) => {
                let text = "step wait needs args.seconds where no agent is booted: nobody would call.";
                return Err(StepError::new(ErrorCode::StepArguments, text));
            }
        })
    }
}

/// Off, and into the ramdisk again.
pub(crate) fn boot_ramdisk_again() -> Vec<Action> {
    vec![
        Action::PowerOff { grace: 0 },
        Action::ForgetAgent,
        Action::SetBootDevice { device: BootDevice::Pxe, persistent: false },
        Action::PowerOn,
        Action::AwaitAgent,
    ]
}

/// The agent has told its steps: those that were asked for must be among them, those with a priority slot in behind the
/// current step.
pub(crate) fn agent_steps(
    flow: &mut FlowRecord,
    list: StepList,
    offered: Vec<AgentStep>,
) -> Result<(), StepError> {
    let rest = flow.step + 1;
    for step in flow.steps.iter_mut().skip(rest).filter(|step| step.requested) {
        let known = offered.iter().find(|own| own.interface == step.interface && own.step == step.step);
        let Some(known) = known else {
            let list = offered.iter().map(|own| format!("{}.{}", own.interface, own.step));
            let text = format!(
                "step {} is offered neither by the node's drivers nor by its agent, which offers: {}.",
                step.label(),
                list.collect::<Vec<_>>().join(", ")
            );
            return Err(StepError::new(ErrorCode::UnknownStep, text));
        };
        step.abortable = known.abortable;
        step.reboot_requested = known.reboot_requested;
    }
    if flow.in_order {
        return Ok(());
    }
    let current = flow.current().map_or(i64::MAX, |step| step.priority);
    let wanted = |step: &AgentStep| {
        let label = format!("{}.{}", step.interface, step.step);
        let planned = flow.steps.iter().any(|known| known.label() == label);
        (1..current).contains(&step.priority) && !planned && !flow.disabled.contains(&label)
    };
    let planned: Vec<PlannedStep> = offered
        .into_iter()
        .filter(wanted)
        .map(|step| PlannedStep {
            abortable: step.abortable,
            reboot_requested: step.reboot_requested,
            ..PlannedStep::new(&step.interface, &step.step, step.priority, vec![Action::RunAgentStep(list)])
        })
        .collect();
    flow.steps.extend(planned);
    if let Some(rest) = flow.steps.get_mut(rest..) {
        sort(rest);
    }
    Ok(())
}

/// The agent asked for a reboot after the step that it has just ended.
pub(crate) fn reboot_if_requested(flow: &mut FlowRecord) {
    let index = flow.step;
    if let Some(step) = flow.steps.get_mut(index).filter(|step| step.reboot_requested) {
        step.actions.extend(boot_ramdisk_again());
        step.reboot_requested = false;
    }
}

#[cfg(test)]
mod tests {
    use model::InterfaceKind;

    use super::*;
    use crate::flow::{clean, deploy};
    use crate::offer::StepArgument;

    const SETTINGS: &[StepArgument] =
        &[StepArgument { name: "settings", required: true, description: "names and values" }];

    fn offered(list: StepList) -> Vec<OfferedStep> {
        vec![
            OfferedStep {
                requires_ramdisk: false,
                arguments: SETTINGS,
                ..OfferedStep::new(list, InterfaceKind::Bios, "apply_configuration")
            },
            OfferedStep { priority: 90, ..OfferedStep::new(list, InterfaceKind::Vendor, "tune") },
        ]
    }

    fn step(label: &str, priority: i64, args: &str) -> RequestedStep {
        let (interface, step) = label.split_once('.').unwrap();
        RequestedStep {
            interface: interface.to_owned(),
            step: step.to_owned(),
            args: JsonObject::parse(args).unwrap(),
            priority,
            children: None,
        }
    }

    fn labels(plan: &Plan) -> Vec<String> {
        plan.steps.iter().map(PlannedStep::label).collect()
    }

    fn asks(steps: Vec<RequestedStep>) -> Wish {
        Wish { steps, ..Wish::default() }
    }

    #[test]
    fn given_steps_keep_their_order_and_get_the_ramdisk_they_need() {
        let list = StepList::Clean;
        let plan = |wish: &Wish| in_order(clean::in_band(), &offered(list), wish, list, false);
        let out_of_band = asks(vec![
            step("bios.apply_configuration", 0, r#"{"settings": []}"#),
            step("power.reboot", 0, "{}"),
        ]);
        let made = plan(&out_of_band).unwrap();
        assert!(!made.ramdisk);
        assert_eq!(labels(&made), ["bios.apply_configuration", "power.reboot"]);
        let mut in_band = out_of_band.clone();
        in_band.steps.insert(0, step("deploy.erase_devices", 0, "{}"));
        let made = plan(&in_band).unwrap();
        assert_eq!(
            labels(&made),
            [
                "conductor.boot_ramdisk",
                "deploy.erase_devices",
                "bios.apply_configuration",
                "power.reboot",
                "conductor.leave_ramdisk"
            ]
        );
        assert!(made.steps[1].requested && made.steps[3].actions.contains(&Action::AwaitAgent));
        let error = plan(&Wish { disable_ramdisk: true, ..in_band }).unwrap_err();
        assert_eq!(error.code, ErrorCode::UnknownStep);
        assert!(error.message.contains("bios.apply_configuration, vendor.tune"), "{error}");
    }

    #[test]
    fn a_wait_is_bounded_and_needs_somebody_who_calls() {
        let list = StepList::Clean;
        let plan =
            in_order(vec![], &[], &asks(vec![step("deploy.wait", 0, r#"{"seconds": 99}"#)]), list, false);
        assert_eq!(plan.unwrap().steps[0].actions, [Action::Pause { seconds: 30 }]);
        let error =
            in_order(vec![], &[], &asks(vec![step("deploy.wait", 0, "{}")]), list, false).unwrap_err();
        assert!(error.message.contains("args.seconds"), "{error}");
    }

    #[test]
    fn callers_count_more_than_templates_and_templates_more_than_drivers() {
        let list = StepList::Deploy;
        let wish = Wish {
            steps: vec![step("vendor.tune", 0, "{}"), step("deploy.write_image", 70, "{}")],
            templates: vec![
                step("vendor.tune", 95, "{}"),
                step("bios.apply_configuration", 150, r#"{"settings": []}"#),
            ],
            disable_ramdisk: false,
        };
        let plan = deployment(deploy::direct(), &offered(list), &wish).unwrap();
        assert_eq!(plan.disabled, ["vendor.tune"]);
        let order: Vec<(String, i64)> =
            plan.steps.iter().take(3).map(|step| (step.label(), step.priority)).collect();
        assert_eq!(
            order,
            [
                ("bios.apply_configuration".to_owned(), 150),
                ("deploy.deploy".to_owned(), 100),
                ("deploy.write_image".to_owned(), 70)
            ]
        );
        assert_eq!(plan.steps[2].actions, [Action::RunAgentStep(list)], "the core step keeps what it does");
        let error = deployment(deploy::direct(), &[], &asks(vec![step("deploy.deploy", 50, "{}")]));
        assert!(error.unwrap_err().message.contains("switched off"));
        let error =
            deployment(deploy::direct(), &[], &asks(vec![step("raid.apply", 120, "{}")])).unwrap_err();
        assert!(error.message.contains("41 to 99"), "{error}");
        let error =
            deployment(deploy::pretend(), &[], &asks(vec![step("raid.apply", 50, "{}")])).unwrap_err();
        assert_eq!(error.code, ErrorCode::UnknownStep);
    }

    #[test]
    fn what_the_agent_does_not_offer_is_named_when_it_has_called() {
        let list = StepList::Clean;
        let own = |name: &str, priority| AgentStep {
            interface: "deploy".to_owned(),
            step: name.to_owned(),
            priority,
            abortable: true,
            reboot_requested: false,
        };
        let record = |steps: Vec<RequestedStep>| {
            let plan = in_order(clean::in_band(), &[], &asks(steps), list, false).unwrap();
            FlowRecord::of_plan(crate::FlowKind::Clean, plan, model::Timestamp::from_micros(0))
        };
        let mut good = record(vec![step("deploy.erase_devices", 0, "{}")]);
        agent_steps(&mut good, list, vec![own("erase_devices", 0), own("other", 99)]).unwrap();
        assert_eq!(good.steps.len(), 3, "nothing is added to what was ordered");
        assert!(good.steps[1].abortable);
        let mut bad = record(vec![step("raid.create_configuration", 0, "{}")]);
        let error = agent_steps(&mut bad, list, vec![own("erase_devices", 10)]).unwrap_err();
        assert!(error.message.contains("which offers: deploy.erase_devices"), "{error}");
    }
}
