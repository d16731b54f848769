//! The client against a scripted agent: what it sends, and what it makes of every kind of answer.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on shall stop")]

use agent_api::{AgentStep, AgentToken, CommandStatus, StepKind, params::InstallBootloader};
use agent_client::{AgentClient, AgentError, AgentTarget, ClientOptions, Trust};
use axum::{
    Router,
    body::{Body, Bytes},
    extract::State,
    http::{Method, Uri},
    response::Response,
};
use serde_json::{Map, Value, json};
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

const TOKEN: &str = "a-token-of-more-than-thirty-two-characters";

type Seen = Arc<Mutex<Vec<String>>>;
type Answer = Arc<dyn Fn(&str, &Value) -> (u16, String) + Send + Sync>;

/// An agent that answers by a function of the request line and body, and keeps what it was asked.
async fn agent(
    answer: impl Fn(&str, &Value) -> (u16, String) + Send + Sync + 'static,
) -> (AgentClient, Seen) {
    async fn handle(
        State((answer, seen)): State<(Answer, Seen)>,
        method: Method,
        uri: Uri,
        body: Bytes,
    ) -> Response {
        let line = format!("{method} {uri}");
        let body: Value = serde_json::from_slice(&body).unwrap_or_default();
        let (status, text) = answer(&line, &body);
        seen.lock().unwrap().push(format!("{line} {body}"));
        Response::builder().status(status).body(Body::from(text)).unwrap()
    }
    let seen = Seen::default();
    let answer: Answer = Arc::new(answer);
    let router = Router::new().fallback(handle).with_state((answer, seen.clone()));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    (client(&url), seen)
}

fn client(url: &str) -> AgentClient {
    let token = Some(AgentToken::new(TOKEN));
    let target = AgentTarget { url: url.to_owned(), token, trust: Trust::Nothing };
    let options = ClientOptions { command_timeout: Duration::from_millis(500), ..ClientOptions::default() };
    AgentClient::new(&target, options).unwrap()
}

fn result(name: &str, status: &str, result: &Value, error: &Value) -> String {
    json!({"id": "c-1", "command_name": name, "command_status": status, "command_result": result, "command_error": error})
        .to_string()
}

#[tokio::test]
async fn steps_are_asked_for_as_the_protocol_says() {
    let (agent, seen) = agent(|_, _| {
        let steps = json!({"clean_steps": {"m": [{"step": "erase", "interface": "deploy", "priority": 3}]},
                           "hardware_manager_version": {"m": "1"}});
        (200, result("get_clean_steps", "SUCCEEDED", &steps, &Value::Null))
    })
    .await;
    let (reply, _) = agent.get_steps(StepKind::Clean, &json!({"uuid": "n"}), &json!([])).await.unwrap();
    assert_eq!(reply.steps["m"][0].priority, 3);
    let line = seen.lock().unwrap()[0].clone();
    assert_eq!(
        line,
        format!(
            "POST /v1/commands/?agent_token={TOKEN}&wait=true {}",
            json!({"name": "clean.get_clean_steps", "params": {"node": {"uuid": "n"}, "ports": []}})
        )
    );
}

#[tokio::test]
async fn a_step_is_started_with_the_versions() {
    let (agent, seen) =
        agent(|_, _| (200, result("execute_deploy_step", "RUNNING", &Value::Null, &Value::Null))).await;
    let step = AgentStep { step: "write_image".into(), interface: "deploy".into(), ..AgentStep::default() };
    let versions = [("m".to_owned(), "1".to_owned())].into();
    let started =
        agent.execute_step(StepKind::Deploy, &step, &json!({}), &json!([]), Some(&versions)).await.unwrap();
    assert!(started.is_running());
    let line = seen.lock().unwrap()[0].clone();
    assert!(line.contains("wait=false") && line.contains(r#""deploy_version":{"m":"1"}"#), "{line}");
}

#[tokio::test]
async fn busy_is_busy_by_status_and_by_text() {
    for (status, text) in [(409, "x"), (500, r#"{"faultstring":"Agent is busy: executing command sync"}"#)] {
        let (agent, _) = agent(move |_, _| (status, text.to_owned())).await;
        let error = agent.sync().await.unwrap_err();
        assert!(matches!(error, AgentError::InProgress { .. }), "{error:?}");
        assert!(error.is_transient());
    }
}

#[tokio::test]
async fn what_a_predecessor_began_is_waited_for() {
    let running =
        |line: &str| line.starts_with("GET /v1/commands/?") || line.starts_with("GET /v1/commands?");
    let (agent, seen) = agent(move |line, _| {
        if line.starts_with("POST") {
            return (409, "Agent is busy: executing install_bootloader".to_owned());
        }
        if running(line) {
            let one = result("install_bootloader", "RUNNING", &Value::Null, &Value::Null);
            return (200, format!(r#"{{"commands": [{one}]}}"#));
        }
        (200, result("install_bootloader", "SUCCEEDED", &Value::Null, &Value::Null))
    })
    .await;
    agent.install_bootloader(&InstallBootloader::default(), Duration::from_secs(10)).await.unwrap();
    let orders = seen.lock().unwrap().iter().filter(|line| line.starts_with("POST")).count();
    assert_eq!(orders, 1);
}

#[tokio::test]
async fn failures_keep_their_reason() {
    let failed = json!({"type": "CleaningError", "code": 500, "message": "m", "details": "no such disk"});
    let (agent, _) = agent(move |_, _| (200, result("sync", "FAILED", &Value::Null, &failed))).await;
    let error = agent.sync().await.unwrap_err();
    assert_eq!(error.to_string(), "the agent's sync failed: no such disk");
    let raw = agent.command("standby.sync", Map::new(), true).await.unwrap();
    assert_eq!(raw.command_status, CommandStatus::Failed);
}

#[tokio::test]
async fn old_agents_are_asked_without_the_boot_mode() {
    let (agent, seen) = agent(|line, body| {
        if line.starts_with("GET") {
            return (200, result("install_bootloader", "SUCCEEDED", &Value::Null, &Value::Null));
        }
        if body["params"].get("target_boot_mode").is_some() {
            let mismatch =
                json!({"type": "TypeError", "code": 500, "message": "m", "details": "unexpected keyword"});
            return (200, result("install_bootloader", "FAILED", &Value::Null, &mismatch));
        }
        (200, result("install_bootloader", "RUNNING", &Value::Null, &Value::Null))
    })
    .await;
    let request = InstallBootloader { target_boot_mode: Some("uefi".into()), ..InstallBootloader::default() };
    agent.install_bootloader(&request, Duration::from_secs(5)).await.unwrap();
    let seen = seen.lock().unwrap();
    assert_eq!(seen.len(), 3);
    assert!(seen[2].contains("/v1/commands/c-1?wait=true"), "{}", seen[2]);
}

#[tokio::test]
async fn hostile_answers_are_errors() {
    let deep = "[".repeat(100_000);
    let answers = [
        "",
        "null",
        "[]",
        "{}",
        "\u{0}",
        r#"{"id":1}"#,
        r#"{"id":"x","command_name":"y","command_status":"z"}"#,
        &deep,
    ];
    for text in answers {
        let text = text.to_owned();
        let (agent, _) = agent(move |_, _| (200, text.clone())).await;
        assert!(matches!(agent.sync().await, Err(AgentError::BadReply { .. })));
    }
    let (long, _) = agent(|_, _| (200, " ".repeat((8 << 20) + 1))).await;
    assert!(matches!(long.sync().await, Err(AgentError::TooLong { .. })));
    let (redirect, _) = agent(|_, _| (302, String::new())).await;
    assert!(matches!(redirect.sync().await, Err(AgentError::Refused { status: 302, .. })));
}

#[tokio::test]
async fn identifiers_of_an_agent_do_not_walk_its_paths() {
    let (agent, seen) = agent(|_, _| (200, String::new())).await;
    for id in ["", "../../admin", "a/b", "a?b", &"x".repeat(65)] {
        assert!(agent.poll(id, None).await.is_err());
    }
    assert!(seen.lock().unwrap().is_empty());
}

#[tokio::test]
async fn an_endless_trickle_ends_at_the_deadline() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            tokio::spawn(async move {
                let _ = socket.read(&mut [0; 4096]).await;
                let _ = socket.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await;
                while socket.write_all(b" ").await.is_ok() {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            });
        }
    });
    let error = client(&url).sync().await.unwrap_err();
    assert!(matches!(error, AgentError::TimedOut { .. }), "{error:?}");
}

#[tokio::test]
async fn a_command_without_answer_is_found_in_the_list() {
    for (name, status, found) in
        [("sync", "RUNNING", true), ("sync", "SUCCEEDED", false), ("other", "RUNNING", false)]
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move {
            let mut kept = Vec::new();
            // The first connection brings the command and gets no answer, the second asks for the list.
            kept.push(listener.accept().await.unwrap());
            let (mut socket, _) = listener.accept().await.unwrap();
            let _ = socket.read(&mut [0; 4096]).await;
            let body = format!(r#"{{"commands":[{}]}}"#, result(name, status, &Value::Null, &Value::Null));
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
            socket.write_all((head + &body).as_bytes()).await.unwrap();
            std::future::pending::<()>().await;
            drop(kept);
        });
        let outcome = client(&url).command("standby.sync", Map::new(), true).await;
        assert_eq!(outcome.is_ok(), found, "{name} {status}: {outcome:?}");
    }
}

#[tokio::test]
async fn nobody_there_is_said_so_and_the_token_is_not() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let error = client(&url).sync().await.unwrap_err();
    assert!(matches!(error, AgentError::Unreachable { attempts: 3, .. }), "{error:?}");
    assert!(!format!("{error:?} {:?}", client(&url)).contains(TOKEN));
}

#[tokio::test]
async fn urls_that_are_none() {
    for url in ["", "ftp://h/", "no url", "http://"] {
        let target = AgentTarget { url: url.into(), token: None, trust: Trust::Nothing };
        assert!(
            matches!(AgentClient::new(&target, ClientOptions::default()), Err(AgentError::BadUrl)),
            "{url}"
        );
    }
}
