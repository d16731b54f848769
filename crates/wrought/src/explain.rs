//! `wrought node explain`: what a node is doing, for people. Asks the API, or the database when the service is down.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::Args;
use model::Timestamp;
use serde_json::Value;
use server::Config;

/// How long the API may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// Steps to come that are named.
const STEPS: usize = 8;

/// Whom to ask about which node.
#[derive(Args)]
pub(crate) struct ExplainArgs {
    /// UUID or name of the node.
    node: String,
    /// The API.
    #[arg(long, env = "OS_ENDPOINT", default_value = "http://127.0.0.1:6385")]
    url: String,
    /// The user, for HTTP basic authentication; without one, none is used.
    #[arg(long, env = "OS_USERNAME")]
    user: Option<String>,
    /// A file with the password, in its first line. Default: the environment's `OS_PASSWORD`.
    #[arg(long)]
    password_file: Option<PathBuf>,
    /// The password: only by the environment, as arguments are everybody's to see.
    #[arg(long, env = "OS_PASSWORD", hide = true, hide_env_values = true)]
    password: Option<String>,
    /// The service's configuration: its database is read, not the API. Nothing is changed in it.
    #[arg(long)]
    config: Option<PathBuf>,
    /// Show all that is known, as JSON.
    #[arg(long)]
    json: bool,
}

/// Without the password.
impl std::fmt::Debug for ExplainArgs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ExplainArgs")
            .field("node", &self.node)
            .field("url", &self.url)
            .finish_non_exhaustive()
    }
}

/// Asks, and puts the answer in words.
pub(crate) fn run(arguments: &ExplainArgs) -> anyhow::Result<String> {
    server::install_tls_provider();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let known = match &arguments.config {
        Some(path) => runtime.block_on(server::explain(&Config::load(Some(path))?, &arguments.node))?,
        None => runtime.block_on(ask(arguments))?,
    };
    if arguments.json {
        return Ok(format!("{}\n", serde_json::to_string_pretty(&known)?));
    }
    Ok(told(&known, Timestamp::now()))
}

async fn ask(arguments: &ExplainArgs) -> anyhow::Result<Value> {
    let mut url: reqwest::Url = arguments.url.parse().context("--url is no URL")?;
    {
        let Ok(mut path) = url.path_segments_mut() else { bail!("--url is no base URL") };
        path.pop_if_empty().extend(["v1", "nodes", &arguments.node, "progress"]);
    }
    let client = reqwest::Client::builder().timeout(PATIENCE).build()?;
    let mut request = client.get(url).header("X-OpenStack-Ironic-API-Version", "latest");
    if let Some(user) = &arguments.user {
        request = request.basic_auth(user, password(arguments)?);
    }
    let response = request.send().await.with_context(|| {
        format!("cannot ask {}; --config reads the database of a service that is down", arguments.url)
    })?;
    let status = response.status();
    let body = response.text().await?;
    match status.as_u16() {
        200 => serde_json::from_str(&body).context("the answer is no JSON: is this the API of this service?"),
        401 => bail!("the API wants a user and a password: set --user and OS_PASSWORD"),
        _ => bail!("the API answers {status}: {}", fault(&body)),
    }
}

fn password(arguments: &ExplainArgs) -> anyhow::Result<Option<String>> {
    let Some(path) = &arguments.password_file else { return Ok(arguments.password.clone()) };
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(text.lines().next().map(str::to_owned))
}

/// What an error's body says.
fn fault(body: &str) -> String {
    let outer: Value = serde_json::from_str(body).unwrap_or_default();
    let inner = outer["error_message"].as_str().and_then(|text| serde_json::from_str::<Value>(text).ok());
    let text = inner.as_ref().and_then(|inner| inner["faultstring"].as_str());
    text.unwrap_or(body).chars().take(500).collect()
}

/// In words.
fn told(known: &Value, now: Timestamp) -> String {
    let mut out = String::new();
    let node = &known["node"];
    let name = node["name"].as_str().map(|name| format!("{name} ")).unwrap_or_default();
    let target = node["target_provision_state"].as_str().map(|to| format!(", on its way to '{to}'"));
    // Writing to a String does not fail.
    let _ = writeln!(
        out,
        "Node:       {name}({}), driver {}\nState:      '{}'{}{}; {}",
        node["uuid"].as_str().unwrap_or_default(),
        node["driver"].as_str().unwrap_or_default(),
        node["provision_state"].as_str().unwrap_or("unknown"),
        since(&node["state_since"], now),
        target.unwrap_or_default(),
        node["power_state"].as_str().unwrap_or("power unknown"),
    );
    if node["maintenance"] == true {
        let why = node["maintenance_reason"].as_str().unwrap_or("no reason given");
        let _ = writeln!(out, "Maintenance: {why}");
    }
    out.push_str(&work(known, now));
    let boot = &known["last_boot"];
    if let Some(summary) = boot["summary"].as_str() {
        let _ = writeln!(out, "Last boot:  {summary}{}", since(&boot["started_at"], now));
        if let Some(next) = boot["next_step"].as_str() {
            let _ = writeln!(out, "            {next}");
        }
    }
    if let Some(error) = known["last_error"].as_str() {
        let _ = writeln!(out, "Last error: {error}");
        if let Some(code) = known["code"].as_str() {
            let _ = writeln!(out, "            More: wrought explain {code}");
        }
    }
    out
}

/// The flow: what is done, by whom, and what is to come.
fn work(known: &Value, now: Timestamp) -> String {
    let Some(flow) = known["flow"].as_str() else { return "Doing:      nothing\n".to_owned() };
    let mut out = String::new();
    let step = known["step"].as_str().map(|step| format!(", step {step}")).unwrap_or_default();
    let doing = known["doing"].as_str().or(known["phase"].as_str()).unwrap_or("between two actions");
    let until = known["deadline"].as_str().map(|at| format!(", until {at} at most")).unwrap_or_default();
    let _ = writeln!(out, "Doing:      {flow}{step}: {doing}{}{until}", since(&known["since"], now));
    if let Some(done) = known["bytes_done"].as_u64() {
        let of = known["bytes_total"].as_u64().map(|total| format!(" of {total}")).unwrap_or_default();
        let phase = known["phase"].as_str().unwrap_or_default();
        let _ = writeln!(out, "            {phase}: {done}{of} bytes");
    }
    if let Some(failure) = known["failure"].as_str() {
        let _ = writeln!(out, "Failing:    {failure}");
    }
    let holder = known["held_by"].as_str();
    let _ = writeln!(out, "Held by:    {}", holder.unwrap_or("nobody: it waits, or is asked only"));
    let steps = known["remaining"].as_array().map(Vec::as_slice).unwrap_or_default();
    for (index, step) in steps.iter().take(STEPS).enumerate() {
        let actions: Vec<&str> =
            step["actions"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let head = if index == 0 { "Then:       " } else { "            " };
        let _ = writeln!(out, "{head}{}: {}", step["step"].as_str().unwrap_or_default(), actions.join(", "));
    }
    if steps.len() > STEPS {
        let _ = writeln!(out, "            and {} more steps", steps.len() - STEPS);
    }
    out
}

/// ` since … (… ago)`; nothing when it is not known.
fn since(at: &Value, now: Timestamp) -> String {
    let Some(text) = at.as_str() else { return String::new() };
    match text.parse::<Timestamp>() {
        Ok(at) => format!(" since {text} ({} ago)", ago(now.since(at))),
        Err(_) => format!(" since {text}"),
    }
}

fn ago(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / 60),
        7200..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} days", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_node_at_work_in_words() {
        let now = "2026-11-22T10:01:00+00:00".parse().unwrap();
        let known = json!({
            "node": {
                "uuid": "u-1", "name": "rack1", "driver": "ipmi", "provision_state": "wait call-back",
                "target_provision_state": "active", "power_state": "power on", "maintenance": false,
                "state_since": "2026-11-22T10:00:00.000000+00:00",
            },
            "flow": "deploy", "step": "deploy.deploy", "doing": "waiting for the agent",
            "since": "2026-11-22T10:00:30.000000+00:00", "deadline": "2026-11-22T10:30:00.000000+00:00",
            "held_by": null,
            "remaining": [{"step": "deploy.write_image", "actions": ["having the agent run the step"]}],
            "last_boot": {"summary": "So far: it fetched the kernel.", "started_at": null},
            "last_error": "deploy failed: E0514: gone", "code": "E0514",
        });
        let text = told(&known, now);
        for line in [
            "Node:       rack1 (u-1), driver ipmi",
            "State:      'wait call-back' since 2026-11-22T10:00:00.000000+00:00 (60 s ago), on its way to 'active'; power on",
            "Doing:      deploy, step deploy.deploy: waiting for the agent since 2026-11-22T10:00:30.000000+00:00 (30 s ago), until 2026-11-22T10:30:00.000000+00:00 at most",
            "Held by:    nobody: it waits, or is asked only",
            "Then:       deploy.write_image: having the agent run the step",
            "Last boot:  So far: it fetched the kernel.",
            "            More: wrought explain E0514",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
    }

    #[test]
    fn an_idle_node_does_nothing() {
        let text = told(&json!({"node": {"uuid": "u", "provision_state": "available"}}), Timestamp::now());
        assert!(text.contains("Doing:      nothing") && !text.contains("Last"), "{text}");
    }
}
