//! `cargo xtask schema`: requests that schemathesis makes of the service's own `OpenAPI` document, good and bad, against the
//! service; no answer may be a 500, and every one has to be as the document says. Bounded in time.

use crate::process::{command, run as run_shown};
use crate::servers::{Ours, Scratch};
use crate::{build, say, setup};
use anyhow::{Context as _, Result};
use lab::LabDir;
use reqwest::Method;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// From the Python package index.
const WHEELS: &[&str] = &["schemathesis==4.32.5"];
/// What is asked of every answer.
const CHECKS: &str =
    "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance";

/// How long to look.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct SchemaOptions {
    /// Seconds for requests about things that are there; those about things that are not get half of it
    #[arg(long, default_value_t = 60)]
    pub(crate) seconds: u32,
    /// The seed of the requests; the same seed makes the same requests
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u32,
    /// A service built before, in the place of this tree's
    #[arg(long)]
    pub(crate) service: Option<PathBuf>,
    /// Leave the service's folder, with its log
    #[arg(long)]
    pub(crate) keep: bool,
}

impl Default for SchemaOptions {
    fn default() -> Self {
        Self { seconds: 60, seed: 1, service: None, keep: false }
    }
}

/// Starts the service, asks, and ends it. An error when an answer is not as it should be.
pub(crate) fn run(dir: &LabDir, options: &SchemaOptions) -> Result<()> {
    let venv = dir.root().join("schema-venv");
    setup::ensure_venv(&venv, WHEELS)?;
    let binary = options.service.clone().map_or_else(build::plain_service, Ok)?;
    let scratch = Scratch::new(dir, "schema", options.keep)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let ours = runtime.block_on(Ours::start(&binary, &scratch.folder.join("wrought"), None))?;
    let base = format!("http://127.0.0.1:{}", ours.port);
    let known = runtime.block_on(populate(&base))?;
    let config = scratch.folder.join("schemathesis.toml");
    fs::write(&config, parameters(&known)).with_context(|| format!("write {}", config.display()))?;
    say("requests about what is there");
    let mut there = schemathesis(&venv, &scratch.folder, options, options.seconds);
    // What is removed is not there any more.
    run_shown(there.args(["--exclude-method", "DELETE"]).arg(format!("{base}/v1/openapi.json")))
        .context("see above")?;
    fs::write(&config, "").with_context(|| format!("write {}", config.display()))?;
    say("requests about what is not there");
    let mut missing = schemathesis(&venv, &scratch.folder, options, options.seconds / 2);
    run_shown(missing.arg(format!("{base}/v1/openapi.json"))).context("see above")
}

fn schemathesis(venv: &Path, folder: &Path, options: &SchemaOptions, seconds: u32) -> Command {
    let mut program = command(venv.join("bin/schemathesis"));
    program
        .current_dir(folder)
        .args(["run", "--no-color", "--checks", CHECKS, "--warnings", "off"])
        .args(["--phases", "coverage,fuzzing", "--max-examples", "15", "--suppress-health-check", "all"])
        .args(["--header", "X-OpenStack-Ironic-API-Version: latest"])
        .args(["--seed", &options.seed.to_string(), "--max-time", &seconds.to_string()]);
    program
}

/// Makes one of each kind of thing. Returns what the open parts of paths may be.
async fn populate(base: &str) -> Result<Vec<(&'static str, String)>> {
    let http = reqwest::Client::new();
    let send = async |method: Method, path: String, body: Value| -> Result<Value> {
        let request = http
            .request(method, format!("{base}{path}"))
            .header("X-OpenStack-Ironic-API-Version", "latest")
            .json(&body);
        let answer = request.send().await?.error_for_status().with_context(|| format!("make {path}"))?;
        Ok(answer.json().await.unwrap_or_default())
    };
    let uuid = |made: &Value| made["uuid"].as_str().unwrap_or_default().to_owned();
    let mut node = json!({"driver": "fake-hardware", "name": "node-1", "extra": {"a": 1}});
    node["properties"] = json!({"cpus": 4});
    let node = uuid(&send(Method::POST, "/v1/nodes".to_owned(), node).await?);
    send(Method::PUT, format!("/v1/nodes/{node}/traits"), json!({"traits": ["CUSTOM_A"]})).await?;
    let step = |turn: &str| json!({"interface": "deploy", "step": "a", "args": {}, turn: 1});
    let mut known = vec![
        ("trait", "CUSTOM_A".to_owned()),
        ("driver_name", "fake-hardware".to_owned()),
        ("hostname", "our-conductor".to_owned()),
    ];
    for (open, path, body) in [
        ("port_ident", "/v1/ports", json!({"node_uuid": node, "address": "52:54:00:12:34:56"})),
        ("portgroup_ident", "/v1/portgroups", json!({"node_uuid": node})),
        ("chassis_uuid", "/v1/chassis", json!({})),
        ("template_ident", "/v1/deploy_templates", json!({"name": "CUSTOM_T", "steps": [step("priority")]})),
        ("runbook_ident", "/v1/runbooks", json!({"name": "CUSTOM_R", "steps": [step("order")]})),
        ("uuid", "/v1/inspection_rules", json!({"actions": [{"op": "fail", "args": {"msg": "no"}}]})),
    ] {
        known.push((open, uuid(&send(Method::POST, path.to_owned(), body).await?)));
    }
    known.extend([("node_ident", node.clone()), ("node_uuid", node)]);
    Ok(known)
}

/// The configuration of schemathesis that puts `known` into the open parts of paths.
fn parameters(known: &[(&str, String)]) -> String {
    let mut text = "[parameters]\n".to_owned();
    for (name, value) in known {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "\"path.{name}\" = \"{value}\"");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_toml() {
        let text = parameters(&[("node_ident", "n-1".to_owned()), ("trait", "CUSTOM_A".to_owned())]);
        let config: toml::Table = text.parse().unwrap();
        assert_eq!(config["parameters"]["path.node_ident"].as_str(), Some("n-1"));
    }
}
