//! A RabbitMQ server of Debian's for the length of a value: in a temporary folder, as an unprivileged user, on free ports
//! of the loopback interface, or of another one. Nothing of the machine's own servers is touched.

use crate::process::{command, quiet};
use anyhow::{Context as _, Result, bail};
use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const PROGRAM: &str = "/usr/lib/rabbitmq/bin/rabbitmq-server";
const USER: &str = "wrought";
const READY_TRIES: u32 = 1200;

/// A running server; ends and takes its data along when dropped.
#[derive(Debug)]
pub(crate) struct Rabbit {
    server: Child,
    /// The port mapper that Erlang wants: the server would start one that outlives it.
    mapper: Child,
    folder: PathBuf,
    address: Ipv4Addr,
    ports: Ports,
}

#[derive(Clone, Copy, Debug)]
struct Ports {
    amqp: u16,
    distribution: u16,
    mapper: u16,
}

impl Rabbit {
    /// Serves an empty broker at `address` from `folder` (which must not exist).
    pub(crate) fn start(folder: &Path, address: Ipv4Addr) -> Result<Self> {
        anyhow::ensure!(Path::new(PROGRAM).exists(), "RabbitMQ is not installed (cargo xtask setup)");
        fs::create_dir_all(folder).with_context(|| format!("make {}", folder.display()))?;
        let text = format!("default_user = {USER}\ndefault_pass = {USER}\nloopback_users = none\n");
        fs::write(folder.join("rabbitmq.conf"), text)?;
        if lab::is_root() {
            quiet(command("chown").args(["-R", "rabbitmq"]).arg(folder))?;
        }
        let held = [free()?, free()?, free()?];
        let port = |index: usize| anyhow::Ok(held[index].local_addr()?.port());
        let ports = Ports { amqp: port(0)?, distribution: port(1)?, mapper: port(2)? };
        drop(held);
        let mapper = as_rabbit("epmd")
            .args(["-address", "127.0.0.1", "-port", &ports.mapper.to_string()])
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("start epmd")?;
        let server = serve(folder, address, ports)?;
        let mut rabbit = Self { server, mapper, folder: folder.to_owned(), address, ports };
        rabbit.await_ready()?;
        Ok(rabbit)
    }

    /// Kills the server with all its connections, and serves again: queues that are not durable are gone.
    pub(crate) fn restart(&mut self) -> Result<()> {
        self.server.kill()?;
        self.server.wait()?;
        self.server = serve(&self.folder, self.address, self.ports)?;
        self.await_ready()
    }

    /// Its address, with user and password.
    pub(crate) fn url(&self) -> String {
        format!("amqp://{USER}:{USER}@{}:{}/%2f", self.address, self.ports.amqp)
    }

    fn await_ready(&mut self) -> Result<()> {
        let address = (self.address, self.ports.amqp).into();
        for _ in 0..READY_TRIES {
            if let Some(status) = self.server.try_wait()? {
                let log = fs::read_to_string(self.folder.join("log")).unwrap_or_default();
                bail!("RabbitMQ ended with {status}:\n{log}");
            }
            if TcpStream::connect_timeout(&address, Duration::from_millis(500)).is_ok() {
                return Ok(());
            }
            crate::process::pause(Duration::from_millis(100));
        }
        bail!("RabbitMQ was not ready in time")
    }
}

impl Drop for Rabbit {
    fn drop(&mut self) {
        for process in [&mut self.server, &mut self.mapper] {
            process.kill().ok();
            process.wait().ok();
        }
        fs::remove_dir_all(&self.folder).ok();
    }
}

fn free() -> Result<TcpListener> {
    Ok(TcpListener::bind("127.0.0.1:0")?)
}

fn serve(folder: &Path, address: Ipv4Addr, ports: Ports) -> Result<Child> {
    let log = File::options().append(true).create(true).open(folder.join("log"))?;
    as_rabbit(PROGRAM)
        .env("HOME", folder)
        .env("ERL_EPMD_PORT", ports.mapper.to_string())
        .env("RABBITMQ_NODENAME", format!("wrought-{}@localhost", ports.amqp))
        .env("RABBITMQ_NODE_IP_ADDRESS", address.to_string())
        .env("RABBITMQ_NODE_PORT", ports.amqp.to_string())
        .env("RABBITMQ_DIST_PORT", ports.distribution.to_string())
        .env("RABBITMQ_MNESIA_BASE", folder.join("data"))
        .env("RABBITMQ_LOG_BASE", folder.join("logs"))
        .env("RABBITMQ_LOGS", "-")
        .env("RABBITMQ_CONFIG_FILE", folder.join("rabbitmq.conf"))
        .env("RABBITMQ_CONF_ENV_FILE", folder.join("none"))
        .env("RABBITMQ_ENABLED_PLUGINS_FILE", folder.join("plugins"))
        .env("RABBITMQ_PID_FILE", folder.join("pid"))
        .env("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", "-kernel inet_dist_use_interface {127,0,0,1}")
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()
        .context("start RabbitMQ")
}

/// It ends with this process, however this process ends.
fn as_rabbit(program: &str) -> Command {
    let mut start = command("setpriv");
    start.args(["--pdeathsig", "KILL"]);
    if lab::is_root() {
        start.args(["--reuid=rabbitmq", "--regid=rabbitmq", "--init-groups"]);
    }
    start.arg(program);
    start
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_serves_again_after_it_was_killed_and_leaves_nothing() {
        let folder = std::env::temp_dir().join(format!("wrought-rabbitmq-{}", std::process::id()));
        let mut server = Rabbit::start(&folder, Ipv4Addr::LOCALHOST).unwrap();
        let address = server.url();
        server.restart().unwrap();
        assert_eq!(server.url(), address);
        assert!(TcpStream::connect((Ipv4Addr::LOCALHOST, server.ports.amqp)).is_ok());
        drop(server);
        assert!(!folder.exists());
    }
}
