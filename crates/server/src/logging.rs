//! The service's own log, on standard error.

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::FmtSpan;

use crate::config::{Log, LogFormat};

/// Starts the log. Call once.
pub fn start_logging(log: &Log) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(log.filter.as_deref().unwrap_or("info"))
        .map_err(|error| anyhow::anyhow!("[log] filter cannot be read: {error}"))?;
    // The client of the message bus logs what it carries, secrets and all, when asked for everything.
    let filter = filter.add_directive("lapin=info".parse()?);
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_span_events(FmtSpan::NONE)
        .with_writer(std::io::stderr);
    let started = match log.format {
        LogFormat::Text => builder.with_ansi(false).try_init(),
        LogFormat::Json => builder.json().try_init(),
    };
    started.map_err(|error| anyhow::anyhow!("the log cannot be started: {error}"))
}
