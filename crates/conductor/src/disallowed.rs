//! Steps that nobody may ask for: not in a request, a runbook or a deploy template. What drivers run by themselves is not
//! looked at here.

use provision::{FsmEvent, RequestedStep, Wish};

/// Steps that callers may not ask for, by `interface.step`. A step that takes arguments as they come, such as raw bytes for a
/// BMC, would let whoever may clean a node do what only its administrator may.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DisallowedSteps {
    /// In a cleaning.
    pub clean: Vec<String>,
    /// In a deployment.
    pub deploy: Vec<String>,
    /// In a servicing.
    pub service: Vec<String>,
}

impl Default for DisallowedSteps {
    fn default() -> Self {
        let raw = || vec!["vendor.send_raw".to_owned()];
        Self { clean: raw(), deploy: raw(), service: raw() }
    }
}

impl DisallowedSteps {
    /// Why `wish` is refused to those who ask for `event`, if it is.
    pub(crate) fn refuse(&self, event: FsmEvent, wish: &Wish) -> Result<(), String> {
        let (list, key) = match event {
            FsmEvent::Clean => (&self.clean, "disallow_clean_steps"),
            FsmEvent::Deploy | FsmEvent::Rebuild => (&self.deploy, "disallow_deploy_steps"),
            FsmEvent::Service => (&self.service, "disallow_service_steps"),
            _ => return Ok(()),
        };
        let label = |step: &RequestedStep| format!("{}.{}", step.interface, step.step);
        match wish.steps.iter().chain(&wish.templates).map(label).find(|step| list.contains(step)) {
            Some(step) => Err(format!(
                "Step {step} is not allowed here: [conductor] {key} of the service's configuration names it."
            )),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(name: &str) -> RequestedStep {
        let (interface, step) = name.split_once('.').unwrap();
        RequestedStep {
            interface: interface.to_owned(),
            step: step.to_owned(),
            args: model::JsonObject::default(),
            priority: 0,
            children: None,
        }
    }

    #[test]
    fn each_list_counts_for_what_it_names() {
        let lists = DisallowedSteps { clean: vec!["raid.delete".to_owned()], ..DisallowedSteps::default() };
        let raid = Wish { steps: vec![step("deploy.erase"), step("raid.delete")], ..Wish::default() };
        let refused = lists.refuse(FsmEvent::Clean, &raid).unwrap_err();
        assert!(refused.contains("raid.delete") && refused.contains("disallow_clean_steps"), "{refused}");
        assert_eq!(lists.refuse(FsmEvent::Service, &raid), Ok(()));
        // Templates as well, and nobody who has not said otherwise may send raw bytes.
        let raw = Wish { templates: vec![step("vendor.send_raw")], ..Wish::default() };
        for event in [FsmEvent::Deploy, FsmEvent::Rebuild, FsmEvent::Service] {
            assert!(lists.refuse(event, &raw).is_err(), "{event:?}");
        }
        assert_eq!(lists.refuse(FsmEvent::Clean, &raw), Ok(()));
    }
}
