//! Waits for a moment of a flow, as the API shows it, and reads what an agent printed. For the tasks that disturb flows.

use crate::api::Client;
use anyhow::{Context as _, Result, bail};
use lab::Machine;
use std::time::Duration;
use tokio::time::Instant;

/// A moment that has not come until then will not come.
const LIMIT: Duration = Duration::from_mins(4);
/// Between two looks: some moments are short.
const LOOK: Duration = Duration::from_millis(20);

/// Where a node stands.
#[derive(Clone, Debug, Default)]
pub(crate) struct Standing {
    /// Its provision state.
    pub(crate) state: String,
    /// Its step, as `deploy.write_image`; empty between flows.
    pub(crate) step: String,
    /// What is done or waited for.
    pub(crate) phase: String,
    /// Bytes done in that phase.
    pub(crate) bytes: u64,
}

/// Waits until `is` says that this is the moment.
pub(crate) async fn reach(
    api: &Client,
    node: &str,
    what: &str,
    is: impl Fn(&Standing) -> bool,
) -> Result<Standing> {
    let start = Instant::now();
    let mut seen = Standing::default();
    while start.elapsed() < LIMIT {
        // The step first: the state can only be later.
        let progress = api.progress(node).await.unwrap_or_default();
        let state = api.node(node).await?.provision_state.unwrap_or_default();
        seen = Standing {
            state,
            step: progress.step.unwrap_or_default(),
            phase: progress.phase.unwrap_or_default(),
            bytes: progress.bytes_done.unwrap_or_default(),
        };
        if is(&seen) {
            return Ok(seen);
        }
        tokio::time::sleep(LOOK).await;
    }
    bail!("never {what} within {} s; the last look: {seen:?}", LIMIT.as_secs())
}

/// What a machine prints from now on.
#[derive(Debug)]
pub(crate) struct Printed<'a> {
    machine: Machine<'a>,
    before: usize,
}

impl<'a> Printed<'a> {
    pub(crate) fn from_now(machine: Machine<'a>) -> Result<Self> {
        Ok(Self { machine, before: read(machine)?.len() })
    }

    /// What it printed since the lab was made.
    pub(crate) fn since_start(machine: Machine<'a>) -> Self {
        Self { machine, before: 0 }
    }

    /// The lines of this tree's agent.
    pub(crate) fn by_agent(&self) -> Result<Vec<String>> {
        let all = read(self.machine)?;
        let text = String::from_utf8_lossy(all.get(self.before..).unwrap_or_default()).into_owned();
        Ok(text.lines().filter(|line| line.contains("wrought-agent: [")).map(str::to_owned).collect())
    }
}

fn read(machine: Machine<'_>) -> Result<Vec<u8>> {
    let path = machine.console_log();
    std::fs::read(&path).with_context(|| format!("read {}", path.display()))
}

/// How many lines have `text`.
pub(crate) fn count(lines: &[String], text: &str) -> usize {
    lines.iter().filter(|line| line.contains(text)).count()
}
