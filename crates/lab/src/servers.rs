//! Servers of Debian's for the length of a value: in a temporary folder, as an unprivileged user, on free ports of the
//! loopback interface, or of another one. Nothing of the machine's own servers is touched, and they end with the process that started them,
//! however it ends.

mod postgres;
mod rabbitmq;

pub use postgres::{Postgres, Shutdown};
pub use rabbitmq::Rabbit;

use anyhow::{Context as _, Result, bail};
use hostcmd::{Child, Command};
use std::ffi::OsStr;
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::time::Duration;
use tempfile::TempDir;
use tokio::time::Instant;

/// For programs that only prepare something.
const SHORT: Duration = Duration::from_mins(1);
/// Until a server answers, on a computer that is busy.
const READY: Duration = Duration::from_mins(5);
/// Between two looks whether it does.
const LOOK: Duration = Duration::from_millis(50);
/// Looks whether a process is gone that was told to go at once.
const LAST_LOOKS: u32 = 500;

/// A TCP port of the loopback interface that nobody uses now.
///
/// # Errors
/// When the system has none left.
pub fn idle_port() -> Result<u16> {
    let [port] = idle_ports(Ipv4Addr::LOCALHOST)?;
    Ok(port)
}

/// As many of an address, all different.
fn idle_ports<const N: usize>(address: Ipv4Addr) -> Result<[u16; N]> {
    // All are held until the last is found.
    let mut held = Vec::with_capacity(N);
    let mut ports = [0; N];
    for port in &mut ports {
        let listener = TcpListener::bind((address, 0)).context("look for a free port")?;
        *port = listener.local_addr()?.port();
        held.push(listener);
    }
    Ok(ports)
}

/// Whose server it is.
#[derive(Clone, Copy, Debug)]
struct Account {
    user: &'static str,
    /// What the kernel sends when this process has died.
    signal: &'static str,
}

impl Account {
    /// An empty folder of its own in `parent`.
    async fn folder(self, parent: &Path, prefix: &str) -> Result<TempDir> {
        let folder = tempfile::Builder::new().prefix(prefix).tempdir_in(parent);
        let folder = folder.with_context(|| format!("make a folder in {}", parent.display()))?;
        self.give(folder.path()).await?;
        Ok(folder)
    }

    /// Makes a folder with what is in it the account's.
    async fn give(self, folder: &Path) -> Result<()> {
        if crate::is_root() {
            Command::new("chown").args(["-R", self.user]).arg(folder).run(SHORT).await?;
        }
        Ok(())
    }

    /// A program of the account's: these servers refuse to run as root.
    fn command(self, program: impl AsRef<OsStr>) -> Command {
        // Unlike runuser it becomes the program, which then gets the signals.
        let start = Command::new("setpriv").args(["--pdeathsig", self.signal]);
        let user = self.user;
        let start = if crate::is_root() {
            start.args([&format!("--reuid={user}"), &format!("--regid={user}"), "--init-groups"])
        } else {
            start
        };
        start.arg(program).cwd("/tmp")
    }
}

/// Waits until `answers`.
async fn await_ready(server: &mut Child, name: &str, answers: impl AsyncFn() -> bool) -> Result<()> {
    let began = Instant::now();
    while began.elapsed() < READY {
        if let Some(status) = server.try_wait()? {
            bail!("{name} ended with {status}:\n{}", server.log_tail());
        }
        if answers().await {
            return Ok(());
        }
        tokio::time::sleep(LOOK).await;
    }
    bail!("{name} was not ready in time:\n{}", server.log_tail())
}

/// Waits for a process that was told to go, so that its folder may be removed.
#[expect(clippy::disallowed_methods, reason = "a destructor cannot wait otherwise")]
fn await_end(server: &mut Child) {
    for _ in 0..LAST_LOOKS {
        if !matches!(server.try_wait(), Ok(None)) {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_differ() {
        let mut ports = idle_ports::<8>(Ipv4Addr::LOCALHOST).unwrap().to_vec();
        ports.sort_unstable();
        ports.dedup();
        assert_eq!(ports.len(), 8);
    }
}
