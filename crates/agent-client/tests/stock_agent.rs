//! The client against a stock ironic-python-agent: a rescue as its users' ramdisks take it.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on shall stop")]

use agent_api::{AgentToken, params::FinalizeRescue};
use agent_client::{AgentClient, AgentTarget, ClientOptions, Trust};
use hostcmd::{Child, Command};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::time::Duration;

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

/// Starts the agent with files below `root`, and waits until it serves.
async fn start(root: &Path) -> (Child, String) {
    let script = root.join("stock_agent.py");
    std::fs::write(&script, SCRIPT).unwrap();
    std::fs::create_dir_all(root.join("etc/ipa-rescue-config")).unwrap();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let command = Command::new(python()).arg(&script).arg(port.to_string()).arg(TOKEN).arg(root);
    let agent = command.spawn(root.join("log")).unwrap();
    let url = format!("http://127.0.0.1:{port}");
    let client = client(&url, TOKEN);
    for _ in 0..600 {
        if client.commands().await.is_ok() {
            return (agent, url);
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("the stock agent did not start: {}", agent.log_tail());
}

fn client(url: &str, token: &str) -> AgentClient {
    let token = Some(AgentToken::new(token));
    let target = AgentTarget { url: url.to_owned(), token, trust: Trust::Nothing };
    AgentClient::new(&target, ClientOptions::default()).unwrap()
}

#[tokio::test]
async fn a_stock_agent_takes_the_hash_and_leaves() {
    let root = tempfile::tempdir().unwrap();
    let (mut agent, url) = start(root.path()).await;
    let client = client(&url, TOKEN);
    let request = FinalizeRescue { rescue_password: HASH.to_owned(), hashed: true };
    client.finalize_rescue(&request).await.unwrap();
    let kept =
        std::fs::read_to_string(root.path().join("etc/ipa-rescue-config/ipa-rescue-password")).unwrap();
    assert_eq!(kept, HASH);
    // It serves nobody afterwards, so that the rescued machine's user does not meet it.
    let ended = agent.wait(Duration::from_mins(2)).await.unwrap();
    assert!(ended.success(), "{ended}: {}", agent.log_tail());
    assert!(client.commands().await.is_err());
}

#[tokio::test]
async fn without_its_token_a_stock_agent_opens_nothing() {
    let root = tempfile::tempdir().unwrap();
    let (agent, url) = start(root.path()).await;
    let stranger = client(&url, &TOKEN.replace('a', "b"));
    let request = FinalizeRescue { rescue_password: HASH.to_owned(), hashed: true };
    let refused = stranger.finalize_rescue(&request).await.unwrap_err();
    assert!(refused.to_string().contains("401"), "{refused}");
    assert!(!root.path().join("etc/ipa-rescue-config/ipa-rescue-password").exists());
    drop(agent);
}
