//! Moving nodes through their life.

use api_types::{StepRules, check_config_drive, check_steps, flag};
use conductor_api::ProvisionArgs;
use http::StatusCode;
use microversion::{param_gate, since, value_gate, verb_gate};
use model::{Node, Runbook, Secret};
use provision::{Refusal, Verb};
use serde_json::{Map, Value, json};

use super::node_power::admit;
use super::runbooks;
use crate::error::ApiError;
use crate::reply::{Answer, Reply};
use crate::request::Request;
use crate::store;

/// `PUT /v1/nodes/{node_ident}/states/provision`
pub(crate) async fn provision(request: Request) -> Answer {
    let mut body = request.shaped()?;
    body.retain(|_, value| !value.is_null());
    let verb = verb(&request, &body)?;
    let runbook = runbook(&request, verb, &mut body).await?;
    let mut args = arguments(&request, verb, body, runbook.is_some())?;
    let node = request.node("baremetal:node:set_provision_state").await?;
    if let Some(runbook) = runbook {
        authorise_runbook(&request, &runbook, &node)?;
        follow(verb, runbook, &mut args);
    } else {
        authorise_steps(&request, &args, &node)?;
    }
    judge(&request, &node, verb)?;
    request.conductor_of(&node, StatusCode::NOT_FOUND)?;
    request.state.conductors.provision(node.uuid, verb, args).await?;
    Ok(Reply::accepted().at(request.url(&format!("nodes/{}/states", request.param("node_ident")))))
}

/// The runbook that the request names in place of steps.
async fn runbook(
    request: &Request,
    verb: Verb,
    body: &mut Map<String, Value>,
) -> Result<Option<Runbook>, ApiError> {
    let Some(value) = body.remove("runbook") else { return Ok(None) };
    admit(request, param_gate("provision", "runbook"), "'runbook'")?;
    if !matches!(verb, Verb::Clean | Verb::Service) {
        return Err(ApiError::bad_request("/runbook: only the verbs clean and service take it"));
    }
    if let Some(steps) = ["clean_steps", "service_steps"].into_iter().find(|key| body.contains_key(*key)) {
        return Err(ApiError::bad_request(format!("/runbook: give either a runbook or {steps}")));
    }
    let ident = value.as_str().ok_or_else(|| ApiError::bad_request("/runbook: expected a name or a UUID"))?;
    runbooks::find_named(request, ident).await.map(Some)
}

/// Whether the caller may run the runbook, and the node is one that it is for.
fn authorise_runbook(request: &Request, runbook: &Runbook, node: &Node) -> Result<(), ApiError> {
    // To be public is to be seen by all; who may use it is asked of the rule all the same.
    runbooks::authorise(request, "baremetal:runbook:use", runbook)?;
    let has = |name: &str| node.traits.iter().any(|own| own.as_str() == name);
    let fits = if request.version.at_least(const { since("runbook-traits") }) {
        runbook.traits.iter().any(|wanted| has(wanted.as_str()))
    } else {
        has(&runbook.name)
    };
    if fits {
        return Ok(());
    }
    Err(ApiError::bad_request(format!(
        "/runbook: runbook {} is not for node {}: the node has none of its traits",
        runbook.name, node.uuid
    )))
}

/// The runbook's steps, as if the caller had given them.
fn follow(verb: Verb, runbook: Runbook, args: &mut ProvisionArgs) {
    let steps = runbook.steps.into_iter().map(|step| {
        json!({
            "interface": step.interface,
            "step": step.step,
            "args": step.args,
            "order": step.priority,
        })
    });
    let list = if verb == Verb::Clean { &mut args.clean_steps } else { &mut args.service_steps };
    *list = Some(steps.collect());
    args.disable_ramdisk |= runbook.disable_ramdisk;
}

fn verb(request: &Request, body: &Map<String, Value>) -> Result<Verb, ApiError> {
    let text = body.get("target").and_then(Value::as_str);
    let text = text.ok_or_else(|| ApiError::bad_request("/target: expected a verb such as 'active'"))?;
    let verb: Verb = text.parse().map_err(|error| ApiError::bad_request(format!("/target: {error}")))?;
    admit(request, verb_gate(text), &format!("The verb '{text}'"))?;
    Ok(verb)
}

/// The arguments that `verb` takes; others are refused.
fn arguments(
    request: &Request,
    verb: Verb,
    mut body: Map<String, Value>,
    by_runbook: bool,
) -> Result<ProvisionArgs, ApiError> {
    body.remove("target");
    let disable_ramdisk = disable_ramdisk(request, verb, body.remove("disable_ramdisk"))?;
    let mut args = ProvisionArgs {
        disable_ramdisk,
        user: request.caller().user.clone(),
        project: request.caller().project.clone(),
        ..ProvisionArgs::default()
    };
    match verb {
        Verb::Active | Verb::Rebuild => {
            args.configdrive = config_drive(request, verb, body.remove("configdrive"))?;
            args.deploy_steps = deploy_steps(request, body.remove("deploy_steps"))?;
        }
        Verb::Clean | Verb::Service if by_runbook => {}
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
    let missing = || ApiError::bad_request(format!("/{}: at least one step is required", rules.name));
    let steps = check_steps(value.ok_or_else(missing)?, rules)?;
    if steps.is_empty() { Err(missing()) } else { Ok(steps) }
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
    provision::check(node, None, verb).or_else(|refusal| match &refusal {
        // Whoever finds the node at work should come back later, not give up.
        Refusal::WrongState { .. } => {
            store::unlocked(node)?;
            Err(ApiError::bad_request(refusal.to_string()))
        }
        Refusal::Protected { .. } => Err(ApiError::forbidden(refusal.to_string())),
        Refusal::Busy { .. } | Refusal::InMaintenance { .. } => Err(ApiError::conflict(refusal.to_string())),
        Refusal::Maintenance { .. } | Refusal::Retired { .. } | Refusal::Steps { .. } => {
            Err(ApiError::bad_request(refusal.to_string()))
        }
    })?;
    if verb == Verb::Abort {
        let gate = value_gate("abort.from", node.provision_state.as_str());
        admit(request, gate, &format!("abort in '{}'", node.provision_state))?;
    }
    Ok(())
}
