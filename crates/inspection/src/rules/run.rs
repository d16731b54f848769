//! Running rules, the most urgent first, each over what those before it made.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use model::Trait;
use serde_json::{Map, Value};

use super::Rule;
use super::action::{Stopped, carry_out};
use super::condition::holds;
use super::statement::Meaning;
use super::template::Names;

/// From which rules the secrets among the inspection data are hidden.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Masking {
    /// From all.
    #[default]
    Always,
    /// From those that are not sensitive themselves.
    Sensitive,
    /// From none.
    Never,
}

/// What rules ask about and change.
#[derive(Clone, Default)]
pub struct Subject {
    /// The node's fields, as the API shows them to who may see everything.
    pub node: Map<String, Value>,
    /// The node's traits.
    pub traits: BTreeSet<Trait>,
    /// The fields of each port, `uuid` among them.
    pub ports: Vec<Map<String, Value>>,
    /// What the ramdisk found. Rules cannot change it.
    pub inventory: Map<String, Value>,
    /// What hooks and rules made of it.
    pub plugin_data: Map<String, Value>,
}

/// How much there is; what it says may be secret.
impl fmt::Debug for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subject").field("ports", &self.ports.len()).finish_non_exhaustive()
    }
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// For developers.
    Debug,
    /// As planned.
    Info,
    /// To be looked at.
    Warning,
    /// To be mended.
    Error,
}

/// Something that a rule says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// How bad it is.
    pub severity: Severity,
    /// What it says.
    pub text: String,
}

/// A GET that a rule wants to be sent; anything but success fails the inspection.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiCall {
    /// Where to.
    pub url: String,
    /// Headers to send.
    pub headers: BTreeMap<String, String>,
    /// How long one attempt may take; above 0, at most a minute.
    pub timeout: Duration,
    /// How often it is tried again after 429, 5xx and broken connections; at most 10.
    pub retries: u32,
    /// The pause before the second attempt; doubled each time.
    pub backoff: Duration,
}

/// Where to, without what follows a question mark: headers and parameters may be secret.
impl fmt::Debug for ApiCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ApiCall({})", self.url.split(['?', '@']).next().unwrap_or_default())
    }
}

/// What rules did besides changing the subject.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// The labels of the rules whose conditions held, in the order in which they ran.
    pub applied: Vec<String>,
    /// What they say, in order.
    pub log: Vec<LogLine>,
    /// What they want to be called, in order.
    pub calls: Vec<ApiCall>,
}

/// Why the inspection fails.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    /// A rule says so.
    #[error("{0}")]
    Failed(String),
    /// A condition makes no sense for this machine.
    #[error("inspection rule {rule}: the condition '{operation}' cannot be checked: {problem}")]
    Condition {
        /// The rule's label.
        rule: String,
        /// The word.
        operation: &'static str,
        /// Why not.
        problem: String,
    },
    /// An action could not be carried out.
    #[error("inspection rule {rule}: the action '{operation}' failed: {problem}")]
    Action {
        /// The rule's label.
        rule: String,
        /// The word.
        operation: &'static str,
        /// Why.
        problem: String,
    },
}

/// Runs `rules`, those of a higher priority first, equal ones in the order given.
///
/// # Errors
/// The first rule that fails ends it; the subject is then in the middle of things and to be thrown away.
pub fn run(rules: &[Rule], masking: Masking, subject: &mut Subject) -> Result<Report, RuleError> {
    let mut order: Vec<&Rule> = rules.iter().collect();
    order.sort_by_key(|rule| Reverse(rule.priority));
    let mut report = Report::default();
    for rule in order {
        let masked = match masking {
            Masking::Always => true,
            Masking::Sensitive => !rule.sensitive,
            Masking::Never => false,
        };
        if !applies(rule, masked, subject)? {
            continue;
        }
        report.applied.push(rule.label.clone());
        for action in &rule.actions {
            let Meaning::Act(act) = action.operation.meaning else { continue };
            carry_out(action, act, masked, subject, &mut report).map_err(|stopped| match stopped {
                Stopped::Fail(text) => RuleError::Failed(text),
                Stopped::Impossible(problem) => {
                    RuleError::Action { rule: rule.label.clone(), operation: action.operation.name, problem }
                }
            })?;
        }
    }
    Ok(report)
}

fn applies(rule: &Rule, masked: bool, subject: &Subject) -> Result<bool, RuleError> {
    let (node, inventory, plugin_data) = (&subject.node, &subject.inventory, &subject.plugin_data);
    let names = Names { node, inventory, plugin_data, item: None, masked };
    for condition in &rule.conditions {
        let Meaning::Ask(ask) = condition.operation.meaning else { continue };
        let holds = holds(condition, ask, names).map_err(|problem| RuleError::Condition {
            rule: rule.label.clone(),
            operation: condition.operation.name,
            problem,
        })?;
        if !holds {
            return Ok(false);
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(value: &Value) -> Map<String, Value> {
        value.as_object().unwrap().clone()
    }

    fn subject() -> Subject {
        Subject {
            node: object(&json!({
                "uuid": "u-1", "driver_info": {"ipmi_address": "10.0.0.5"}, "extra": {"l": ["a"]},
                "properties": {"capabilities": "boot_mode:uefi"}, "description": "old",
            })),
            traits: BTreeSet::from(["CUSTOM_OLD".parse().unwrap()]),
            ports: vec![object(&json!({"uuid": "p-1", "extra": {}, "pxe_enabled": true}))],
            inventory: object(&json!({
                "bmc_address": "10.0.0.5", "memory": {"physical_mb": 4096}, "login": {"password": "hunter2"},
                "disks": [{"name": "/dev/sda"}, {"name": "/dev/sdb"}],
            })),
            plugin_data: object(&json!({"a": {"b": 1}})),
        }
    }

    fn rule(label: &str, priority: i64, conditions: &Value, actions: &Value) -> Rule {
        let (conditions, actions) = (conditions.as_array().unwrap(), actions.as_array().unwrap());
        Rule::parse(label, (priority, false), conditions, actions).unwrap()
    }

    /// Runs one action without conditions.
    fn act(op: &str, args: &Value) -> Result<(Subject, Report), RuleError> {
        let mut subject = subject();
        let rule = rule("r", 0, &json!([]), &json!([{"op": op, "args": args}]));
        let report = run(&[rule], Masking::Always, &mut subject)?;
        Ok((subject, report))
    }

    #[test]
    fn attributes() {
        let value = "{inventory[memory][physical_mb]}";
        let (after, _) =
            act("set-attribute", &json!({"path": "/properties/memory_mb", "value": value})).unwrap();
        assert_eq!(after.node["properties"]["memory_mb"], "4096");
        let (after, _) = act("set-attribute", &json!({"path": "extra.x.y", "value": [1]})).unwrap();
        assert_eq!(after.node["extra"]["x"], json!({"y": [1]}));
        let (after, _) = act("set-attribute", &json!({"path": "description", "value": "new"})).unwrap();
        assert_eq!(after.node["description"], "new");
        let extended = json!({"path": "extra/l", "value": "a", "unique": true});
        assert_eq!(act("extend-attribute", &extended).unwrap().0.node["extra"]["l"], json!(["a"]));
        let (after, _) = act("extend-attribute", &json!(["extra/l", "b"])).unwrap();
        assert_eq!(after.node["extra"]["l"], json!(["a", "b"]));
        let (after, _) = act("del-attribute", &json!({"path": "driver_info/ipmi_address"})).unwrap();
        assert_eq!(after.node["driver_info"], json!({}));
        for (op, args) in [
            ("set-attribute", json!({"path": "description/x", "value": 1})),
            ("extend-attribute", json!({"path": "description", "value": 1})),
            ("del-attribute", json!({"path": "extra/none"})),
            ("set-attribute", json!({"path": "", "value": 1})),
        ] {
            let error = act(op, &args).unwrap_err();
            assert!(matches!(&error, RuleError::Action { operation, .. } if *operation == op), "{error}");
        }
    }

    #[test]
    fn capabilities_and_traits() {
        let (after, _) =
            act("set-capability", &json!({"name": "ram", "value": "{inventory[memory]}"})).unwrap();
        assert_eq!(after.node["properties"]["capabilities"], "boot_mode:uefi,ram:{'physical_mb': 4096}");
        let (after, _) = act("unset-capability", &json!({"name": "boot_mode"})).unwrap();
        assert_eq!(after.node["properties"]["capabilities"], "");
        let (after, _) = act("add-trait", &json!({"name": "CUSTOM_NEW"})).unwrap();
        assert_eq!(after.traits.len(), 2);
        assert!(act("add-trait", &json!({"name": "bad"})).is_err());
        assert!(act("remove-trait", &json!({"name": "CUSTOM_OLD"})).unwrap().0.traits.is_empty());
        assert_eq!(act("remove-trait", &json!({"name": "CUSTOM_X"})).unwrap().0.traits.len(), 1);
    }

    #[test]
    fn plugin_data() {
        let (after, _) =
            act("set-plugin-data", &json!({"path": "x.y", "value": "{plugin_data[a][b]}"})).unwrap();
        assert_eq!(after.plugin_data["x"], json!({"y": "1"}));
        let (after, _) =
            act("extend-plugin-data", &json!({"path": "x.l", "value": 1, "unique": true})).unwrap();
        assert_eq!(after.plugin_data["x"], json!({"l": [1]}));
        let (after, _) = act("unset-plugin-data", &json!({"path": "a.b"})).unwrap();
        assert!(after.plugin_data.is_empty(), "an object that is empty now goes, too");
        assert!(act("unset-plugin-data", &json!({"path": "a.none"})).is_ok());
    }

    #[test]
    fn ports() {
        let set = json!({"port_id": "p-1", "path": "extra/x", "value": "{inventory[bmc_address]}"});
        assert_eq!(act("set-port-attribute", &set).unwrap().0.ports[0]["extra"], json!({"x": "10.0.0.5"}));
        let extend = json!({"port_id": "p-1", "path": "extra/l", "value": 1});
        assert_eq!(act("extend-port-attribute", &extend).unwrap().0.ports[0]["extra"], json!({"l": [1]}));
        let (after, _) =
            act("del-port-attribute", &json!({"port_id": "p-1", "path": "pxe_enabled"})).unwrap();
        assert!(!after.ports[0].contains_key("pxe_enabled"));
        assert!(act("del-port-attribute", &json!({"port_id": "p-2", "path": "extra"})).is_err());
    }

    #[test]
    fn words_to_others() {
        let error = act("fail", &json!({"msg": "no such machine"})).unwrap_err();
        assert_eq!(error, RuleError::Failed("no such machine".to_owned()));
        let (_, report) =
            act("log", &json!({"msg": "at {inventory[bmc_address]}", "level": "Warning"})).unwrap();
        assert_eq!(report.log, [LogLine { severity: Severity::Warning, text: "at 10.0.0.5".to_owned() }]);
        assert!(act("log", &json!({"msg": "x", "level": "loud"})).is_err());
        let (_, report) = act(
            "api-call",
            &json!({"url": "http://h/{node.uuid}", "headers": {"X-A": 1}, "timeout": "900", "retries": 99}),
        )
        .unwrap();
        let call = &report.calls[0];
        assert_eq!((call.url.as_str(), call.headers["X-A"].as_str()), ("http://h/u-1", "1"));
        assert_eq!((call.timeout, call.retries), (Duration::from_mins(1), 10));
        assert!(act("api-call", &json!({"url": "http://h", "timeout": 0})).is_err());
        assert!(act("api-call", &json!({"url": "http://h", "retries": "x"})).is_err());
    }

    #[test]
    fn the_most_urgent_first_and_each_sees_the_last() {
        let mut subject = subject();
        let set =
            |value: &str| json!([{"op": "set-attribute", "args": {"path": "description", "value": value}}]);
        let asks = json!([{"op": "eq", "args": {"values": ["{node.description}", "second"]}}]);
        let rules = [
            rule("last", 0, &asks, &set("third")),
            rule("first", 9999, &json!([]), &set("first")),
            rule("second", 5, &json!([]), &set("second")),
            rule(
                "never",
                5,
                &json!([{"op": "is-none", "args": {"value": 1}}]),
                &json!([{"op": "fail", "args": {"msg": "x"}}]),
            ),
        ];
        let report = run(&rules, Masking::Always, &mut subject).unwrap();
        assert_eq!(report.applied, ["first", "second", "last"]);
        assert_eq!(subject.node["description"], "third");
    }

    #[test]
    fn loops_carry_out_an_action_for_each_item() {
        let mut subject = subject();
        let actions = json!([
            {"op": "extend-plugin-data", "args": {"path": "names", "value": "{item}"},
             "loop": ["{inventory[disks][0][name]}", "{inventory[disks][1][name]}"]},
            {"op": "set-attribute", "args": {"path": "{item[path]}", "value": "{item[value]}"},
             "loop": {"path": "driver_info/ipmi_address", "value": "{inventory[bmc_address]}0"}},
        ]);
        run(&[rule("r", 0, &json!([]), &actions)], Masking::Always, &mut subject).unwrap();
        assert_eq!(subject.plugin_data["names"], json!(["/dev/sda", "/dev/sdb"]));
        assert_eq!(subject.node["driver_info"]["ipmi_address"], "10.0.0.50");
    }

    #[test]
    fn secrets_are_hidden_from_rules_unless_the_site_says_otherwise() {
        let actions = json!([{"op": "log", "args": {"msg": "{inventory[login][password]}"}}]);
        let actions = actions.as_array().unwrap();
        let said = |masking: Masking, sensitive: bool| {
            let rule = Rule::parse("r", (0, sensitive), &[], actions).unwrap();
            run(&[rule], masking, &mut subject()).unwrap().log.remove(0).text
        };
        assert_eq!(said(Masking::Always, true), "***");
        assert_eq!(said(Masking::Sensitive, false), "***");
        assert_eq!(said(Masking::Sensitive, true), "hunter2");
        assert_eq!(said(Masking::Never, false), "hunter2");
    }

    #[test]
    fn a_condition_that_makes_no_sense_fails() {
        let asks = json!([{"op": "in-net", "args": {"address": "x", "subnet": "10.0.0.0/8"}}]);
        let error = run(&[rule("r-1", 0, &asks, &json!([]))], Masking::Always, &mut subject()).unwrap_err();
        assert!(error.to_string().contains("r-1") && error.to_string().contains("in-net"), "{error}");
    }
}
