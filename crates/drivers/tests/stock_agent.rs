//! The interface `direct` against a stock ironic-python-agent: which of two equal steps it is asked about, and what is known
//! of a rescue whose answer was lost.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on shall stop")]

#[allow(dead_code, reason = "the rig has more than is needed here")]
#[path = "rig/registry.rs"]
mod rig;

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use driver::{AgentCall, AgentReply, Deploy, KnownAgent};
use drivers::Agents;
use hostcmd::{Child, Command};
use model::{Node, Timestamp};
use provision::{Action, Observed, PlannedStep, StepList};
use serde_json::json;

const TOKEN: &str = "a-token-of-more-than-thirty-two-characters";
/// As the service makes them.
const HASH: &str = "$5$saltstring$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5";
const SCRIPT: &str = include_str!("stock_agent.py");

#[expect(
    clippy::disallowed_methods,
    reason = "where the lab is, is said by the environment; only tests ask here"
)]
fn python() -> PathBuf {
    let lab = std::env::var("WROUGHT_LAB").unwrap_or_else(|_| "/var/tmp/wrought-lab".to_owned());
    let path = Path::new(&lab).join("ipa-venv/bin/python");
    assert!(path.exists(), "{} is missing: run `cargo xtask setup`", path.display());
    path
}

struct Site {
    root: tempfile::TempDir,
    agent: Child,
    node: Node,
    deploy: Arc<dyn Deploy>,
}

impl Site {
    /// An agent that serves, and a driver that has never met it.
    async fn start() -> Self {
        let root = tempfile::tempdir().unwrap();
        let script = root.path().join("stock_agent.py");
        std::fs::write(&script, SCRIPT).unwrap();
        std::fs::create_dir_all(root.path().join("etc/ipa-rescue-config")).unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let command = Command::new(python()).arg(&script).arg(port.to_string()).arg(TOKEN).arg(root.path());
        let agent = command.spawn(root.path().join("log")).unwrap();
        let mut node = Node::new("ipmi", Timestamp::now());
        node.driver_internal_info.set("agent_url", json!(format!("http://127.0.0.1:{port}")));
        node.driver_internal_info.set("agent_secret_token", json!(TOKEN));
        node.instance_info.set("hashed_rescue_password", json!(HASH));
        let deploy = driver_of(root.path());
        let site = Self { root, agent, node, deploy };
        let client = Agents::default().client(&site.node).unwrap();
        for _ in 0..600 {
            if client.commands().await.is_ok() {
                return site;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("the stock agent did not start: {}", site.agent.log_tail());
    }

    async fn call(&self, call: AgentCall, command: Option<&str>) -> Result<AgentReply, driver::DriverError> {
        self.deploy.agent(&self.node, call, KnownAgent { started_at: None, command }).await
    }

    async fn run(&self, step: &PlannedStep) {
        let begun = self.call(AgentCall::Run(StepList::Clean, step.clone()), None).await.unwrap();
        assert!(matches!(begun, AgentReply::Running | AgentReply::Done(_)), "{begun:?}");
    }

    /// Asks until the step is not at work any more.
    async fn end_of(
        &self,
        step: &PlannedStep,
        command: Option<&str>,
    ) -> Result<AgentReply, driver::DriverError> {
        loop {
            let reply = self.call(AgentCall::Ask(StepList::Clean, step.clone()), command).await;
            if !matches!(reply, Ok(AgentReply::Running)) {
                return reply;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    fn notes(&self) -> usize {
        std::fs::read_to_string(self.root.path().join("notes")).unwrap_or_default().lines().count()
    }
}

fn driver_of(root: &Path) -> Arc<dyn Deploy> {
    Arc::clone(&rig::registry(root, drivers::RedfishOptions::default()).deploy["direct"])
}

fn step(name: &str) -> PlannedStep {
    PlannedStep::new("deploy", name, 0, vec![Action::RunAgentStep(StepList::Clean)])
}

fn done(reply: Result<AgentReply, driver::DriverError>) -> Observed {
    match reply {
        Ok(AgentReply::Done(observed)) => *observed,
        other => panic!("not done: {other:?}"),
    }
}

#[tokio::test]
async fn the_second_of_two_equal_steps_is_not_the_first() {
    let site = Site::start().await;
    let (note, fail) = (step("note"), step("fail"));
    let offered = done(site.call(AgentCall::Steps(StepList::Clean), None).await);
    assert!(offered.steps.iter().any(|step| step.step == "note"), "{offered:?}");
    let listed = offered.agent_command;
    assert!(listed.is_some());
    let asked = site.end_of(&note, listed.as_deref()).await.unwrap();
    assert_eq!(asked, AgentReply::NotFound, "it was never sent");
    site.run(&note).await;
    let first = done(site.end_of(&note, listed.as_deref()).await).agent_command;
    assert!(first.is_some() && first != listed);
    let asked = site.end_of(&note, first.as_deref()).await.unwrap();
    assert_eq!(asked, AgentReply::NotFound, "the second was never sent");
    site.run(&note).await;
    let second = done(site.end_of(&note, first.as_deref()).await).agent_command;
    assert_ne!(second, first);
    assert_eq!(site.notes(), 2);
    // A step that fails is found as well, although an agent does not say which one it was.
    site.run(&fail).await;
    let error = site.end_of(&fail, second.as_deref()).await.unwrap_err();
    assert!(error.to_string().contains("as it was told"), "{error}");
    // Records of before have no command: the name of the latest step has to do.
    let asked = site.end_of(&step("other"), Some("an-identifier-that-is-forgotten")).await;
    assert!(asked.is_err(), "{asked:?}");
}

#[tokio::test]
async fn a_rescue_is_known_by_the_agent_that_is_gone() {
    let mut site = Site::start().await;
    assert_eq!(site.call(AgentCall::AskRescue, None).await.unwrap(), AgentReply::NotFound);
    done(site.call(AgentCall::FinalizeRescue, None).await);
    let kept = site.root.path().join("etc/ipa-rescue-config/ipa-rescue-password");
    assert_eq!(std::fs::read_to_string(kept).unwrap(), HASH);
    // Asked while it still serves, or after it has gone: both say that it is open.
    done(site.call(AgentCall::AskRescue, None).await);
    site.agent.wait(Duration::from_mins(2)).await.unwrap();
    done(site.call(AgentCall::AskRescue, None).await);
}
