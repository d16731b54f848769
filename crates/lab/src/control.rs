//! Talks to `labd.py` over its control socket: one JSON line each way. For a test's own set-up and for measuring; the
//! service under test uses the BMCs.

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::path::Path;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::UnixStream;

/// Longer than `labd.py` waits for a QEMU process to end.
const DEADLINE: Duration = Duration::from_secs(20);

/// What a machine does at the moment.
#[derive(Clone, Debug, Deserialize)]
pub struct MachineInfo {
    /// `vm0`, ...
    pub name: String,
    /// `on` or `off`.
    pub power: String,
    /// Boot override as Redfish names it (`Pxe`, `Hdd`, `Cd`), if any.
    pub boot: Option<String>,
    /// Whether the override is for one boot.
    pub once: bool,
    /// `bios` or `uefi`.
    pub firmware: String,
    /// Seconds of processor time that QEMU has used since power on, reboots included.
    pub cpu_seconds: f64,
    /// Seconds since it was powered on.
    pub on_seconds: Option<f64>,
    /// QEMU's process.
    pub pid: Option<u32>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Answer {
    Ok(serde_json::Value),
    Error(String),
}

/// Sends `request` (operation, machine, arguments) and decodes the answer.
pub(crate) async fn ask<T: DeserializeOwned>(socket: &Path, request: &[&str]) -> Result<T> {
    let exchange = tokio::time::timeout(DEADLINE, exchange(socket, request));
    let line = exchange.await.with_context(|| format!("the lab did not answer to {request:?}"))??;
    match serde_json::from_str(&line).context("decode the lab's answer")? {
        Answer::Ok(value) => serde_json::from_value(value).context("decode the lab's answer"),
        Answer::Error(text) => bail!("the lab refused {request:?}: {text}"),
    }
}

async fn exchange(socket: &Path, request: &[&str]) -> Result<String> {
    let mut stream = UnixStream::connect(socket)
        .await
        .with_context(|| format!("reach the lab at {}", socket.display()))?;
    let mut line = serde_json::to_vec(request)?;
    line.push(b'\n');
    stream.write_all(&line).await?;
    let mut answer = String::new();
    BufReader::new(stream).read_line(&mut answer).await?;
    Ok(answer)
}
