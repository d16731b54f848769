//! `wrought fleet` from its arguments to its listing, and enrolment.

use clap::Parser as _;
use serde_json::Value;
use sim::{ApiAccess, Enrolment, Fleet, FleetOptions, SimArgs, SimError, run_cli};

use super::api::Running;
use super::own_address;

#[derive(Debug, clap::Parser)]
struct Cli {
    #[command(flatten)]
    sim: SimArgs,
}

fn args(text: &str) -> SimArgs {
    Cli::try_parse_from(std::iter::once("sim").chain(text.split_whitespace())).unwrap().sim
}

async fn run(text: &str) -> Result<String, SimError> {
    let mut out = Vec::new();
    let text = format!("--address {} {text}", own_address(1));
    run_cli(&args(&text), &mut out, std::future::ready(())).await?;
    Ok(String::from_utf8(out).unwrap())
}

#[tokio::test]
async fn the_listing_as_table_and_as_json() {
    let table = run("--nodes 3 --seed 5 --port 16500 --fault dead-bmc=1").await.unwrap();
    let lines: Vec<&str> = table.lines().collect();
    assert_eq!(lines.len(), 4);
    assert!(lines[0].starts_with("name") && lines[0].ends_with("faults"));
    assert!(
        lines[3].starts_with("sim-00002") && lines[3].contains(&format!("{}:16502", own_address(1))),
        "{table}"
    );
    assert!(lines[3].ends_with("dead-bmc"), "{table}");
    let json = run("--nodes 2 --seed 5 --port 16510 --json").await.unwrap();
    let listing: Vec<Value> = serde_json::from_str(&json).unwrap();
    assert_eq!(listing[1]["bmc_port"], 16511);
    assert_eq!(listing[1]["mac"], "02:00:05:00:00:01");
    let spread = run("--nodes 2 --port 16520 --spread --json").await.unwrap();
    let listing: Vec<Value> = serde_json::from_str(&spread).unwrap();
    assert_eq!(
        (&listing[1]["bmc_address"], &listing[1]["bmc_port"]),
        (&own_address(2).to_string().into(), &16520.into())
    );
}

#[tokio::test]
async fn mistakes_are_named() {
    let error = run("--fault nonsense=1").await.unwrap_err();
    assert!(error.to_string().contains("dead-bmc"), "{error}");
    let error = run("--nodes 2 --port 65535").await.unwrap_err();
    assert!(matches!(error, SimError::OutOfAddresses { nodes: 2, .. }), "{error:?}");
    assert!(Cli::try_parse_from(["sim", "--enroll"]).is_err(), "--enroll needs --api");
    assert!(Cli::try_parse_from(["sim", "--login", "nobody"]).is_err());
    let shown = format!("{:?}", args("--login admin:hunter2"));
    assert!(shown.contains("admin:******") && !shown.contains("hunter2"), "{shown}");
}

#[tokio::test]
async fn enrolment_makes_nodes_and_ports_once() {
    let service = Running::start().await;
    let text = format!(
        "--nodes 5 --port 16530 --api {} --enroll --driver-info deploy_kernel=http://k --driver-info deploy_ramdisk=r",
        service.url
    );
    run(&text).await.unwrap();
    let created = service.book(|book| book.created.clone());
    let nodes: Vec<&Value> =
        created.iter().filter(|(path, _)| path == "/v1/nodes").map(|(_, body)| body).collect();
    let ports: Vec<&Value> =
        created.iter().filter(|(path, _)| path == "/v1/ports").map(|(_, body)| body).collect();
    assert_eq!((nodes.len(), ports.len()), (5, 5));
    for node in nodes {
        assert_eq!(node["driver"], "ipmi");
        assert_eq!(node["driver_info"]["deploy_kernel"], "http://k");
        assert!((16530..16535).contains(&node["driver_info"]["ipmi_port"].as_u64().unwrap()));
        assert!(ports.iter().any(|port| port["node_uuid"] == node["uuid"]));
    }
    run(&text).await.unwrap();
    assert_eq!(service.book(|book| book.created.len()), 10, "what exists is left alone");
}

#[tokio::test]
async fn a_refusal_of_the_api_is_told() {
    let service = Running::start().await;
    let fleet = Fleet::start(FleetOptions::new(2, 1)).await.unwrap();
    let enrolment = Enrolment {
        resource_class: "refused".to_owned(),
        ..Enrolment::new(ApiAccess::new(service.url.clone()))
    };
    let error = enrolment.run(&fleet).await.unwrap_err();
    let text = error.to_string();
    assert!(text.contains("400") && text.contains("resource_class is refused"), "{text}");
}
