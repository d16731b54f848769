//! The makers' own tests of their clients, and every command of the command line, against the service with hardware that
//! is not there.

use std::path::Path;
use std::time::Duration;

use hostcmd::Command;
use serde_json::{Value, json};

use crate::clients::{program, said};
use crate::site::{Settings, Site};

const COMMANDS: &str = include_str!("baremetal_commands.py");
/// Hundreds of requests by Python on a busy computer.
const LIMIT: Duration = Duration::from_mins(8);

async fn fake_site() -> Site {
    let conductor = "enabled_hardware_types = [\"fake-hardware\"]";
    Site::start(&Settings { conductor, ..Settings::default() }).await
}

/// openstacksdk's functional tests of the Bare Metal service, as its package brings them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn openstacksdk_functional() {
    let site = fake_site().await;
    let endpoint = json!({
        "auth_type": "none", "auth": {"endpoint": site.url()},
        // With an endpoint for everything, the tests believe that everything is there.
        "has_compute": false, "has_image": false,
    });
    let names = ["devstack", "devstack-alt", "devstack-admin", "devstack-system-admin"];
    let clouds: serde_json::Map<String, Value> =
        names.iter().map(|name| ((*name).to_owned(), endpoint.clone())).collect();
    // YAML takes JSON.
    std::fs::write(site.path("clouds.yaml"), json!({ "clouds": clouds }).to_string()).unwrap();
    let output = Command::new(program("python"))
        .args(["-c", "import openstack.tests as t; print(t.__path__[0])"])
        .output(LIMIT)
        .await
        .unwrap();
    let tests = output.stdout_text();
    let tests = Path::new(tests.trim());
    // They say more than a pipe is read for.
    Command::new(program("python"))
        .args(["-m", "unittest", "discover", "-p", "test_*.py", "-s"])
        .arg(tests.join("functional/baremetal/v1"))
        .arg("-t")
        .arg(tests.parent().and_then(Path::parent).unwrap())
        .env("OS_CLIENT_CONFIG_FILE", site.path("clouds.yaml"))
        // Theirs is 5 s for each test, of which they spend more on retries that are meant to fail.
        .env("OS_TEST_TIMEOUT", "120")
        .spawn(site.path("unittest.log"))
        .unwrap()
        .wait(LIMIT)
        .await
        .unwrap();
    let text = std::fs::read_to_string(site.path("unittest.log")).unwrap();
    let ran = text.lines().find_map(|line| line.strip_prefix("Ran ")).unwrap_or_else(|| panic!("{text}"));
    let ran: usize = ran.split(' ').next().unwrap().parse().unwrap();
    assert!(ran >= 90, "{ran} tests: {text}");
    let failed: Vec<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("ERROR: ").or_else(|| line.strip_prefix("FAIL: ")))
        .map(|line| line.split(' ').next().unwrap())
        .collect();
    assert!(failed.is_empty(), "{failed:?}\n{text}\n{}", site.log());
}

/// Every command of python-ironicclient, well and badly.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_command_of_the_command_line() {
    let site = fake_site().await;
    let command = Command::new(program("python")).args(["-c", COMMANDS]).arg(site.url());
    let output = command.output(LIMIT).await.unwrap();
    assert!(output.status.success(), "{}\n{}", said(&output), site.log());
    let told: Value = serde_json::from_str(output.stdout_text().lines().last().unwrap()).unwrap();
    assert!(told["commands"].as_i64().unwrap() > 100, "{told}");
    assert_eq!(told["unused"], json!([]), "commands that are not tried");
    assert_eq!(told["wrong"], json!([]), "{}", site.log());
}
