//! What callers send along with a verb, as the core takes it: steps of the request, and those of deploy templates.

use std::collections::BTreeSet;

use conductor_api::{ProvisionArgs, RequestError};
use model::{JsonObject, Node, NodeUuid};
use provision::{FsmEvent, RequestedStep, Verb, Wish};
use serde_json::Value;

use crate::agent::store_error;
use crate::engine::Engine;

/// One step of a request; the API has checked its shape.
fn step(value: &Value) -> Result<(u64, RequestedStep), RequestError> {
    let text = |key: &str| value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let whole = |key: &str| match value.get(key) {
        Some(Value::String(text)) => text.parse().ok(),
        other => other.and_then(Value::as_u64),
    };
    let args = match value.get("args") {
        Some(Value::Object(map)) => JsonObject::from(map.clone()),
        _ => JsonObject::default(),
    };
    let requested = RequestedStep {
        interface: text("interface"),
        step: text("step"),
        args,
        priority: i64::try_from(whole("priority").unwrap_or(0)).unwrap_or(i64::MAX),
        children: children(value)?,
    };
    Ok((whole("order").unwrap_or(0), requested))
}

/// The children that a step is to run on, when it is to run on children at all.
fn children(step: &Value) -> Result<Option<Vec<NodeUuid>>, RequestError> {
    let wanted = match step.get("execute_on_child_nodes") {
        Some(Value::String(text)) => text.eq_ignore_ascii_case("true"),
        Some(value) => value.as_bool().unwrap_or(false),
        None => false,
    };
    if !wanted {
        return Ok(None);
    }
    let only = step.get("limit_child_node_execution").and_then(Value::as_array).cloned().unwrap_or_default();
    let parse = |value: &Value| {
        value.as_str().and_then(|text| text.parse().ok()).ok_or_else(|| {
            RequestError::Invalid("limit_child_node_execution: expected UUIDs of nodes.".to_owned())
        })
    };
    only.iter().map(parse).collect::<Result<_, _>>().map(Some)
}

/// The steps of a list: by `order` where it is given, else as they stand.
fn steps(list: Option<&Vec<Value>>) -> Result<Vec<RequestedStep>, RequestError> {
    let mut steps = list.into_iter().flatten().map(step).collect::<Result<Vec<_>, _>>()?;
    steps.sort_by_key(|(order, _)| *order);
    Ok(steps.into_iter().map(|(_, step)| step).collect())
}

impl Engine {
    /// What goes along with `verb`: the caller's steps, and those that the instance's traits ask for.
    pub(crate) async fn wish(
        &self,
        node: &Node,
        verb: Verb,
        args: &ProvisionArgs,
    ) -> Result<Wish, RequestError> {
        let list = match verb.event() {
            FsmEvent::Clean => args.clean_steps.as_ref(),
            FsmEvent::Service => args.service_steps.as_ref(),
            FsmEvent::Deploy | FsmEvent::Rebuild => args.deploy_steps.as_ref(),
            _ => None,
        };
        let deploys = matches!(verb.event(), FsmEvent::Deploy | FsmEvent::Rebuild);
        let wish = Wish {
            steps: steps(list)?,
            templates: if deploys { self.template_steps(node).await? } else { Vec::new() },
            disable_ramdisk: args.disable_ramdisk,
        };
        self.options.disallowed_steps.refuse(verb.event(), &wish).map_err(RequestError::Invalid)?;
        Ok(wish)
    }

    /// The steps of the deploy templates that are named like a trait of the instance.
    async fn template_steps(&self, node: &Node) -> Result<Vec<RequestedStep>, RequestError> {
        let names = instance_traits(node);
        if names.is_empty() {
            return Ok(Vec::new());
        }
        let templates = self.db.deploy_templates_named(names).await.map_err(|error| store_error(&error))?;
        let mut seen = BTreeSet::new();
        let mut steps = Vec::new();
        for template in templates {
            for step in template.steps {
                let label = format!("{}.{}", step.interface, step.step);
                if !seen.insert(label.clone()) {
                    return Err(RequestError::Invalid(format!(
                        "Step {label} is in several deploy templates of the instance's traits; one of them is {}.",
                        template.name
                    )));
                }
                steps.push(RequestedStep {
                    interface: step.interface,
                    step: step.step,
                    args: step.args,
                    priority: step.priority,
                    children: None,
                });
            }
        }
        Ok(steps)
    }
}

/// The traits that the instance asks for.
pub(crate) fn instance_traits(node: &Node) -> Vec<String> {
    let Some(Value::Array(traits)) = node.instance_info.get("traits") else { return Vec::new() };
    traits.iter().filter_map(Value::as_str).map(str::to_owned).collect()
}
