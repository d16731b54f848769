//! A PostgreSQL server: on a Unix socket, and on a port for who goes by way of something.

use super::{Account, SHORT, await_end, await_ready, idle_ports};
use anyhow::{Context as _, Result, bail};
use hostcmd::Child;
use std::fs::File;
use std::io::Write as _;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;
use tokio_postgres::NoTls;

/// With SIGQUIT it ends at once, with all its processes.
const ACCOUNT: Account = Account { user: "postgres", signal: "QUIT" };
/// The database that is always there.
const DATABASE: &str = "postgres";
/// For an end in order.
const GRACE: Duration = Duration::from_mins(1);

/// A running server; ends and takes its data along when dropped.
#[derive(Debug)]
pub struct Postgres {
    server: Child,
    folder: TempDir,
    programs: PathBuf,
    address: Ipv4Addr,
    port: u16,
}

/// How a server goes away before it comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shutdown {
    /// As an update of its package does it: all connections end, what was committed is written.
    Fast,
    /// In the midst of whatever it does, as in a crash.
    Immediate,
}

impl Postgres {
    /// Serves an empty database cluster.
    ///
    /// # Errors
    /// When PostgreSQL is not installed, or does not start.
    pub async fn start() -> Result<Self> {
        Self::start_in(Path::new("/tmp"), Ipv4Addr::LOCALHOST).await
    }

    /// The same, with its folder in `parent`, for everybody in the network of this address.
    ///
    /// # Errors
    /// As [`Postgres::start`].
    pub async fn start_in(parent: &Path, address: Ipv4Addr) -> Result<Self> {
        let programs = programs()?;
        let folder = ACCOUNT.folder(parent, "postgres-").await?;
        ACCOUNT
            .command(programs.join("initdb"))
            .args(["-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync", "-U", ACCOUNT.user, "-D"])
            .arg(folder.path().join("data"))
            .run(SHORT)
            .await?;
        let mut trusted = File::options().append(true).open(folder.path().join("data/pg_hba.conf"))?;
        writeln!(trusted, "host all all {address}/24 trust")?;
        drop(trusted);
        let [port] = idle_ports(address)?;
        let server = serve(&programs, folder.path(), (address, port))?;
        let mut postgres = Self { server, folder, programs, address, port };
        postgres.await_ready().await?;
        Ok(postgres)
    }

    /// The address of a database, over its socket.
    pub fn url(&self, database: &str) -> String {
        let (user, folder, port) = (ACCOUNT.user, self.folder.path().display(), self.port);
        format!("postgres://{user}@/{database}?host={folder}&port={port}")
    }

    /// The address of the database that is always there, over TCP.
    pub fn tcp_url(&self) -> String {
        Self::url_at(self.address, self.port)
    }

    /// The same for who gets there by way of something else.
    pub fn url_at(address: Ipv4Addr, port: u16) -> String {
        format!("postgres://{}@{address}:{port}/{DATABASE}", ACCOUNT.user)
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its first process; all others are below it.
    pub fn pid(&self) -> Option<u32> {
        self.server.id()
    }

    /// Makes an empty database; its address. Its default collation is not the one that the schema asks for.
    ///
    /// # Errors
    /// What the server says.
    pub async fn create_database(&self, name: &str) -> Result<String> {
        self.run(&format!("CREATE DATABASE {name}")).await?;
        Ok(self.url(name))
    }

    /// Makes a database empty again: a hundred times fewer files than a new one.
    ///
    /// # Errors
    /// What the server says.
    pub async fn empty(&self, database: &str) -> Result<()> {
        self.run_in(database, "DROP SCHEMA public CASCADE; CREATE SCHEMA public").await
    }

    /// Runs a statement as the administrator.
    ///
    /// # Errors
    /// What the server says.
    pub async fn run(&self, statement: &str) -> Result<()> {
        self.run_in(DATABASE, statement).await
    }

    async fn run_in(&self, database: &str, statement: &str) -> Result<()> {
        let (client, connection) = tokio_postgres::connect(&self.url(database), NoTls).await?;
        let connection = tokio::spawn(connection);
        client.batch_execute(statement).await?;
        drop(client);
        connection.await??;
        Ok(())
    }

    /// Ends the server, and serves the same again at the same place.
    ///
    /// # Errors
    /// When it does not end, or does not start.
    pub async fn restart(&mut self, how: Shutdown) -> Result<()> {
        self.end(how).await?;
        self.server = serve(&self.programs, self.folder.path(), (self.address, self.port))?;
        self.await_ready().await
    }

    /// Ends it in order.
    ///
    /// # Errors
    /// When it does not end.
    pub async fn stop(mut self) -> Result<()> {
        self.end(Shutdown::Fast).await
    }

    async fn end(&mut self, how: Shutdown) -> Result<()> {
        let mode = match how {
            Shutdown::Fast => "fast",
            Shutdown::Immediate => "immediate",
        };
        let stop = ACCOUNT.command(self.programs.join("pg_ctl")).args(["stop", "-w", "-m", mode, "-D"]);
        stop.arg(self.folder.path().join("data")).run(GRACE).await?;
        self.server.wait(GRACE).await?;
        Ok(())
    }

    async fn await_ready(&mut self) -> Result<()> {
        let url = self.url(DATABASE);
        await_ready(&mut self.server, "PostgreSQL", async || {
            tokio_postgres::connect(&url, NoTls).await.is_ok()
        })
        .await
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let pid =
            self.server.id().and_then(|pid| i32::try_from(pid).ok()).and_then(rustix::process::Pid::from_raw);
        if let (Some(pid), Ok(None)) = (pid, self.server.try_wait()) {
            // "Immediate shutdown": the data goes anyway.
            rustix::process::kill_process(pid, rustix::process::Signal::QUIT).ok();
            await_end(&mut self.server);
        }
    }
}

/// Starts the server on the cluster in `folder`.
fn serve(programs: &Path, folder: &Path, (address, port): (Ipv4Addr, u16)) -> Result<Child> {
    let command = ACCOUNT
        .command(programs.join("postgres"))
        .arg("-D")
        .arg(folder.join("data"))
        .arg("-k")
        .arg(folder)
        .args(["-h", &address.to_string(), "-p", &port.to_string(), "-c", "fsync=off"]);
    Ok(command.spawn(folder.join("log"))?)
}

/// The newest of Debian's versions.
fn programs() -> Result<PathBuf> {
    const MISSING: &str = "PostgreSQL is not installed (cargo xtask setup)";
    let versions = std::fs::read_dir("/usr/lib/postgresql").context(MISSING)?.flatten();
    let programs = versions.map(|version| version.path().join("bin"));
    let newest = programs.filter(|programs| programs.join("initdb").exists()).max();
    let Some(newest) = newest else { bail!(MISSING) };
    Ok(newest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_serves_again_after_it_was_ended_and_leaves_nothing() {
        let mut server = Postgres::start().await.unwrap();
        let (folder, address) = (server.folder.path().to_owned(), server.tcp_url());
        server.run("CREATE TABLE kept (a int)").await.unwrap();
        for how in [Shutdown::Fast, Shutdown::Immediate] {
            server.restart(how).await.unwrap();
            server.run("INSERT INTO kept VALUES (1)").await.unwrap();
        }
        assert_eq!(server.tcp_url(), address);
        assert!(tokio_postgres::connect(&address, NoTls).await.is_ok());
        let database = server.create_database("another").await.unwrap();
        assert!(tokio_postgres::connect(&database, NoTls).await.is_ok());
        server.empty("another").await.unwrap();
        drop(server);
        assert!(!folder.exists());
    }
}
