//! A PostgreSQL server of the test's own: Debian's binaries, a temporary directory, a Unix socket, no network. The suites of
//! other crates have it, too.

use std::path::{Path, PathBuf};
use std::time::Duration;

use hostcmd::{Child, Command};
use tempfile::TempDir;

const SHORT: Duration = Duration::from_mins(1);

pub(crate) struct TempPg {
    dir: TempDir,
    server: Option<Child>,
    bin: PathBuf,
    root: bool,
}

impl TempPg {
    /// Starts a server; fails when PostgreSQL is not installed.
    pub(crate) async fn start() -> Self {
        let bin = binaries();
        let dir = tempfile::Builder::new().prefix("wrought-pg-").tempdir_in("/tmp").unwrap();
        let root = Command::new("id").arg("-u").run(SHORT).await.unwrap().stdout_text().trim() == "0";
        if root {
            // The server refuses to run as root.
            Command::new("chown").arg("postgres").arg(dir.path()).run(SHORT).await.unwrap();
        }
        let data = dir.path().join("data");
        let initdb = command(&bin, "initdb", root)
            .args(["-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync", "-D"])
            .arg(&data);
        initdb.run(SHORT).await.unwrap();
        let server = serve(&bin, dir.path(), root);
        let pg = Self { dir, server: Some(server), bin, root };
        pg.wait_until_ready().await;
        pg
    }

    /// The address of a database of this server.
    pub(crate) fn url(&self, database: &str) -> String {
        format!("postgres://postgres@/{database}?host={}", self.dir.path().display())
    }

    /// Makes an empty database; its address. Its default collation is not the one the schema asks for.
    pub(crate) async fn create_database(&self, name: &str) -> String {
        self.run(&format!("CREATE DATABASE {name}")).await;
        self.url(name)
    }

    /// Makes a database empty again: a hundred times fewer files than a new one.
    pub(crate) async fn empty(&self, database: &str) {
        self.run_in(database, "DROP SCHEMA public CASCADE; CREATE SCHEMA public").await;
    }

    /// Runs a statement as the administrator.
    pub(crate) async fn run(&self, statement: &str) {
        self.run_in("postgres", statement).await;
    }

    async fn run_in(&self, database: &str, statement: &str) {
        let (client, connection) =
            tokio_postgres::connect(&self.url(database), tokio_postgres::NoTls).await.unwrap();
        let connection = tokio::spawn(connection);
        client.batch_execute(statement).await.unwrap();
        drop(client);
        connection.await.unwrap().unwrap();
    }

    /// Ends the server in the midst of whatever it does, and starts it again.
    pub(crate) async fn restart(&mut self) {
        self.server.take().unwrap().stop(Duration::from_millis(100)).await.unwrap();
        self.server = Some(serve(&self.bin, self.dir.path(), self.root));
        self.wait_until_ready().await;
    }

    pub(crate) async fn stop(self) {
        self.server.unwrap().stop(Duration::from_secs(20)).await.unwrap();
    }

    async fn wait_until_ready(&self) {
        for _ in 0..300 {
            if let Ok((_client, _connection)) =
                tokio_postgres::connect(&self.url("postgres"), tokio_postgres::NoTls).await
            {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("PostgreSQL did not start: {}", self.server.as_ref().map(Child::log_tail).unwrap_or_default());
    }
}

fn serve(bin: &Path, dir: &Path, root: bool) -> Child {
    command(bin, "postgres", root)
        .arg("-D")
        .arg(dir.join("data"))
        .arg("-k")
        .arg(dir)
        .args(["-c", "listen_addresses=", "-c", "fsync=off", "-c", "max_connections=60"])
        .cwd("/tmp")
        .spawn(dir.join("server.log"))
        .unwrap()
}

fn command(bin: &Path, program: &str, root: bool) -> Command {
    let program = bin.join(program);
    if root {
        // Unlike runuser it becomes the program, which then gets the signal that stops it.
        Command::new("setpriv").args(["--reuid=postgres", "--regid=postgres", "--init-groups"]).arg(program)
    } else {
        Command::new(program)
    }
}

/// The newest version that Debian installed.
fn binaries() -> PathBuf {
    let found = std::fs::read_dir("/usr/lib/postgresql").ok().and_then(|versions| {
        let mut versions: Vec<PathBuf> = versions.map(|entry| entry.unwrap().path().join("bin")).collect();
        versions.retain(|bin| bin.join("initdb").exists());
        versions.sort();
        versions.pop()
    });
    found.expect("PostgreSQL is not installed: run `cargo xtask setup`")
}
