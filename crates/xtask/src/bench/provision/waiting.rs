//! Machines that wait: half of them in a cleaning, half in a deployment, each with an agent that works on a step and calls
//! now and then. What the service needs for that, and how fast it answers others meanwhile.

use super::super::load::{Call, Target, percentile};
use super::super::usage;
use super::lives::{AT_ONCE, Client, Newcomer};
use super::site::Machine;
use anyhow::{Context as _, Result, bail};
use futures_util::StreamExt as _;
use futures_util::stream;
use serde::Deserialize;
use serde_json::Value;
use std::time::Duration;
use tokio::time::Instant;

/// Between two reads of a node.
const READ_PAUSE: Duration = Duration::from_millis(20);
/// Between two looks whether all agents are at work.
const LOOK: Duration = Duration::from_secs(1);
/// How long it may take until nothing changes: no machine gets to work, no agent calls.
const PATIENCE: Duration = Duration::from_mins(10);
/// The states with the field that names the step, and the steps that agents are at.
const AT_WORK: [(&str, &str); 2] = [("clean%20wait", "clean_step"), ("wait%20call-back", "deploy_step")];
/// The metric of heartbeats.
const HEARTBEATS: &str = "wrought_heartbeats_total";

/// What to look at.
#[derive(Debug)]
pub(super) struct Watch {
    /// How long; and until each agent has called once.
    pub(super) length: Duration,
    /// The service.
    pub(super) pid: u32,
    /// Its memory at its start.
    pub(super) idle_kib: u64,
}

/// What was seen.
#[derive(Clone, Copy, Debug, serde::Serialize)]
pub(super) struct Waited {
    pub(super) machines: usize,
    pub(super) seconds: f64,
    pub(super) heartbeats: u64,
    /// Processor seconds of the service's own process.
    pub(super) cpu: f64,
    /// With those that work for it.
    pub(super) cpu_all: f64,
    pub(super) idle_kib: u64,
    pub(super) resident_kib: u64,
    /// Without the pages of files that are mapped.
    pub(super) anonymous_kib: u64,
    pub(super) reads: usize,
    pub(super) p50_ms: f64,
    pub(super) p99_ms: f64,
}

/// Brings machines to their wait, by the same requests as any client.
pub(super) async fn gather(target: &Target, machines: &[Machine], instance: &Value) -> Result<()> {
    let client = Client::new(target);
    let going = stream::iter(machines.iter().enumerate())
        .map(|(index, machine)| wait(&client, machine, (index % 2 == 1).then_some(instance)))
        .buffer_unordered(AT_ONCE);
    client.attend(going).await?;
    let (mut most, mut changed) = (0, Instant::now());
    loop {
        let count = at_work(&client).await?;
        if count == machines.len() {
            return Ok(());
        }
        if count > most {
            (most, changed) = (count, Instant::now());
        }
        if changed.elapsed() > PATIENCE {
            bail!("only {count} of {} agents are at work", machines.len());
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// A cleaning, or a deployment of `instance`.
async fn wait(client: &Client<'_>, machine: &Machine, instance: Option<&Value>) -> Result<()> {
    let uuid = &machine.uuid;
    client.enroll(&Newcomer::from(machine)).await?;
    client.verb(uuid, "manage", "manageable").await?;
    let Some(instance) = instance else { return client.ask(uuid, "provide").await };
    client.set(uuid, instance).await?;
    client.do_not_clean(uuid).await?;
    client.verb(uuid, "provide", "available").await?;
    client.ask(uuid, "active").await
}

/// How many nodes wait for a step of their agent.
async fn at_work(client: &Client<'_>) -> Result<usize> {
    #[derive(Deserialize)]
    struct List {
        nodes: Vec<Value>,
    }
    let mut count = 0;
    for (state, field) in AT_WORK {
        let page = |body: &[u8]| {
            let list: List = serde_json::from_slice(body).context("a list of nodes")?;
            let works = |node: &&Value| {
                let step = node[field]["step"].as_str();
                step.is_some_and(|step| step == "write_image" || step.starts_with("erase"))
            };
            count += list.nodes.iter().filter(works).count();
            Ok(())
        };
        client.lines.walk(format!("/v1/nodes?provision_state={state}&fields=uuid,{field}"), page).await?;
    }
    Ok(count)
}

/// Watches machines that wait.
pub(super) async fn watch(target: &Target, machines: &[Machine], watch: &Watch) -> Result<Waited> {
    let client = Client::new(target);
    let all = u64::try_from(machines.len())?;
    let (heartbeats, before) = (heartbeats(&client).await?, target.processor()?);
    let began = Instant::now();
    let mut latencies = Vec::new();
    let mut called = 0;
    for machine in machines.iter().cycle() {
        let asked = Instant::now();
        client.lines.order(&Call::get(format!("/v1/nodes/{}", machine.uuid))).await?;
        latencies.push(asked.elapsed());
        tokio::time::sleep(READ_PAUSE).await;
        if began.elapsed() < watch.length {
            continue;
        }
        called = self::heartbeats(&client).await?.saturating_sub(heartbeats);
        if called >= all {
            break;
        }
        if began.elapsed() > watch.length + PATIENCE {
            bail!("{called} heartbeats of {all} agents in {:?}", began.elapsed());
        }
    }
    let (seconds, after) = (began.elapsed().as_secs_f64(), target.processor()?);
    latencies.sort_unstable();
    let memory = usage::memory(watch.pid)?;
    let ms = |part| percentile(&latencies, part).as_secs_f64() * 1e3;
    Ok(Waited {
        machines: machines.len(),
        seconds,
        heartbeats: called,
        cpu: after.0.saturating_sub(before.0).as_secs_f64(),
        cpu_all: after.1.saturating_sub(before.1).as_secs_f64(),
        idle_kib: watch.idle_kib,
        resident_kib: memory.resident,
        anonymous_kib: memory.anonymous,
        reads: latencies.len(),
        p50_ms: ms(50),
        p99_ms: ms(99),
    })
}

/// Heartbeats that the service has taken so far, as it tells.
async fn heartbeats(client: &Client<'_>) -> Result<u64> {
    let text = client.lines.order(&Call::get("/metrics")).await?;
    Ok(sum(&String::from_utf8_lossy(&text), HEARTBEATS))
}

/// The sum over a family's series.
fn sum(text: &str, family: &str) -> u64 {
    let series = text.lines().filter_map(|line| line.strip_prefix(family));
    let series = series.filter(|rest| rest.starts_with(['{', ' ']));
    series.filter_map(|rest| rest.rsplit_once(' ')?.1.parse::<u64>().ok()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_family_is_the_sum_of_its_series() {
        let text =
            "# TYPE a_total counter\na_total{x=\"1\"} 3\na_total{x=\"2\"} 4\na_total_other 9\na_total 1\n";
        assert_eq!(sum(text, "a_total"), 8);
        assert_eq!(sum(text, "b_total"), 0);
    }
}
