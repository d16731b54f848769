//! BIOS settings of machines that are not there: whatever was applied last.

use driver::{Answer, Bios, DriverError, StepReply, Steps};
use model::{BiosSetting, InterfaceKind, JsonObject, Node, Timestamp};
use provision::{Observed, OfferedStep, PlannedStep, StepArgument, StepList};
use serde_json::Value;

/// The most settings of one request.
const MAX_SETTINGS: usize = 4096;
/// The longest name of a setting, in characters.
const MAX_NAME: usize = 255;

const SETTINGS: &[StepArgument] = &[StepArgument {
    name: "settings",
    required: true,
    description: "a list of objects, each with the name and the value of a setting",
}];

/// Takes any setting. What was applied is what the service keeps of it; there is nothing else to read.
#[derive(Debug)]
pub struct FakeBios;

impl Bios for FakeBios {
    fn validate(&self, _node: &Node) -> Result<(), DriverError> {
        Ok(())
    }

    fn settings<'a>(&'a self, _node: &'a Node) -> Answer<'a, Option<Vec<BiosSetting>>> {
        Box::pin(async { Ok(None) })
    }
}

impl Steps for FakeBios {
    fn offered(&self, _node: &Node) -> Vec<OfferedStep> {
        let step = |name| OfferedStep::new(StepList::Clean, InterfaceKind::Bios, name);
        let apply = OfferedStep { arguments: SETTINGS, ..step("apply_configuration") };
        vec![apply, step("cache_bios_settings"), step("factory_reset")]
    }

    fn run<'a>(&'a self, _node: &'a Node, _list: StepList, step: &'a PlannedStep) -> Answer<'a, StepReply> {
        Box::pin(async move {
            let bios = match step.step.as_str() {
                "apply_configuration" => Some(wanted_settings(&step.args)?),
                "factory_reset" => Some(Vec::new()),
                _ => None,
            };
            Ok(StepReply::Done(Box::new(Observed { bios, ..Observed::default() })))
        })
    }
}

/// The settings that the argument `settings` lists, each once: the last of a name counts.
fn wanted_settings(args: &JsonObject) -> Result<Vec<BiosSetting>, DriverError> {
    let list = args.get("settings");
    let list = list.as_ref().and_then(Value::as_array).filter(|list| list.len() <= MAX_SETTINGS);
    let list = list.ok_or_else(|| {
        DriverError::invalid(format!("settings has to be a list of at most {MAX_SETTINGS} objects."))
    })?;
    let now = Timestamp::now();
    let mut settings: Vec<BiosSetting> = Vec::new();
    for item in list {
        let name = item.get("name").and_then(Value::as_str);
        let name = name.filter(|name| (1..=MAX_NAME).contains(&name.chars().count()));
        let name = name.ok_or_else(|| {
            DriverError::invalid(format!("each of settings needs a name of 1 to {MAX_NAME} characters."))
        })?;
        let value = match item.get("value") {
            None | Some(Value::Null) => None,
            Some(Value::String(text)) => Some(text.clone()),
            Some(other) => Some(other.to_string()),
        };
        settings.retain(|known| known.name != name);
        settings.push(BiosSetting::new(name, value, now));
    }
    Ok(settings)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<(String, Option<String>)>, DriverError> {
        let settings = wanted_settings(&JsonObject::parse(text).unwrap())?;
        Ok(settings.into_iter().map(|setting| (setting.name, setting.value)).collect())
    }

    #[test]
    fn settings_are_read_as_text() {
        let given = r#"{"settings": [{"name": "a", "value": "1"}, {"name": "b", "value": 2}, {"name": "c"},
            {"name": "a", "value": true}]}"#;
        let expected = [("b", Some("2")), ("c", None), ("a", Some("true"))];
        let expected = expected.map(|(name, value)| (name.to_owned(), value.map(str::to_owned)));
        assert_eq!(read(given).unwrap(), expected);
        for bad in [
            r#"{"settings": {}}"#,
            r#"{"settings": [1]}"#,
            r#"{"settings": [{"name": ""}]}"#,
            r#"{"settings": [{"value": 1}]}"#,
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
