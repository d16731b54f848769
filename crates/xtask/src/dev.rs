//! `cargo xtask dev`: the optimised service in the foreground, without login, for load tests and for trying the API.

use crate::postgres::Postgres;
use crate::process::command;
use crate::servers::database_section;
use crate::{build, say, setup};
use anyhow::{Context as _, Result, bail};
use lab::LabDir;
use std::fs;
use std::path::PathBuf;
use std::process::Stdio;

/// What to run.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct DevOptions {
    /// Port of the API on the loopback interface
    #[arg(long, default_value_t = 6385)]
    port: u16,
    /// Where the service keeps its records
    #[arg(long, value_enum, default_value = "sqlite")]
    database: Database,
    /// A service built before, in the place of this tree's
    #[arg(long)]
    service: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Database {
    Sqlite,
    Postgres,
}

/// Removed at the end.
struct Scratch(PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).ok();
    }
}

/// Runs until interrupted.
pub(crate) fn run(dir: &LabDir, options: &DevOptions) -> Result<()> {
    setup::ensure(dir)?;
    let binary = options.service.clone().map_or_else(build::service, Ok)?;
    let scratch = Scratch(dir.root().join(format!("dev-{}", std::process::id())));
    fs::create_dir_all(&scratch.0)?;
    let postgres = match options.database {
        Database::Sqlite => None,
        Database::Postgres => Some(Postgres::start(&scratch.0.join("postgres"))?),
    };
    let config = scratch.0.join("wrought.toml");
    fs::write(
        &config,
        configuration(&scratch.0, options.port, postgres.as_ref().map(Postgres::url).as_deref()),
    )?;
    say(&format!("API at http://127.0.0.1:{} without login; end with Ctrl-C", options.port));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        // The terminal's Ctrl-C reaches the service as well: this only waits for it to end, so that the database ends last.
        let mut interrupt = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::interrupt())?;
        let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
        let mut serve = tokio::process::Command::from(command(&binary));
        serve.args(["serve", "--config"]).arg(&config).stdin(Stdio::null()).kill_on_drop(true);
        let mut service = serve.spawn().with_context(|| format!("start {}", binary.display()))?;
        let pid = service.id();
        let status = loop {
            tokio::select! {
                status = service.wait() => break status?,
                _ = interrupt.recv() => {}
                _ = terminate.recv() => forward_termination(pid),
            }
        };
        if status.success() { Ok(()) } else { bail!("the service ended with {status}") }
    })
}

/// A SIGTERM comes to this process alone.
fn forward_termination(pid: Option<u32>) {
    let pid = pid.and_then(|pid| i32::try_from(pid).ok()).and_then(rustix::process::Pid::from_raw);
    if let Some(pid) = pid {
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).ok();
    }
}

fn configuration(scratch: &std::path::Path, port: u16, database: Option<&str>) -> String {
    let data = scratch.join("data");
    let mut text = format!(
        "data_dir = \"{}\"\n\n[api]\nlisten = [\"127.0.0.1:{port}\"]\nauth = \"noauth\"\n\n\
         [conductor]\nenabled_hardware_types = [\"fake-hardware\", \"ipmi\", \"redfish\"]\n",
        data.display()
    );
    text.push_str(&database_section(database));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configuration_is_toml() {
        let text = configuration(std::path::Path::new("/s"), 7000, Some("postgres://x"));
        let config: toml::Table = text.parse().unwrap();
        assert_eq!(config["api"]["auth"].as_str(), Some("noauth"));
        assert_eq!(config["api"]["listen"][0].as_str(), Some("127.0.0.1:7000"));
        assert_eq!(config["database"]["url"].as_str(), Some("postgres://x"));
        assert!(!configuration(std::path::Path::new("/s"), 7000, None).contains("database"));
    }
}
