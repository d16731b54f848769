//! What a service tells of itself and of its nodes: metrics, readiness, `wrought node explain` against API and store.

use std::time::Duration;

use hostcmd::Command;
use sim::Fault;

use crate::LONG;
use crate::machine::manageable;
use crate::site::{Settings, Site};

async fn get(site: &Site, path: &str) -> (u16, String) {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let response = client.get(format!("{}{path}", site.url())).send().await.unwrap();
    (response.status().as_u16(), response.text().await.unwrap())
}

/// Runs the binary and gives what it says, on standard output or, when it fails, on standard error.
async fn say(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_wrought")).args(arguments).output(LONG).await.unwrap();
    if output.status.success() { output.stdout_text() } else { output.stderr_text() }
}

fn says(text: &str, words: &[&str]) {
    for word in words {
        assert!(text.contains(word), "'{word}' is not in: {text}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failing_clean_explains_itself() {
    let mut site = Site::start(&Settings { conductor: "callback_timeout = 10", ..Settings::default() }).await;
    let fleet = site.fleet(1, 77).await;
    let (api, machine) = (site.api(), fleet.machines()[0].clone());
    let node = manageable(&api, &machine).await;
    machine.inject_fault(Fault::AgentNeverCalls);
    api.verb(&node, "provide").await;

    let ask = ["node", "explain", &node, "--url", &site.url()];
    let since = tokio::time::Instant::now();
    let mut told = say(&ask).await;
    while !told.contains("'clean wait'") && since.elapsed() < LONG {
        told = say(&ask).await;
    }
    says(&told, &[machine.name(), "'clean wait'", "waiting for the agent", "Held by:    nobody", "Then:"]);
    says(&told, &["Last boot:  So far: "]);

    let (_, error) = api.fails(&node, "clean failed").await;
    says(&error, &["E0512", "did not call within 10 s"]);
    let failed = ["'clean failed'", "Maintenance", "Doing:      nothing", "wrought explain E0512"];
    let told = say(&ask).await;
    says(&told, &failed[..1]);
    says(&told, &failed[2..]);
    says(&say(&["explain", "e0512"]).await, &["# E0512: ", "## What to do"]);
    says(&say(&["node", "explain", "nobody", "--url", &site.url()]).await, &["404", "nobody"]);

    let (status, text) = get(&site, "/metrics").await;
    assert_eq!(status, 200);
    says(
        &text,
        &[
            "wrought_nodes{state=\"clean failed\"} 1",
            "wrought_state_seconds_count{state=\"clean wait\"} 1",
            "wrought_action_seconds_count{flow=\"clean\",action=\"powering on\",outcome=\"done\"} 1",
            "wrought_bmc_request_seconds_count{protocol=\"ipmi\",outcome=\"ok\"}",
            "wrought_netboot_events_total{event=\"script\"}",
            "wrought_http_requests_total{method=\"PUT\",route=\"/v1/nodes/{node_ident}/states/provision\",status=\"202\"} ",
            "wrought_store_writes_waiting ",
            "wrought_store_write_seconds_count{outcome=\"ok\"} ",
            "wrought_boot_events_lost 0",
            "wrought_effects{state=\"under way\"} 0",
            "wrought_effects{state=\"waiting\"} 0",
            "wrought_turn_wait_seconds_count ",
        ],
    );
    assert!(!text.contains(&node) && !text.contains(machine.name()), "a node is named");
    assert_eq!(get(&site, "/readyz").await, (200, "ready\n".to_owned()));
    assert_eq!(get(&site, "/healthcheck").await, (200, "OK".to_owned()));

    // The service is down: the store tells the same.
    site.terminate(Duration::from_secs(30)).await;
    says(&say(&ask).await, &["cannot ask", "--config"]);
    let config = site.path("wrought.toml").display().to_string();
    let before = std::fs::read(site.path("data/wrought.db")).unwrap();
    says(
        &say(&["node", "explain", &node, "--config", &config]).await,
        &[machine.name(), "E0512", "Last boot: "],
    );
    assert!(before == std::fs::read(site.path("data/wrought.db")).unwrap(), "reading changes nothing");
    fleet.stop().await;
}
