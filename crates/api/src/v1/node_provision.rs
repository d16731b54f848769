//! Moving nodes through their life.

use api_types::{StepRules, check_config_drive, check_steps, flag};
use conductor_api::ProvisionArgs;
use http::StatusCode;
use microversion::{param_gate, value_gate, verb_gate};
use model::{Node, ProvisionState, Secret};
use provision::Verb;
use serde_json::{Map, Value};

use super::node_power::admit;
use crate::error::ApiError;
use crate::reply::{Answer, Reply};
use crate::request::Request;
use crate::{rules, store};

/// `PUT /v1/nodes/{node_ident}/states/provision`
pub(crate) async fn provision(request: Request) -> Answer {
    let mut body = request.shaped()?;
    body.retain(|_, value| !value.is_null());
    let verb = verb(&request, &body)?;
    let args = arguments(&request, verb, body)?;
    let node = request.node("baremetal:node:set_provision_state").await?;
    authorise_steps(&request, &args, &node)?;
    judge(&request, &node, verb)?;
    request.conductor_of(&node, StatusCode::NOT_FOUND)?;
    request.state.conductors.provision(node.uuid, verb, args).await?;
    Ok(Reply::accepted().at(request.url(&format!("nodes/{}/states", request.param("node_ident")))))
}

fn verb(request: &Request, body: &Map<String, Value>) -> Result<Verb, ApiError> {
    let text = body.get("target").and_then(Value::as_str);
    let text = text.ok_or_else(|| ApiError::bad_request("/target: expected a verb such as 'active'"))?;
    let verb: Verb = text.parse().map_err(|error| ApiError::bad_request(format!("/target: {error}")))?;
    admit(request, verb_gate(text), &format!("The verb '{text}'"))?;
    Ok(verb)
}

/// The arguments that `verb` takes; others are refused.
fn arguments(request: &Request, verb: Verb, mut body: Map<String, Value>) -> Result<ProvisionArgs, ApiError> {
    body.remove("target");
    if body.contains_key("runbook") {
        admit(request, param_gate("provision", "runbook"), "'runbook'")?;
        return Err(ApiError::not_found("The runbook could not be found."));
    }
    let disable_ramdisk = disable_ramdisk(request, verb, body.remove("disable_ramdisk"))?;
    let mut args = ProvisionArgs {
        disable_ramdisk,
        user: request.caller.user.clone(),
        project: request.caller.project.clone(),
        ..ProvisionArgs::default()
    };
    match verb {
        Verb::Active | Verb::Rebuild => {
            args.configdrive = config_drive(request, verb, body.remove("configdrive"))?;
            args.deploy_steps = deploy_steps(request, body.remove("deploy_steps"))?;
        }
        Verb::Clean => args.clean_steps = Some(steps(body.remove("clean_steps"), StepRules::CLEAN)?),
        Verb::Service => args.service_steps = Some(steps(body.remove("service_steps"), StepRules::SERVICE)?),
        Verb::Rescue => args.rescue_password = Some(password(body.remove("rescue_password"))?),
        _ => {}
    }
    match body.keys().next() {
        Some(key) => Err(ApiError::bad_request(format!("/{key}: the verb '{verb}' takes no such argument"))),
        None => Ok(args),
    }
}

fn disable_ramdisk(request: &Request, verb: Verb, value: Option<Value>) -> Result<bool, ApiError> {
    let Some(value) = value else { return Ok(false) };
    let disable =
        flag(&value).ok_or_else(|| ApiError::bad_request("/disable_ramdisk: expected true or false"))?;
    match verb {
        Verb::Clean | Verb::Service => {
            let name = format!("{verb} with disable_ramdisk");
            admit(request, param_gate("provision", &name), "'disable_ramdisk'")?;
            Ok(disable)
        }
        _ => Err(ApiError::bad_request("/disable_ramdisk: only the verbs clean and service take it")),
    }
}

fn config_drive(request: &Request, verb: Verb, value: Option<Value>) -> Result<Option<Value>, ApiError> {
    let Some(value) = value else { return Ok(None) };
    if verb == Verb::Rebuild {
        admit(request, param_gate("provision", "rebuild with configdrive"), "'configdrive' with rebuild")?;
    }
    check_config_drive(&value, request.version)?;
    Ok(Some(value))
}

fn deploy_steps(request: &Request, value: Option<Value>) -> Result<Option<Vec<Value>>, ApiError> {
    let Some(value) = value else { return Ok(None) };
    admit(request, param_gate("provision", "deploy_steps"), "'deploy_steps'")?;
    Ok(Some(check_steps(value, StepRules::DEPLOY)?))
}

fn steps(value: Option<Value>, rules: StepRules) -> Result<Vec<Value>, ApiError> {
    let missing = || ApiError::bad_request(format!("/{}: a value is required", rules.name));
    Ok(check_steps(value.ok_or_else(missing)?, rules)?)
}

fn password(value: Option<Value>) -> Result<Secret, ApiError> {
    match value {
        Some(Value::String(text)) if !text.trim().is_empty() => Ok(Secret::new(text)),
        _ => Err(ApiError::bad_request("/rescue_password: a value that is not blank is required")),
    }
}

fn authorise_steps(request: &Request, args: &ProvisionArgs, node: &Node) -> Result<(), ApiError> {
    if args.clean_steps.is_some() {
        request.authorise("baremetal:node:set_provision_state:clean_steps", Some(node))?;
    }
    if args.service_steps.is_some() {
        request.authorise("baremetal:node:set_provision_state:service_steps", Some(node))?;
    }
    Ok(())
}

/// Whether the node as it is now allows `verb`; the conductor judges again when it records the wish.
fn judge(request: &Request, node: &Node, verb: Verb) -> Result<(), ApiError> {
    let hands_off = matches!(
        verb,
        Verb::Active
            | Verb::Deploy
            | Verb::Rebuild
            | Verb::Rescue
            | Verb::Unrescue
            | Verb::Clean
            | Verb::Service
    );
    if hands_off && node.maintenance {
        return Err(ApiError::bad_request(format!(
            "The {verb} operation can't be performed on node {} because it's in maintenance mode.",
            node.uuid
        )));
    }
    if !verb.allowed_from().any(|state| state == node.provision_state) {
        // Whoever finds the node at work should come back later, not give up.
        store::unlocked(node)?;
        let text = format!(
            "The requested action \"{verb}\" can not be performed on node \"{}\" while it is in state \"{}\".",
            node.uuid, node.provision_state
        );
        return Err(ApiError::bad_request(text));
    }
    if matches!(verb, Verb::Deleted | Verb::Undeploy | Verb::Rebuild) && node.protected {
        return Err(rules::protected(node, "torn down or rebuilt"));
    }
    if verb == Verb::Provide && node.retired {
        return Err(ApiError::bad_request(format!("Node {} is retired and cannot be provided.", node.uuid)));
    }
    if verb == Verb::Abort {
        let gate = value_gate("abort.from", node.provision_state.as_str());
        admit(request, gate, &format!("abort in '{}'", node.provision_state))?;
        if node.provision_state == ProvisionState::ServiceFailed && node.maintenance {
            return Err(ApiError::conflict(format!("Node {} is in maintenance.", node.uuid)));
        }
    }
    Ok(())
}
