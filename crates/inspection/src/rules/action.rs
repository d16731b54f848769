//! What actions do to a subject.

use std::collections::BTreeMap;
use std::time::Duration;

use model::{Capabilities, Trait};
use serde_json::{Map, Value, json};

use super::condition::arguments;
use super::run::{ApiCall, LogLine, Report, Severity, Subject};
use super::statement::{Meaning, Operation, Statement};
use super::template::{Names, text_of};
use crate::path::Path;

/// The most time that one call of another service may take.
const LONGEST_CALL: f64 = 60.0;
/// The most attempts of one call.
const MOST_RETRIES: u64 = 10;

/// The deed behind a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Act {
    Fail,
    Log,
    SetAttribute,
    ExtendAttribute,
    DelAttribute,
    SetCapability,
    UnsetCapability,
    AddTrait,
    RemoveTrait,
    SetPluginData,
    ExtendPluginData,
    UnsetPluginData,
    SetPortAttribute,
    ExtendPortAttribute,
    DelPortAttribute,
    ApiCall,
}

const fn word(
    name: &'static str,
    required: &'static [&'static str],
    optional: &'static [&'static str],
    replaced: &'static [&'static str],
    act: Act,
) -> Operation {
    Operation { name, required, optional, replaced, meaning: Meaning::Act(act) }
}

const VALUE: &[&str] = &["value"];
const UNIQUE: &[&str] = &["unique"];
const NAME: &[&str] = &["name"];
const PATH: &[&str] = &["path"];
const PATH_VALUE: &[&str] = &["path", "value"];
const PORT_VALUE: &[&str] = &["port_id", "path", "value"];
const CALL: &[&str] = &["headers", "proxies", "timeout", "retries", "backoff_factor"];

pub(super) const ACTION_TABLE: &[Operation] = &[
    word("fail", &["msg"], &[], &[], Act::Fail),
    word("log", &["msg"], &["level"], &["msg"], Act::Log),
    word("set-attribute", PATH_VALUE, &[], VALUE, Act::SetAttribute),
    word("extend-attribute", PATH_VALUE, UNIQUE, VALUE, Act::ExtendAttribute),
    word("del-attribute", PATH, &[], &[], Act::DelAttribute),
    word("set-capability", &["name", "value"], &[], VALUE, Act::SetCapability),
    word("unset-capability", NAME, &[], &[], Act::UnsetCapability),
    word("add-trait", NAME, &[], &[], Act::AddTrait),
    word("remove-trait", NAME, &[], &[], Act::RemoveTrait),
    word("set-plugin-data", PATH_VALUE, &[], VALUE, Act::SetPluginData),
    word("extend-plugin-data", PATH_VALUE, UNIQUE, VALUE, Act::ExtendPluginData),
    word("unset-plugin-data", PATH, &[], &[], Act::UnsetPluginData),
    word("set-port-attribute", PORT_VALUE, &[], VALUE, Act::SetPortAttribute),
    word("extend-port-attribute", PORT_VALUE, UNIQUE, VALUE, Act::ExtendPortAttribute),
    word("del-port-attribute", &["port_id", "path"], &[], &[], Act::DelPortAttribute),
    word("api-call", &["url"], CALL, &["url"], Act::ApiCall),
];

/// Why an action was not carried out.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Stopped {
    /// The rule says that the inspection is to fail, and why.
    Fail(String),
    /// It could not be done.
    Impossible(String),
}

/// Carries out an action, for each item of its loop if it has one.
pub(super) fn carry_out(
    action: &Statement,
    act: Act,
    masked: bool,
    subject: &mut Subject,
    report: &mut Report,
) -> Result<(), Stopped> {
    let items: Vec<Option<&Value>> = match &action.items {
        None => vec![None],
        Some(Value::Array(items)) => items.iter().map(Some).collect(),
        Some(item) => vec![Some(item)],
    };
    for item in items {
        let args = {
            let (node, inventory, plugin_data) = (&subject.node, &subject.inventory, &subject.plugin_data);
            arguments(action, Names { node, inventory, plugin_data, item, masked }, false)
        };
        once(act, &Args(args), subject, report)?;
    }
    Ok(())
}

/// The arguments of an action.
struct Args(Map<String, Value>);

impl Args {
    fn value(&self, name: &str) -> Value {
        self.0.get(name).cloned().unwrap_or_default()
    }

    fn text(&self, name: &str) -> String {
        self.0.get(name).map(text_of).unwrap_or_default()
    }

    fn is_set(&self, name: &str) -> bool {
        self.0.get(name) == Some(&Value::Bool(true))
    }

    fn path(&self) -> Result<Path, Stopped> {
        Path::parse(&self.text("path")).map_err(impossible)
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it is handed to map_err")]
fn impossible(error: impl ToString) -> Stopped {
    Stopped::Impossible(error.to_string())
}

fn once(act: Act, args: &Args, subject: &mut Subject, report: &mut Report) -> Result<(), Stopped> {
    match act {
        Act::Fail => return Err(Stopped::Fail(args.text("msg"))),
        Act::Log => report.log.push(log_line(args)?),
        Act::SetAttribute => args.path()?.set(&mut subject.node, args.value("value")).map_err(impossible)?,
        Act::ExtendAttribute => args
            .path()?
            .extend(&mut subject.node, args.value("value"), args.is_set("unique"))
            .map_err(impossible)?,
        Act::DelAttribute => args.path()?.remove(&mut subject.node).map(drop).map_err(impossible)?,
        Act::SetCapability => {
            let (name, value) = (args.text("name"), args.text("value"));
            change_capabilities(subject, |capabilities| capabilities.set(&name, &value));
        }
        Act::UnsetCapability => {
            let name = args.text("name");
            change_capabilities(subject, |capabilities| capabilities.remove(&name));
        }
        Act::AddTrait => {
            subject.traits.insert(args.text("name").parse::<Trait>().map_err(impossible)?);
        }
        Act::RemoveTrait => {
            let name = args.text("name");
            subject.traits.retain(|known| known.as_str() != name);
        }
        Act::SetPluginData | Act::ExtendPluginData | Act::UnsetPluginData => {
            change_plugin_data(act, args, subject)?;
        }
        Act::SetPortAttribute | Act::ExtendPortAttribute | Act::DelPortAttribute => {
            change_port(act, args, subject)?;
        }
        Act::ApiCall => report.calls.push(api_call(args)?),
    }
    Ok(())
}

fn log_line(args: &Args) -> Result<LogLine, Stopped> {
    let level = args.0.get("level").map_or_else(|| "info".to_owned(), text_of);
    let severity = match level.to_lowercase().as_str() {
        "debug" => Severity::Debug,
        "info" => Severity::Info,
        "warning" => Severity::Warning,
        "error" | "critical" => Severity::Error,
        other => return Err(Stopped::Impossible(format!("'{other}' is not a log level"))),
    };
    Ok(LogLine { severity, text: args.text("msg") })
}

fn change_capabilities(subject: &mut Subject, change: impl FnOnce(&mut Capabilities)) {
    let properties = subject.node.entry("properties").or_insert_with(|| json!({}));
    if !properties.is_object() {
        *properties = json!({});
    }
    if let Some(properties) = properties.as_object_mut() {
        let mut capabilities = properties.get("capabilities").map(Capabilities::parse).unwrap_or_default();
        change(&mut capabilities);
        properties.insert("capabilities".to_owned(), Value::String(capabilities.to_string()));
    }
}

fn change_plugin_data(act: Act, args: &Args, subject: &mut Subject) -> Result<(), Stopped> {
    let path = Path::dotted(&args.text("path")).map_err(impossible)?;
    let data = &mut subject.plugin_data;
    match act {
        Act::SetPluginData => path.set(data, args.value("value")).map_err(impossible),
        Act::ExtendPluginData => {
            path.extend(data, args.value("value"), args.is_set("unique")).map_err(impossible)
        }
        _ => {
            path.prune(data);
            Ok(())
        }
    }
}

fn change_port(act: Act, args: &Args, subject: &mut Subject) -> Result<(), Stopped> {
    let (path, id) = (args.path()?, args.text("port_id"));
    let found = subject.ports.iter_mut().find(|port| port.get("uuid").and_then(Value::as_str) == Some(&*id));
    let port = found.ok_or_else(|| Stopped::Impossible(format!("the node has no port '{id}'")))?;
    match act {
        Act::SetPortAttribute => path.set(port, args.value("value")),
        Act::ExtendPortAttribute => path.extend(port, args.value("value"), args.is_set("unique")),
        _ => path.remove(port).map(drop),
    }
    .map_err(impossible)
}

fn api_call(args: &Args) -> Result<ApiCall, Stopped> {
    let number = |name: &str, default: f64| match args.0.get(name) {
        None | Some(Value::Null) => Ok(default),
        Some(value) => text_of(value)
            .parse::<f64>()
            .ok()
            .filter(|number| number.is_finite() && *number >= 0.0)
            .ok_or_else(|| Stopped::Impossible(format!("'{name}' has to be a number"))),
    };
    let timeout = number("timeout", 5.0)?;
    if timeout <= 0.0 {
        return Err(Stopped::Impossible("'timeout' has to be above 0".to_owned()));
    }
    if !args.value("proxies").is_null() {
        return Err(Stopped::Impossible("'proxies' is not supported: the service's own are used".to_owned()));
    }
    let retries = match args.0.get("retries") {
        None | Some(Value::Null) => 3,
        Some(value) => {
            text_of(value).parse().map_err(|_| impossible("'retries' has to be a whole number"))?
        }
    };
    let headers: BTreeMap<String, String> = match args.value("headers") {
        Value::Null => BTreeMap::new(),
        Value::Object(map) => map.iter().map(|(name, value)| (name.clone(), text_of(value))).collect(),
        _ => return Err(Stopped::Impossible("'headers' has to be an object".to_owned())),
    };
    Ok(ApiCall {
        url: args.text("url"),
        headers,
        timeout: Duration::from_secs_f64(timeout.min(LONGEST_CALL)),
        retries: u32::try_from(std::cmp::min(retries, MOST_RETRIES)).unwrap_or(0),
        backoff: Duration::from_secs_f64(number("backoff_factor", 0.3)?.min(LONGEST_CALL)),
    })
}
