//! The roles in processes of their own: a client asks one process, a conductor in another one does it. Between them are rows of
//! PostgreSQL, or RabbitMQ.

use std::net::{SocketAddr, TcpListener};

use hostcmd::{Child, Command};
use lab::{Postgres, Rabbit};
use reqwest::Method;
use rustix::process::{Signal, kill_process};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::Instant;

use crate::LONG;
use crate::api::{Answer, Api};

const HOST: &str = "conductor-7";

/// The two processes.
struct Apart {
    dir: TempDir,
    address: SocketAddr,
    processes: Vec<(&'static str, Child)>,
}

impl Apart {
    async fn start(database: &str, messaging: &str) -> Self {
        server::install_tls_provider();
        let dir = tempfile::tempdir().unwrap();
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        for role in ["api", "conductor"] {
            let text = format!(
                "data_dir = \"{data}\"\n[database]\nurl = \"{database}\"\n[api]\nlisten = [\"{address}\"]\nauth = \"noauth\"\n\
                 [conductor]\nhostname = \"{HOST}\"\nenabled_hardware_types = [\"fake-hardware\"]\n\
                 [messaging]\nrequest_timeout = 3\n{messaging}\n",
                data = dir.path().join(role).display(),
            );
            std::fs::write(dir.path().join(format!("{role}.toml")), text).unwrap();
        }
        let mut apart = Self { dir, address, processes: Vec::new() };
        apart.run("conductor");
        apart.run("api");
        let (api, since) = (apart.api(), Instant::now());
        while !api.answers().await {
            assert!(since.elapsed() < LONG, "{}", apart.logs());
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        apart
    }

    /// Starts the process of a role.
    fn run(&mut self, role: &'static str) {
        let command = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", env!("CARGO_BIN_EXE_wrought"), "serve", "--role", role, "--config"])
            .arg(self.dir.path().join(format!("{role}.toml")));
        let count = self.processes.len();
        let log = self.dir.path().join(format!("{role}-{count}.log"));
        self.processes.push((role, command.spawn(log).unwrap()));
    }

    /// Ends the processes of a role, without a word.
    async fn kill(&mut self, wanted: &str) {
        for (role, process) in &mut self.processes {
            if *role == wanted {
                let id = process.id().and_then(|id| i32::try_from(id).ok());
                kill_process(id.and_then(rustix::process::Pid::from_raw).unwrap(), Signal::KILL).unwrap();
                process.wait(LONG).await.unwrap();
            }
        }
        self.processes.retain(|(role, _)| *role != wanted);
    }

    fn api(&self) -> Api {
        Api::new(format!("http://{}", self.address), None)
    }

    fn logs(&self) -> String {
        let tails = self.processes.iter().map(|(role, process)| format!("{role}:\n{}", process.log_tail()));
        tails.collect::<Vec<_>>().join("\n")
    }

    /// Asks until the answer is as wanted.
    async fn until(&self, path: &str, wanted: impl Fn(&Answer) -> bool) -> Answer {
        let (api, since) = (self.api(), Instant::now());
        loop {
            let answer = api.send(Method::GET, path, None).await;
            if wanted(&answer) {
                return answer;
            }
            assert!(since.elapsed() < LONG, "{path}: {} {}\n{}", answer.status, answer.body, self.logs());
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_rows_between_them() {
    let server = Postgres::start().await.unwrap();
    let url = server.create_database("apart").await.unwrap();
    lives(Apart::start(&url, "").await).await;
    server.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_rabbitmq_between_them() {
    let (server, rabbit) = tokio::try_join!(Postgres::start(), Rabbit::start()).unwrap();
    let url = server.create_database("apart").await.unwrap();
    let messaging = format!("url = \"{}\"\nnotifications = true", rabbit.url());
    lives(Apart::start(&url, &messaging).await).await;
    server.stop().await.unwrap();
}

/// A node is moved by a conductor elsewhere; without it the client is told who is missing; with it all goes on.
async fn lives(mut apart: Apart) {
    let api = apart.api();
    apart.until("/v1/drivers", |answer| answer.body["drivers"][0]["hosts"] == json!([HOST])).await;
    let node = api.ok(Method::POST, "/v1/nodes", Some(&json!({"driver": "fake-hardware"}))).await;
    let node = node["uuid"].as_str().unwrap().to_owned();
    let question = format!("/v1/nodes/{node}/validate");
    let power = |answer: &Answer| answer.body["power"]["result"] == Value::Bool(true);
    apart.until(&question, power).await;
    api.verb(&node, "manage").await;
    api.reaches(&node, "manageable").await;
    assert_eq!(api.node(&node).await["conductor"], HOST);
    let device = json!({"boot_device": "pxe", "persistent": true});
    api.ok(Method::PUT, &format!("/v1/nodes/{node}/management/boot_device"), Some(&device)).await;
    assert_eq!(api.get(&format!("/v1/nodes/{node}/management/boot_device")).await, device);

    apart.kill("conductor").await;
    let silent = api.send(Method::GET, &question, None).await;
    assert_eq!(silent.status, 503, "{}", silent.body);
    let fault = silent.fault();
    assert!(fault.contains(HOST) && fault.contains("sign of life"), "{fault}");

    apart.run("conductor");
    apart.until(&question, power).await;
    assert!(!apart.logs().contains("a%3Apass"), "passwords do not show");
}
