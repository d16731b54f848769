//! Lives of an agent: against a conductor that keeps what it is told, by the client that conductors use, over real TLS,
//! writing to files that stand for disks.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on shall stop")]

mod conductor;
mod images;

use agent::{machine::Ending, session::SessionError};
use agent_api::{AgentStep, CommandResult, CommandStatus, StepKind, params::InstallBootloader};
use agent_client::{AgentClient, AgentError};
use base64::{Engine, engine::general_purpose::STANDARD};
use conductor::{Conductor, Knobs, NODE, agent, parameters};
use disk_image::hash::to_hex;
use flate2::{Compression, write::GzEncoder};
use images::{Images, Mood};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::{
    io::Write,
    path::{Path, PathBuf},
    time::Duration,
};
use tokio::time::Instant;

const MIB: usize = 1 << 20;

/// A disk image with a partition table (one partition of 2 MiB at 1 MiB) and bytes that are easy to tell apart.
fn image(length: usize) -> Vec<u8> {
    let mut image: Vec<u8> = (0..length).map(|at| u8::try_from(at / 4096 % 251).unwrap()).collect();
    image[..512].fill(0);
    image[446..462].copy_from_slice(&[0x80, 0, 0, 0, 0x83, 0, 0, 0, 0, 8, 0, 0, 0, 16, 0, 0]);
    image[510..512].copy_from_slice(&[0x55, 0xaa]);
    image
}

fn disk(directory: &Path, length: usize) -> PathBuf {
    let path = directory.join("disk");
    std::fs::write(&path, vec![0xee; length]).unwrap();
    path
}

fn digest(content: &[u8]) -> String {
    to_hex(&Sha256::digest(content))
}

fn write_step(url: &str, digest: &str, config_drive: Option<&str>) -> AgentStep {
    let args = json!({
        "image_info": {"id": "disk.raw", "urls": [url], "disk_format": "raw", "os_hash_algo": "sha256", "os_hash_value": digest},
        "configdrive": config_drive,
    });
    AgentStep {
        step: "write_image".into(),
        interface: "deploy".into(),
        priority: 80,
        args: args.as_object().cloned(),
        ..AgentStep::default()
    }
}

async fn run_step(client: &AgentClient, kind: StepKind, step: &AgentStep) -> CommandResult {
    let node = json!({"uuid": NODE, "properties": {}, "instance_info": {}});
    let started = client.execute_step(kind, step, &node, &json!([]), None).await.unwrap();
    assert!(started.is_running());
    client.wait_for(started, Duration::from_mins(1)).await.unwrap()
}

fn why(result: &CommandResult) -> &str {
    assert_eq!(result.command_status, CommandStatus::Failed, "{result:?}");
    result.command_error.as_ref().unwrap().text()
}

/// Whether firmware finds nothing to boot: no boot sector, and nothing of a backup GPT.
fn is_blank(path: &Path) -> bool {
    let content = std::fs::read(path).unwrap();
    content[..512].iter().all(|byte| *byte == 0)
        && content[content.len() - 512..].iter().all(|byte| *byte == 0)
}

#[tokio::test]
async fn a_whole_deploy() {
    let directory = tempfile::tempdir().unwrap();
    let path = disk(directory.path(), 16 * MIB);
    let image = image(8 * MIB);
    let images = Images::start(image.clone(), true, &[Mood::Hold(5 * MIB)]).await;
    let mut conductor = Conductor::start(Knobs { refusals: vec![404, 500], ..Knobs::default() }).await;
    let session = agent(parameters(&conductor.url), &[&path]);
    let client = conductor.client().await;

    let (clean, _) = client.get_steps(StepKind::Clean, &json!({}), &json!([])).await.unwrap();
    let names: Vec<_> = clean.steps.values().flatten().map(|step| step.step.as_str()).collect();
    assert_eq!(names, ["erase_devices_metadata", "erase_devices"]);
    let erase = clean.steps.values().flatten().next().unwrap().clone();
    let erased = run_step(&client, StepKind::Clean, &erase).await;
    assert_eq!(erased.command_result["clean_step"]["step"], "erase_devices_metadata");
    assert!(is_blank(&path));

    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(&b"ISO!".repeat(600)).unwrap();
    let drive = STANDARD.encode(encoder.finish().unwrap());
    let step = write_step(&images.url, &digest(&image), Some(&drive));
    // The image server holds back until progress was seen.
    let (written, ()) = tokio::join!(run_step(&client, StepKind::Deploy, &step), async {
        loop {
            if conductor
                .told
                .lock()
                .unwrap()
                .progress
                .iter()
                .any(|(_, report)| report.progress.bytes_done > 0)
            {
                break images.release.notify_one();
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    assert_eq!(written.command_status, CommandStatus::Succeeded, "{written:?}");
    assert_eq!(written.command_result["deploy_step"]["step"], "write_image");
    let content = std::fs::read(&path).unwrap();
    assert_eq!(digest(&content[MIB..8 * MIB]), digest(&image[MIB..]), "the image is on the disk");
    assert!(
        content[8 * MIB..].windows(8).any(|bytes| bytes == b"ISO!ISO!"),
        "and the config drive behind it"
    );

    client.install_bootloader(&InstallBootloader::default(), Duration::from_secs(10)).await.unwrap();
    client.get_partition_uuids().await.unwrap();
    client.sync().await.unwrap();
    let logs = STANDARD.decode(client.collect_system_logs().await.unwrap().system_logs).unwrap();
    assert_eq!(&logs[..2], &[0x1f, 0x8b]);
    assert_eq!(client.commands().await.unwrap().len(), 7);
    client.run_image().await.unwrap();
    assert_eq!(session.await.unwrap().unwrap(), Ending::Reboot);

    let told = conductor.told.lock().unwrap();
    assert_eq!(told.lookups.len(), 3);
    assert_eq!(told.lookups[0], "addresses=52:54:00:00:00:02,52:54:00:00:00:01");
    assert!(told.versions.contains(&("lookup".into(), "1.62".into())));
    assert!(told.versions.contains(&("heartbeat".into(), "1.68".into())));
    let reports: Vec<_> = told.progress.iter().map(|(at, _)| *at).collect();
    assert!(
        reports.windows(2).all(|pair| pair[1] - pair[0] >= Duration::from_millis(950)),
        "at most one a second"
    );
    let first = &told.progress[0].1;
    assert_eq!(
        (first.command.as_str(), first.agent_token.reveal()),
        ("execute_clean_step", conductor::TOKEN)
    );
}

#[tokio::test]
async fn a_wrong_image_does_not_boot() {
    let directory = tempfile::tempdir().unwrap();
    let path = disk(directory.path(), 4 * MIB);
    let images = Images::start(image(2 * MIB), true, &[Mood::Well]).await;
    let mut conductor = Conductor::start(Knobs::default()).await;
    let _session = agent(parameters(&conductor.url), &[&path]);
    let client = conductor.client().await;
    let failed = run_step(&client, StepKind::Deploy, &write_step(&images.url, &"0".repeat(64), None)).await;
    assert!(
        why(&failed).contains("has checksum sha256:") || why(&failed).contains("checksum"),
        "{}",
        why(&failed)
    );
    assert!(is_blank(&path));
}

#[tokio::test]
async fn an_image_larger_than_the_disk_leaves_it_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = disk(directory.path(), MIB);
    let image = image(2 * MIB);
    let images = Images::start(image.clone(), true, &[Mood::Well]).await;
    let mut conductor = Conductor::start(Knobs::default()).await;
    let _session = agent(parameters(&conductor.url), &[&path]);
    let client = conductor.client().await;
    let failed = run_step(&client, StepKind::Deploy, &write_step(&images.url, &digest(&image), None)).await;
    assert!(why(&failed).contains("needs 2097152 bytes"), "{}", why(&failed));
    assert_eq!(std::fs::read(&path).unwrap(), vec![0xee; MIB], "not one byte was written");
}

#[tokio::test]
async fn a_broken_download_is_taken_up_again() {
    for ranges in [true, false] {
        let directory = tempfile::tempdir().unwrap();
        let path = disk(directory.path(), 8 * MIB);
        let image = image(6 * MIB);
        let moods = [Mood::Status(503), Mood::Cut(3 * MIB), Mood::Cut(0), Mood::Status(502), Mood::Well];
        let images = Images::start(image.clone(), ranges, &moods).await;
        let mut conductor = Conductor::start(Knobs::default()).await;
        let _session = agent(parameters(&conductor.url), &[&path]);
        let client = conductor.client().await;
        let written =
            run_step(&client, StepKind::Deploy, &write_step(&images.url, &digest(&image), None)).await;
        assert_eq!(written.command_status, CommandStatus::Succeeded, "{written:?}");
        assert_eq!(digest(&std::fs::read(&path).unwrap()[..6 * MIB]), digest(&image));
        let last = images.requests.lock().unwrap().last().unwrap().to_ascii_lowercase();
        assert!(last.contains("range: bytes=") && last.contains("if-range: \"one\""), "{last}");
    }
}

#[tokio::test]
async fn an_image_that_changes_on_the_way_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = disk(directory.path(), 4 * MIB);
    let image = image(2 * MIB);
    let images = Images::start(image.clone(), true, &[Mood::Cut(MIB), Mood::Changed]).await;
    let mut conductor = Conductor::start(Knobs::default()).await;
    let _session = agent(parameters(&conductor.url), &[&path]);
    let client = conductor.client().await;
    let failed = run_step(&client, StepKind::Deploy, &write_step(&images.url, &digest(&image), None)).await;
    assert!(why(&failed).contains("changed during its download"), "{}", why(&failed));
    assert!(is_blank(&path));
}

#[tokio::test]
async fn an_image_server_that_goes_away_is_given_up_on() {
    let directory = tempfile::tempdir().unwrap();
    let path = disk(directory.path(), 4 * MIB);
    let image = image(2 * MIB);
    let images = Images::start(image.clone(), true, &[Mood::Cut(MIB), Mood::Status(503)]).await;
    let mut conductor = Conductor::start(Knobs::default()).await;
    let mut parameters = parameters(&conductor.url);
    parameters.image_retries = 2;
    let _session = agent(parameters, &[&path]);
    let client = conductor.client().await;
    let failed = run_step(&client, StepKind::Deploy, &write_step(&images.url, &digest(&image), None)).await;
    assert!(why(&failed).contains("answered 503"), "{}", why(&failed));
    assert!(is_blank(&path));
    assert_eq!(images.requests.lock().unwrap().len(), 3, "the first, and two more after it broke");

    let gone = write_step("http://127.0.0.1:1/x", &digest(&image), None);
    let failed = run_step(&client, StepKind::Deploy, &gone).await;
    assert!(why(&failed).contains("cannot connect to 127.0.0.1:1"), "{}", why(&failed));
    let missing = Images::start(Vec::new(), true, &[Mood::Status(404)]).await;
    let failed = run_step(&client, StepKind::Deploy, &write_step(&missing.url, &digest(&image), None)).await;
    assert!(why(&failed).contains("answered 404"), "{}", why(&failed));
    assert_eq!(missing.requests.lock().unwrap().len(), 1, "what is not there is not asked for again");
}

#[tokio::test]
async fn a_config_drive_that_cannot_be_added_leaves_nothing_that_boots() {
    let directory = tempfile::tempdir().unwrap();
    let path = disk(directory.path(), 4 * MIB);
    let mut image = image(2 * MIB);
    image[446..462].fill(0);
    let images = Images::start(image.clone(), true, &[Mood::Well]).await;
    let mut conductor = Conductor::start(Knobs::default()).await;
    let _session = agent(parameters(&conductor.url), &[&path]);
    let client = conductor.client().await;
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(b"ISO").unwrap();
    let drive = STANDARD.encode(encoder.finish().unwrap());
    let failed =
        run_step(&client, StepKind::Deploy, &write_step(&images.url, &digest(&image), Some(&drive))).await;
    assert!(why(&failed).contains("no partition table"), "{}", why(&failed));
    assert!(is_blank(&path));

    std::fs::write(&path, vec![0xee; 4 * MIB]).unwrap();
    let rubbish = write_step(&images.url, &digest(&image), Some("not base64!"));
    assert!(why(&run_step(&client, StepKind::Deploy, &rubbish).await).contains("not base64"));
    assert_eq!(
        std::fs::read(&path).unwrap()[0],
        0xee,
        "what cannot be used is found before the disk is touched"
    );
}

#[tokio::test]
async fn one_command_at_a_time() {
    let directory = tempfile::tempdir().unwrap();
    let path = disk(directory.path(), 4 * MIB);
    let image = image(2 * MIB);
    let images = Images::start(image.clone(), true, &[Mood::Hold(MIB)]).await;
    let mut conductor = Conductor::start(Knobs::default()).await;
    let _session = agent(parameters(&conductor.url), &[&path]);
    let client = conductor.client().await;
    let step = write_step(&images.url, &digest(&image), None);
    let started = client.execute_step(StepKind::Deploy, &step, &json!({}), &json!([]), None).await.unwrap();
    let busy = client.sync().await.unwrap_err();
    assert!(
        matches!(&busy, AgentError::InProgress { text } if text.contains("execute_deploy_step")),
        "{busy:?}"
    );
    let polled = client.poll(&started.id, Some(Duration::from_millis(50))).await.unwrap();
    assert!(polled.is_running());
    images.release.notify_one();
    let ended = client.wait_for(started, Duration::from_secs(30)).await.unwrap();
    assert_eq!(ended.command_status, CommandStatus::Succeeded);
    client.sync().await.unwrap();
}

#[tokio::test]
async fn a_stock_server_is_spared_what_it_does_not_know() {
    let directory = tempfile::tempdir().unwrap();
    let path = disk(directory.path(), 4 * MIB);
    let image = image(2 * MIB);
    let images = Images::start(image.clone(), true, &[Mood::Well]).await;
    let mut conductor = Conductor::start(Knobs { wrought: false, ..Knobs::default() }).await;
    let _session = agent(parameters(&conductor.url), &[&path]);
    let first = Instant::now();
    let client = conductor.client().await;
    run_step(&client, StepKind::Deploy, &write_step(&images.url, &digest(&image), None)).await;
    let (forced, body) = conductor.beat().await;
    assert!(forced - first >= Duration::from_millis(4900), "not sooner than 5 s after the last");
    assert!(forced - first < Duration::from_secs(15), "but soon");
    let known = ["agent_token", "agent_verify_ca", "agent_version", "callback_url"];
    assert!(body.as_object().unwrap().keys().all(|key| known.contains(&key.as_str())), "{body}");
    assert!(conductor.told.lock().unwrap().progress.is_empty());
}

#[tokio::test]
async fn a_wrought_server_hears_at_once_that_a_command_ended() {
    let directory = tempfile::tempdir().unwrap();
    let path = disk(directory.path(), 4 * MIB);
    let mut conductor = Conductor::start(Knobs::default()).await;
    let _session = agent(parameters(&conductor.url), &[&path]);
    let client = conductor.client().await;
    let erase =
        AgentStep { step: "erase_devices".into(), interface: "deploy".into(), ..AgentStep::default() };
    let erased = run_step(&client, StepKind::Clean, &erase).await;
    let ended = Instant::now();
    assert_eq!(erased.command_status, CommandStatus::Succeeded, "{erased:?}");
    assert!(std::fs::read(&path).unwrap().iter().all(|byte| *byte == 0));
    let (forced, _) = conductor.beat().await;
    assert!(forced < ended + Duration::from_secs(1));
}

#[tokio::test]
async fn an_old_server_gets_plain_http_and_old_keys() {
    let mut conductor = Conductor::start(Knobs { version: "1.40", wrought: false, ..Knobs::default() }).await;
    let _session = agent(parameters(&conductor.url), &[]);
    let (_, body) = conductor.beat().await;
    assert!(body["callback_url"].as_str().unwrap().starts_with("http://127.0.0.1:"));
    assert!(body.get("agent_verify_ca").is_none());
    let versions = conductor.told.lock().unwrap().versions.clone();
    assert_eq!(versions, [("lookup".into(), "1.40".into()), ("heartbeat".into(), "1.40".into())]);
}

#[tokio::test]
async fn a_token_that_somebody_else_has_ends_it() {
    let conductor = Conductor::start(Knobs { masked: true, ..Knobs::default() }).await;
    let outcome = agent(parameters(&conductor.url), &[]).await.unwrap();
    assert!(matches!(outcome, Err(SessionError::TokenTaken)), "{outcome:?}");
}

#[tokio::test]
async fn a_token_given_at_boot_is_kept() {
    let mut conductor = Conductor::start(Knobs { masked: true, ..Knobs::default() }).await;
    let mut parameters = parameters(&conductor.url);
    parameters.token = Some(agent_api::AgentToken::new(conductor::TOKEN));
    let _session = agent(parameters, &[]);
    conductor.client().await.sync().await.unwrap();
}

#[tokio::test]
async fn lookup_gives_up_in_time() {
    let conductor = Conductor::start(Knobs { refusals: vec![404; 100], ..Knobs::default() }).await;
    let mut parameters = parameters(&conductor.url);
    parameters.lookup_timeout = Duration::from_secs(1);
    let outcome = agent(parameters, &[]).await.unwrap();
    assert!(matches!(outcome, Err(SessionError::LookupTimeout { .. })), "{outcome:?}");
}

#[tokio::test]
async fn inspection_comes_first_and_names_the_node() {
    let directory = tempfile::tempdir().unwrap();
    let path = disk(directory.path(), 4 * MIB);
    let mut conductor = Conductor::start(Knobs::default()).await;
    let mut parameters = parameters(&conductor.url);
    parameters.collectors = Some("default,logs".into());
    let _session = agent(parameters, &[&path]);
    conductor.beat().await;
    let told = conductor.told.lock().unwrap();
    let inventory = &told.inspections[0]["inventory"];
    assert_eq!(inventory["disks"][0]["size"], 4 * MIB);
    assert!(inventory["memory"]["total"].as_u64().unwrap() > 0);
    assert_eq!(told.versions[0], ("inspection".into(), "none".into()));
    assert!(told.lookups[0].ends_with(&format!("&node_uuid={NODE}")), "{}", told.lookups[0]);
}

#[tokio::test]
async fn what_the_routes_refuse() {
    let mut conductor = Conductor::start(Knobs { version: "1.62", ..Knobs::default() }).await;
    let _session = agent(parameters(&conductor.url), &[]);
    let (_, body) = conductor.beat().await;
    let base = body["callback_url"].as_str().unwrap().to_owned();
    let token = conductor::TOKEN;
    for (method, path, body, status) in [
        ("GET", "/", "", 200),
        ("GET", "/v1/", "", 200),
        ("GET", "/v1/status", "", 200),
        ("GET", "/status", "", 200),
        ("GET", "/v1/commands/", "", 401),
        ("GET", "/v1/commands/?agent_token=wrong", "", 401),
        ("GET", &format!("/v1/commands?agent_token={token}"), "", 200),
        ("GET", &format!("/v1/commands/none?agent_token={token}"), "", 404),
        ("POST", "/v1/commands/", r#"{"name":"standby.sync","params":{}}"#, 401),
        ("POST", &format!("/v1/commands/?agent_token={token}"), "not JSON", 400),
        ("POST", &format!("/v1/commands/?agent_token={token}"), r#"{"name":"standby.sync"}"#, 400),
        ("POST", &format!("/v1/commands/?agent_token={token}"), r#"{"name":"sync","params":{}}"#, 400),
        ("POST", &format!("/v1/commands/?agent_token={token}"), r#"{"name":"no.such","params":{}}"#, 404),
        (
            "POST",
            &format!("/v1/commands/?agent_token={token}"),
            r#"{"name":"clean.no_such","params":{}}"#,
            400,
        ),
        (
            "POST",
            &format!("/v1/commands/?agent_token={token}"),
            r#"{"name":"standby.sync","params":[]}"#,
            400,
        ),
        ("DELETE", "/v1/commands/", "", 405),
        ("GET", "/v2/", "", 404),
    ] {
        let fetch = agent::fetch::Fetch {
            method: method.parse().unwrap(),
            url: format!("{base}{path}"),
            headers: http::HeaderMap::new(),
            body: body.as_bytes().to_vec().into(),
            limit: Duration::from_secs(10),
        };
        let parameters = parameters("http://127.0.0.1");
        let fetcher = agent::fetch::Fetcher::new(agent::tls::client_config(&parameters, &[]).unwrap());
        let (got, reply) = fetcher.load(&fetch, MIB).await.unwrap();
        assert_eq!(got.as_u16(), status, "{method} {path} {body}");
        let reply: Value = serde_json::from_slice(&reply).unwrap();
        assert!(status == 200 || reply["faultstring"].is_string(), "{reply}");
    }
}

#[tokio::test]
async fn arguments_that_are_missing_or_wrong() {
    let mut conductor = Conductor::start(Knobs::default()).await;
    let _session = agent(parameters(&conductor.url), &[]);
    let client = conductor.client().await;
    let bare = client.command("clean.get_clean_steps", serde_json::Map::new(), true).await.unwrap();
    assert!(bare.command_error.unwrap().is_argument_mismatch());
    let unknown = AgentStep { step: "burnin_cpu".into(), interface: "deploy".into(), ..AgentStep::default() };
    let failed = run_step(&client, StepKind::Clean, &unknown).await;
    assert!(why(&failed).contains("no clean step burnin_cpu"), "{}", why(&failed));
    let versions = [("generic_hardware_manager".to_owned(), "1.2".to_owned())].into();
    let started = client
        .execute_step(StepKind::Clean, &unknown, &json!({}), &json!([]), Some(&versions))
        .await
        .unwrap();
    let ended = client.wait_for(started, Duration::from_secs(10)).await.unwrap();
    assert_eq!(ended.command_status, CommandStatus::CleanVersionMismatch);
    let (service, _) = client.get_steps(StepKind::Service, &json!({}), &json!([])).await.unwrap();
    assert!(service.steps.values().all(Vec::is_empty));
}
