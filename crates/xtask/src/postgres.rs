//! A PostgreSQL server of Debian's for the length of a value: in a temporary folder, as an unprivileged user, on a free
//! port of the loopback interface, or of another one. Nothing of the machine's own servers is touched.

use crate::process::{command, quiet};
use anyhow::{Context as _, Result, bail};
use std::fs::{self, File};
use std::io::Write as _;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const USER: &str = "wrought";
const READY_TRIES: u32 = 200;

/// A running server; ends and takes its data along when dropped.
#[derive(Debug)]
pub(crate) struct Postgres {
    process: Child,
    folder: PathBuf,
    address: Ipv4Addr,
    port: u16,
}

impl Postgres {
    /// Makes an empty database cluster in `folder` (which must not exist) and serves it.
    pub(crate) fn start(folder: &Path) -> Result<Self> {
        Self::start_at(folder, Ipv4Addr::LOCALHOST)
    }

    /// The same for everybody in the network of this address, which is to be one that nobody else is in.
    pub(crate) fn start_at(folder: &Path, address: Ipv4Addr) -> Result<Self> {
        let programs = programs()?;
        fs::create_dir_all(folder).with_context(|| format!("make {}", folder.display()))?;
        let data = folder.join("data");
        quiet(command("chown").arg("postgres").arg(folder))?;
        quiet(
            as_postgres(&programs.join("initdb"))
                .args(["--auth=trust", "--encoding=UTF8", "--no-sync", "--username", USER, "--pgdata"])
                .arg(&data)
                .current_dir(folder),
        )?;
        let mut trusted = File::options().append(true).open(data.join("pg_hba.conf"))?;
        writeln!(trusted, "host all all {address}/24 trust")?;
        drop(trusted);
        let port = TcpListener::bind((address, 0))?.local_addr()?.port();
        let process = serve(&programs, folder, (address, port))?;
        let mut server = Self { process, folder: folder.to_owned(), address, port };
        server.await_ready(&programs)?;
        Ok(server)
    }

    /// Ends all connections and the server, as an update of its package does, and serves again.
    pub(crate) async fn restart(&mut self) -> Result<()> {
        let pid = i32::try_from(self.process.id()).ok().and_then(rustix::process::Pid::from_raw);
        // "Fast shutdown".
        rustix::process::kill_process(pid.context("postgres has no process")?, rustix::process::Signal::INT)?;
        for _ in 0..READY_TRIES {
            if self.process.try_wait()?.is_some() {
                let programs = programs()?;
                self.process = serve(&programs, &self.folder, (self.address, self.port))?;
                return self.await_ready(&programs);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        bail!("postgres did not stop in time")
    }

    /// A connection string.
    pub(crate) fn url(&self) -> String {
        format!("postgres://{USER}@{}:{}/postgres", self.address, self.port)
    }

    /// The same for who gets there by another port of the loopback interface.
    pub(crate) fn url_at(port: u16) -> String {
        format!("postgres://{USER}@127.0.0.1:{port}/postgres")
    }

    /// Where it listens.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Its first process; all others are below it.
    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
    }

    fn await_ready(&mut self, programs: &Path) -> Result<()> {
        for _ in 0..READY_TRIES {
            if let Some(status) = self.process.try_wait()? {
                let log = fs::read_to_string(self.folder.join("log")).unwrap_or_default();
                bail!("postgres ended with {status}:\n{log}");
            }
            // `pg_isready` waits for the answer itself; a refused connection returns at once.
            let address = (self.address, self.port).into();
            if TcpStream::connect_timeout(&address, Duration::from_millis(500)).is_ok()
                && quiet(
                    command(programs.join("pg_isready"))
                        .args(["-q", "-t", "5", "-h", &self.address.to_string(), "-p"])
                        .arg(self.port.to_string()),
                )
                .is_ok()
            {
                return Ok(());
            }
            crate::process::pause(Duration::from_millis(50));
        }
        bail!("postgres was not ready in time")
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        if let Some(pid) = i32::try_from(self.process.id()).ok().and_then(rustix::process::Pid::from_raw) {
            // "Immediate shutdown": the data goes anyway.
            rustix::process::kill_process(pid, rustix::process::Signal::QUIT).ok();
        }
        self.process.wait().ok();
        fs::remove_dir_all(&self.folder).ok();
    }
}

/// Starts the server on the cluster in `folder`.
fn serve(programs: &Path, folder: &Path, (address, port): (Ipv4Addr, u16)) -> Result<Child> {
    let log = File::options().append(true).create(true).open(folder.join("log"))?;
    as_postgres(&programs.join("postgres"))
        .arg("-D")
        .arg(folder.join("data"))
        .arg("-k")
        .arg(folder)
        .args(["-h", &address.to_string(), "-p", &port.to_string(), "-c", "fsync=off"])
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()
        .context("start postgres")
}

/// The newest of Debian's versions.
fn programs() -> Result<PathBuf> {
    let mut versions: Vec<PathBuf> = fs::read_dir("/usr/lib/postgresql")
        .context("PostgreSQL is not installed (cargo xtask setup)")?
        .flatten()
        .map(|entry| entry.path().join("bin"))
        .filter(|programs| programs.join("initdb").exists())
        .collect();
    versions.sort();
    versions.pop().context("PostgreSQL is not installed (cargo xtask setup)")
}

/// PostgreSQL refuses to run as root. It ends with this process, however this process ends.
fn as_postgres(program: &Path) -> Command {
    let mut start = command("setpriv");
    start.args(["--pdeathsig", "QUIT"]);
    if lab::is_root() {
        start.args(["--reuid=postgres", "--regid=postgres", "--init-groups"]);
    }
    start.arg(program);
    start
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_serves_and_leaves_nothing() {
        let folder = std::env::temp_dir().join(format!("wrought-postgres-{}", std::process::id()));
        let server = Postgres::start(&folder).unwrap();
        let answer =
            crate::process::output(command("psql").args(["-Atc", "select 6 * 7"]).arg(server.url())).unwrap();
        assert_eq!(answer.trim(), "42");
        drop(server);
        assert!(!folder.exists());
    }
}
