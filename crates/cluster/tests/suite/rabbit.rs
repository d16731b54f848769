//! A RabbitMQ server of the test's own: Debian's programs, a temporary directory, ports of the loopback interface that
//! nobody else uses. Its helpers are children of the test, too, and end with it. The measurement has it, too.

#![allow(dead_code, reason = "the measurement does not need all of it")]

use std::net::TcpListener;
use std::path::Path;
use std::time::Duration;

use hostcmd::{Child, Command};
use model::Secret;
use tempfile::TempDir;

const SHORT: Duration = Duration::from_mins(1);
const PROGRAM: &str = "/usr/lib/rabbitmq/bin/rabbitmq-server";
const PASSWORD: &str = "a:pass%word";
/// The password as addresses have it.
const PASSWORD_WRITTEN: &str = "a%3Apass%25word";

pub(crate) struct TempRabbit {
    dir: TempDir,
    root: bool,
    ports: Ports,
    /// The port mapper that Erlang wants: where there is none the server would start one that outlives it.
    _mapper: Child,
    server: Option<Child>,
}

struct Ports {
    plain: u16,
    tls: u16,
    distribution: u16,
    mapper: u16,
}

impl TempRabbit {
    /// Starts a server; fails when RabbitMQ is not installed.
    pub(crate) async fn start() -> Self {
        assert!(Path::new(PROGRAM).exists(), "RabbitMQ is not installed: run `cargo xtask setup`");
        let dir = tempfile::Builder::new().prefix("wrought-mq-").tempdir_in("/tmp").unwrap();
        let root = Command::new("id").arg("-u").run(SHORT).await.unwrap().stdout_text().trim() == "0";
        let ports = Ports::free();
        let key = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
        write("certificate.pem", &key.cert.pem());
        write("key.pem", &key.signing_key.serialize_pem());
        write("rabbitmq.conf", &configuration(dir.path(), &ports));
        if root {
            Command::new("chown").args(["-R", "rabbitmq"]).arg(dir.path()).run(SHORT).await.unwrap();
        }
        let mapper = unprivileged("epmd", root)
            .args(["-address", "127.0.0.1", "-port", &ports.mapper.to_string()])
            .cwd("/tmp")
            .spawn(dir.path().join("mapper.log"))
            .unwrap();
        let mut rabbit = Self { dir, root, ports, _mapper: mapper, server: None };
        rabbit.serve().await;
        rabbit
    }

    /// Its address, with user and password.
    pub(crate) fn url(&self) -> Secret {
        Secret::new(format!("amqp://wrought:{PASSWORD_WRITTEN}@127.0.0.1:{}/%2f", self.ports.plain))
    }

    /// Its address for TLS.
    pub(crate) fn tls_url(&self) -> Secret {
        Secret::new(format!("amqps://wrought:{PASSWORD_WRITTEN}@localhost:{}/%2f", self.ports.tls))
    }

    /// The PEM of its certificate.
    pub(crate) fn certificate(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("certificate.pem")).unwrap()
    }

    /// Ends the server in the midst of whatever it does.
    pub(crate) async fn kill(&mut self) {
        let server = self.server.take().unwrap();
        // The grace is too short for a graceful end.
        server.stop(Duration::from_millis(1)).await.unwrap();
    }

    /// Starts it again.
    pub(crate) async fn serve(&mut self) {
        let dir = self.dir.path();
        let at = |name: &str| dir.join(name).display().to_string();
        let environment = [
            ("HOME", at("")),
            ("ERL_EPMD_PORT", self.ports.mapper.to_string()),
            ("RABBITMQ_NODENAME", format!("wrought-{}@localhost", self.ports.plain)),
            ("RABBITMQ_NODE_IP_ADDRESS", "127.0.0.1".to_owned()),
            ("RABBITMQ_NODE_PORT", self.ports.plain.to_string()),
            ("RABBITMQ_DIST_PORT", self.ports.distribution.to_string()),
            ("RABBITMQ_MNESIA_BASE", at("data")),
            ("RABBITMQ_LOG_BASE", at("log")),
            ("RABBITMQ_LOGS", "-".to_owned()),
            ("RABBITMQ_CONFIG_FILE", at("rabbitmq.conf")),
            ("RABBITMQ_CONF_ENV_FILE", at("none")),
            ("RABBITMQ_ENABLED_PLUGINS_FILE", at("plugins")),
            ("RABBITMQ_PID_FILE", at("pid")),
            ("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", "-kernel inet_dist_use_interface {127,0,0,1}".to_owned()),
        ];
        let command = environment
            .into_iter()
            .fold(unprivileged(PROGRAM, self.root), |command, (name, value)| command.env(name, value));
        self.server = Some(command.cwd("/tmp").spawn(dir.join("server.log")).unwrap());
        self.wait_until_ready().await;
    }

    async fn wait_until_ready(&mut self) {
        for _ in 0..3000 {
            let server = self.server.as_mut().unwrap();
            assert!(server.try_wait().unwrap().is_none(), "RabbitMQ ended: {}", server.log_tail());
            // The listener of TLS is the last one to be there.
            if tokio::net::TcpStream::connect(("127.0.0.1", self.ports.tls)).await.is_ok() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("RabbitMQ did not start: {}", self.server.as_ref().unwrap().log_tail());
    }
}

impl Ports {
    /// Free ones, all different.
    fn free() -> Self {
        let held: Vec<TcpListener> = (0..4).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
        let port = |index: usize| held[index].local_addr().unwrap().port();
        Self { plain: port(0), tls: port(1), distribution: port(2), mapper: port(3) }
    }
}

fn configuration(dir: &Path, ports: &Ports) -> String {
    let dir = dir.display();
    format!(
        "default_user = wrought\ndefault_pass = {PASSWORD}\nloopback_users = none\nlisteners.ssl.1 = 127.0.0.1:{}\n\
         ssl_options.cacertfile = {dir}/certificate.pem\nssl_options.certfile = {dir}/certificate.pem\n\
         ssl_options.keyfile = {dir}/key.pem\nssl_options.verify = verify_none\n",
        ports.tls
    )
}

fn unprivileged(program: &str, root: bool) -> Command {
    if root {
        // Unlike runuser it becomes the program, which then gets the signal that stops it.
        Command::new("setpriv").args(["--reuid=rabbitmq", "--regid=rabbitmq", "--init-groups"]).arg(program)
    } else {
        Command::new(program)
    }
}
