//! The agents' way from power on to heartbeats, and what keeps them from it.

use agent_api::token::AgentToken;
use agent_client::{AgentClient, AgentError, AgentTarget, ClientOptions, Trust};
use sim::{Fault, FaultKind, FleetOptions, Phase};

use super::api::{Running, TOKEN};
use super::{LONG, boot_ramdisk, reaches};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_finds_its_node_and_sends_heartbeats() {
    let service = Running::start().await;
    service.book(|book| book.locked = 2);
    let fleet = service.fleet(FleetOptions::new(3, 1)).await;
    let machine = fleet.machine(1).unwrap();
    boot_ramdisk(machine).await;
    let state = reaches(machine, "heartbeats", |state| state.heartbeats >= 3).await;
    assert_eq!(state.phase, Phase::Agent);
    let body = service.heartbeat(&machine.uuid().to_string(), 0).await;
    assert_eq!(body["callback_url"].as_str(), state.agent_url.as_deref());
    assert!(body["callback_url"].as_str().unwrap().starts_with("https://127.0.0.1:"));
    assert!(body["agent_verify_ca"].as_str().unwrap().starts_with("-----BEGIN CERTIFICATE-----"));
    assert!(body["agent_version"].is_string());
    let versions = service.book(|book| book.versions.clone());
    assert!(versions.contains(&("lookup", "1.62".to_owned())));
    assert!(versions.contains(&("heartbeat", "1.68".to_owned())));
    assert!(service.book(|book| book.heartbeats.iter().all(|(uuid, _)| *uuid == machine.uuid().to_string())));

    // Power goes, and with it the agent.
    let url = state.agent_url.unwrap();
    machine.power_off();
    let target = AgentTarget {
        url,
        token: Some(AgentToken::new(TOKEN)),
        trust: Trust::Certificate(body["agent_verify_ca"].as_str().unwrap().to_owned()),
    };
    let options = ClientOptions { attempts: 1, ..ClientOptions::default() };
    let error = AgentClient::new(&target, options).unwrap().commands().await.unwrap_err();
    assert!(matches!(error, AgentError::Unreachable { .. }), "{error:?}");
    let beats = service.book(|book| book.heartbeats.len());
    assert!(machine.wait_for(std::time::Duration::from_secs(1), |state| state.powered).await.is_none());
    assert_eq!(service.book(|book| book.heartbeats.len()), beats);
    fleet.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_without_its_token_is_refused_by_nobody_but_itself() {
    let service = Running::start().await;
    service.book(|book| book.token_given_away = true);
    let fleet = service.fleet(FleetOptions::new(1, 2)).await;
    let machine = fleet.machine(0).unwrap();
    boot_ramdisk(machine).await;
    let state = reaches(machine, "locked down", |state| state.phase == Phase::AgentGone).await;
    assert!(state.last_problem.unwrap().contains("locked down"));
    assert_eq!(state.heartbeats, 0);
    fleet.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_token_gets_nothing_from_an_agent() {
    let service = Running::start().await;
    let fleet = service.fleet(FleetOptions::new(1, 3)).await;
    let machine = fleet.machine(0).unwrap();
    boot_ramdisk(machine).await;
    let body = service.heartbeat(&machine.uuid().to_string(), 0).await;
    let with = |token: Option<&str>, trust| AgentTarget {
        url: body["callback_url"].as_str().unwrap().to_owned(),
        token: token.map(AgentToken::new),
        trust,
    };
    let certificate = || Trust::Certificate(body["agent_verify_ca"].as_str().unwrap().to_owned());
    let commands = |target: AgentTarget| async move {
        let options = ClientOptions { attempts: 1, ..ClientOptions::default() };
        AgentClient::new(&target, options).unwrap().commands().await
    };
    commands(with(Some(TOKEN), certificate())).await.unwrap();
    for token in [None, Some("another-token-of-more-than-32-characters")] {
        let error = commands(with(token, certificate())).await.unwrap_err();
        assert!(matches!(error, AgentError::Refused { .. }), "{error:?}");
    }
    // The certificate is the agent's own and stands for nobody else; by address it is valid for clients that check
    // names too.
    let pem = body["agent_verify_ca"].as_str().unwrap().to_owned();
    commands(with(Some(TOKEN), Trust::Authorities(pem))).await.unwrap();
    fleet.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silent_agents_and_lost_heartbeats() {
    let service = Running::start().await;
    let fleet = service.fleet(FleetOptions::new(2, 4)).await;
    let silent = fleet.machine(0).unwrap();
    silent.inject_fault(Fault::AgentNeverCalls);
    let lossy = fleet.machine(1).unwrap();
    lossy.inject_fault(Fault::HeartbeatLost(1.0));
    for machine in fleet.machines() {
        boot_ramdisk(machine).await;
    }
    reaches(silent, "booted without an agent", |state| state.phase == Phase::AgentGone).await;
    reaches(lossy, "agent", |state| state.phase == Phase::Agent).await;
    assert!(lossy.wait_for(std::time::Duration::from_secs(1), |state| state.heartbeats > 0).await.is_none());
    lossy.clear_fault(FaultKind::HeartbeatLost);
    reaches(lossy, "heartbeat", |state| state.heartbeats > 0).await;
    assert!(!service.book(|book| book.versions.is_empty()));
    assert_eq!(silent.state().heartbeats, 0);
    fleet.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refused_heartbeats_are_sent_again() {
    let service = Running::start().await;
    service.book(|book| book.refuse_heartbeats = true);
    let fleet = service.fleet(FleetOptions::new(1, 5)).await;
    let machine = fleet.machine(0).unwrap();
    boot_ramdisk(machine).await;
    let state = reaches(machine, "refusal", |state| state.last_problem.is_some()).await;
    assert!(state.last_problem.unwrap().contains("no worker"));
    service.book(|book| book.refuse_heartbeats = false);
    reaches(machine, "heartbeat", |state| state.heartbeats > 0).await;
    fleet.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_boot_server_decides_what_a_network_boot_is() {
    let service = Running::start().await;
    let options = FleetOptions { netboot_url: Some(service.url.clone()), ..FleetOptions::new(1, 6) };
    let fleet = sim::Fleet::start(options).await.unwrap();
    service.know(&fleet);
    let machine = fleet.machine(0).unwrap();

    // No script: three fetches, then the disk, which is empty.
    boot_ramdisk(machine).await;
    let state = reaches(machine, "nothing to boot", |state| state.phase == Phase::NothingToBoot).await;
    assert!(state.last_problem.unwrap().contains("404"));

    service.book(|book| book.script = "#!ipxe\nsanboot --drive 0x80 ||\nexit 1\n".to_owned());
    boot_ramdisk(machine).await;
    reaches(machine, "on to the disk", |state| state.boots == 2 && state.phase == Phase::NothingToBoot).await;

    // The API's address comes with the kernel's parameters, and so does the order to inspect.
    let script = format!(
        "#!ipxe\nkernel --name kernel http://x/vmlinuz ipa-api-url={0} \
         ipa-inspection-callback-url={0}v1/continue_inspection BOOTIF=${{mac}} || goto failed\nboot\n",
        service.url
    );
    service.book(|book| book.script = script);
    boot_ramdisk(machine).await;
    reaches(machine, "heartbeat", |state| state.heartbeats > 0).await;
    let report = service.book(|book| book.inspections.first().cloned()).unwrap();
    assert_eq!(report["inventory"]["interfaces"][0]["mac_address"], machine.mac());
    assert!(report["inventory"]["memory"]["physical_mb"].as_u64().unwrap() > 1000);
    fleet.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn forty_agents_boot_at_once() {
    let service = Running::start().await;
    let fleet = service.fleet(FleetOptions::new(40, 7)).await;
    for machine in fleet.machines() {
        machine.power_on();
    }
    for machine in fleet.machines() {
        let state = machine.wait_for(LONG, |state| state.heartbeats > 0).await;
        assert!(state.is_some(), "{:?}", machine.state());
    }
    fleet.stop().await;
}
