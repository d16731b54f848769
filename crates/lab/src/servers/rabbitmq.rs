//! A RabbitMQ server, with a listener for TLS. Its port mapper is its own: where there is none the server would start one
//! that outlives it.

use super::{Account, await_end, await_ready, idle_ports};
use anyhow::{Context as _, Result, ensure};
use hostcmd::Child;
use std::fs;
use std::net::Ipv4Addr;
use std::path::Path;
use std::time::Duration;
use tempfile::TempDir;
use tokio::net::TcpStream;

const PROGRAM: &str = "/usr/lib/rabbitmq/bin/rabbitmq-server";
const ACCOUNT: Account = Account { user: "rabbitmq", signal: "KILL" };
const USER: &str = "wrought";
/// With characters that an address must have in another form.
const PASSWORD: &str = "a:pass%word";
const PASSWORD_WRITTEN: &str = "a%3Apass%25word";

/// A running server; ends and takes its data along when dropped.
#[derive(Debug)]
pub struct Rabbit {
    server: Option<Child>,
    mapper: Child,
    folder: TempDir,
    address: Ipv4Addr,
    ports: Ports,
}

#[derive(Clone, Copy, Debug)]
struct Ports {
    plain: u16,
    tls: u16,
    distribution: u16,
    mapper: u16,
}

impl Rabbit {
    /// Serves an empty broker.
    ///
    /// # Errors
    /// When RabbitMQ is not installed, or does not start.
    pub async fn start() -> Result<Self> {
        Self::start_in(Path::new("/tmp"), Ipv4Addr::LOCALHOST).await
    }

    /// The same, with its folder in `parent`, for everybody who reaches this address.
    ///
    /// # Errors
    /// As [`Rabbit::start`].
    pub async fn start_in(parent: &Path, address: Ipv4Addr) -> Result<Self> {
        ensure!(Path::new(PROGRAM).exists(), "RabbitMQ is not installed (cargo xtask setup)");
        let folder = ACCOUNT.folder(parent, "rabbitmq-").await?;
        let [plain, tls, distribution, mapper] = idle_ports(address)?;
        let ports = Ports { plain, tls, distribution, mapper };
        let key = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text);
        write("certificate.pem", &key.cert.pem())?;
        write("key.pem", &key.signing_key.serialize_pem())?;
        write("rabbitmq.conf", &configuration(folder.path(), (address, ports.tls)))?;
        ACCOUNT.give(folder.path()).await?;
        let mapper = ACCOUNT
            .command("epmd")
            .args(["-address", "127.0.0.1", "-port", &ports.mapper.to_string()])
            .spawn(folder.path().join("mapper.log"))?;
        let mut rabbit = Self { server: None, mapper, folder, address, ports };
        rabbit.serve().await?;
        Ok(rabbit)
    }

    /// Its address, with user and password.
    pub fn url(&self) -> String {
        format!("amqp://{USER}:{PASSWORD_WRITTEN}@{}:{}/%2f", self.address, self.ports.plain)
    }

    /// Its address for TLS.
    pub fn tls_url(&self) -> String {
        format!("amqps://{USER}:{PASSWORD_WRITTEN}@localhost:{}/%2f", self.ports.tls)
    }

    /// The PEM of its certificate.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn certificate(&self) -> Result<String> {
        fs::read_to_string(self.folder.path().join("certificate.pem")).context("read the certificate")
    }

    /// Ends the server in the midst of whatever it does, with all its connections.
    ///
    /// # Errors
    /// When it does not end.
    pub async fn kill(&mut self) -> Result<()> {
        if let Some(server) = self.server.take() {
            // The grace is too short for a graceful end.
            server.stop(Duration::from_millis(1)).await?;
        }
        Ok(())
    }

    /// Serves again after it was killed: queues that are not durable are gone.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn serve(&mut self) -> Result<()> {
        let folder = self.folder.path();
        let at = |name: &str| folder.join(name).display().to_string();
        let environment = [
            ("HOME", at("")),
            ("ERL_EPMD_PORT", self.ports.mapper.to_string()),
            ("RABBITMQ_NODENAME", format!("wrought-{}@localhost", self.ports.plain)),
            ("RABBITMQ_NODE_IP_ADDRESS", self.address.to_string()),
            ("RABBITMQ_NODE_PORT", self.ports.plain.to_string()),
            ("RABBITMQ_DIST_PORT", self.ports.distribution.to_string()),
            ("RABBITMQ_MNESIA_BASE", at("data")),
            ("RABBITMQ_LOG_BASE", at("logs")),
            ("RABBITMQ_LOGS", "-".to_owned()),
            ("RABBITMQ_CONFIG_FILE", at("rabbitmq.conf")),
            ("RABBITMQ_CONF_ENV_FILE", at("none")),
            ("RABBITMQ_ENABLED_PLUGINS_FILE", at("plugins")),
            ("RABBITMQ_PID_FILE", at("pid")),
            // Otherwise its script stays, and is all that a signal reaches.
            ("RUNNING_UNDER_SYSTEMD", "true".to_owned()),
            ("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", "-kernel inet_dist_use_interface {127,0,0,1}".to_owned()),
        ];
        let command = environment
            .into_iter()
            .fold(ACCOUNT.command(PROGRAM), |command, (name, value)| command.env(name, value));
        let server = self.server.insert(command.spawn(folder.join("log"))?);
        // The listener of TLS is the last one to be there.
        let address = (self.address, self.ports.tls);
        await_ready(server, "RabbitMQ", async || TcpStream::connect(address).await.is_ok()).await
    }

    /// Kills the server, and serves again.
    ///
    /// # Errors
    /// As [`Rabbit::kill`] and [`Rabbit::serve`].
    pub async fn restart(&mut self) -> Result<()> {
        self.kill().await?;
        self.serve().await
    }
}

impl Drop for Rabbit {
    fn drop(&mut self) {
        for process in self.server.iter_mut().chain([&mut self.mapper]) {
            process.kill();
            await_end(process);
        }
    }
}

fn configuration(folder: &Path, (address, tls): (Ipv4Addr, u16)) -> String {
    let folder = folder.display();
    format!(
        "default_user = {USER}\ndefault_pass = {PASSWORD}\nloopback_users = none\nlisteners.ssl.1 = {address}:{tls}\n\
         ssl_options.cacertfile = {folder}/certificate.pem\nssl_options.certfile = {folder}/certificate.pem\n\
         ssl_options.keyfile = {folder}/key.pem\nssl_options.verify = verify_none\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_serves_again_after_it_was_killed_and_leaves_nothing() {
        let mut server = Rabbit::start().await.unwrap();
        let (folder, address) = (server.folder.path().to_owned(), server.url());
        let port = server.ports.plain;
        let answers = async || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.is_ok();
        server.kill().await.unwrap();
        assert!(!answers().await, "it was killed");
        server.serve().await.unwrap();
        assert_eq!(server.url(), address);
        assert!(answers().await);
        assert!(server.certificate().unwrap().contains("BEGIN CERTIFICATE"));
        drop(server);
        assert!(!folder.exists() && !answers().await);
    }
}
