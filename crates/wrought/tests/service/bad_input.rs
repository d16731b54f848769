//! Mistakes of operators and users, and machines that misbehave: each is told with its cause and what to do, leaves the
//! node in a state that says so, and is no hindrance once it is mended.

use std::net::UdpSocket;
use std::sync::Arc;

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};
use sim::{Fault, FaultKind, Machine, OperationKind, Outcome, Span, Timing};

use crate::LONG;
use crate::api::{Answer, Api};
use crate::image_server::ImageServer;
use crate::machine::{available, deploy, driver_info, ends, enroll, manageable, runs_image};
use crate::site::{Settings, Site};

/// The text has all the words.
fn says(text: &str, words: &[&str]) {
    for word in words {
        assert!(text.contains(word), "'{word}' is not in: {text}");
    }
}

// The configuration.

/// Runs the service with a changed configuration; it must end by itself, with an error.
async fn refuses(site: &Site, change: impl FnOnce(String) -> String) -> String {
    let path = site.path("wrought.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, change(text)).unwrap();
    let output = site.command().output(LONG).await.unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", output.stderr_text());
    output.stderr_text()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_configuration() {
    let site = || Site::new(&Settings::default());
    let line = |text: &str, key: &str| {
        let at = text.lines().position(|line| line.starts_with(key)).unwrap() + 1;
        format!("line {at}")
    };

    let mut at = String::new();
    let said = refuses(&site(), |text| {
        let text = text.replace("hostname =", "callback_time_out = 60\nhostname =");
        at = line(&text, "callback_time_out");
        text
    })
    .await;
    says(&said, &["callback_time_out", &at, "callback_timeout", "docs/reference/configuration.md"]);
    assert_eq!(said.matches("unknown field").count(), 1, "told once: {said}");

    let said = refuses(&site(), |text| text.replace("auth = \"noauth\"", "auth = \"none\"")).await;
    says(&said, &["none", "noauth", "http_basic", "line"]);
    let said = refuses(&site(), |text| text.replace("[deploy]", "[deploy]\nimage_silence = 0")).await;
    says(&said, &["image_silence", "1 to 3600"]);
    let said = refuses(&site(), |text| text.replace("vmlinuz", "vmlinux")).await;
    says(&said, &["[deploy] kernel", "vmlinux"]);
    let said =
        refuses(&site(), |text| text.replace("[api]", "[database]\nurl = \"mysql://h/d\"\n[api]")).await;
    says(&said, &["[database] url", "sqlite:", "postgres:"]);
    let blocked = site();
    std::fs::write(blocked.path("data"), "a file").unwrap();
    says(&refuses(&blocked, |text| text).await, &["data directory", "data_dir"]);

    let absent = site();
    std::fs::remove_file(absent.path("wrought.toml")).unwrap();
    let output = absent.command().output(LONG).await.unwrap();
    assert_eq!(output.status.code(), Some(1));
    says(&output.stderr_text(), &["cannot read the configuration", "wrought.toml", "No such file"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_services_in_one_place() {
    let running = Site::start(&Settings::default()).await;
    let second = running.command().output(LONG).await.unwrap();
    assert_eq!(second.status.code(), Some(1));
    says(&second.stderr_text(), &["in use by another process", &running.path("data").display().to_string()]);

    let neighbour = Site::new(&Settings::default());
    let (ours, theirs) = (neighbour.socket().to_string(), running.socket().to_string());
    let said = refuses(&neighbour, |text| text.replace(&ours, &theirs)).await;
    says(&said, &["cannot listen on", &theirs, "is another service there"]);
    assert!(running.api().answers().await, "the first one is not disturbed");
}

// Requests.

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests() {
    let site = Site::start(&Settings::default()).await;
    let api = site.api();
    let expect = |answer: Answer, status: u16, words: &[&str]| {
        let text = answer.fault();
        says(&text, words);
        assert_eq!(answer.status, status, "{text}");
    };
    let raw = async |body: Vec<u8>| {
        let request = api.request(Method::POST, "/v1/nodes").header("content-type", "application/json");
        Answer::read(request.body(body).send().await.unwrap()).await
    };
    let version = |text: &'static str| {
        let request = reqwest::Client::builder().no_proxy().build().unwrap().get(site.url() + "/v1/nodes");
        async move {
            let sent = request.header("X-OpenStack-Ironic-API-Version", text).send().await;
            Answer::read(sent.unwrap()).await
        }
    };

    let unknown = version("1.999").await;
    assert_eq!(unknown.headers["x-openstack-ironic-api-maximum-version"], "1.115");
    expect(unknown, 406, &["1.999", "1.1", "1.115"]);
    expect(version("latest please").await, 406, &["latest please"]);
    expect(raw(b"{\"driver\": \"ipmi\",".to_vec()).await, 400, &["JSON", "line 1"]);
    expect(raw(b"\xff\xfe".to_vec()).await, 400, &[]);
    expect(raw("[".repeat(10_000).into_bytes()).await, 400, &["25 deep"]);
    expect(raw(vec![b' '; 2 << 20]).await, 413, &["1048576 bytes"]);

    let post = async |body: Value| api.send(Method::POST, "/v1/nodes", Some(&body)).await;
    expect(post(json!({"driver": 7})).await, 400, &["driver"]);
    expect(post(json!({})).await, 400, &["driver"]);
    expect(post(json!({"driver": "ipmi", "colour": "red"})).await, 400, &["colour"]);
    expect(post(json!({"driver": "ilo"})).await, 400, &["ilo", "ipmi"]);
    let node = api.ok(Method::POST, "/v1/nodes", Some(&json!({"driver": "ipmi", "name": "n-0"}))).await;
    expect(post(json!({"driver": "ipmi", "name": "n-0"})).await, 409, &["n-0"]);
    expect(api.send(Method::GET, "/v1/nodes/nobody", None).await, 404, &["nobody"]);
    expect(api.send(Method::GET, "/v1/knots", None).await, 404, &[]);

    expect(api.ask("n-0", &json!({"target": "fly"})).await, 400, &["fly", "manage"]);
    expect(api.ask("n-0", &json!({"target": "active"})).await, 400, &["active", "enroll"]);
    let uuid = node["uuid"].as_str().unwrap();
    expect(api.ask("n-0", &json!({"target": "manage"})).await, 400, &["ipmi_address", uuid]);
    let port = json!({"node_uuid": uuid, "address": "52:54:00:aa:bb"});
    expect(api.send(Method::POST, "/v1/ports", Some(&port)).await, 400, &["52:54:00:aa:bb"]);
    assert_eq!(api.node("n-0").await["provision_state"], "enroll");
    api.ok(Method::DELETE, "/v1/nodes/n-0", None).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_callers_at_once() {
    let site = Site::start(&Settings::default()).await;
    let api = site.api();
    let images = ImageServer::start().await;
    let fleet = site.fleet(1, 31).await;
    let machine = fleet.machine(0).unwrap();
    let node = available(&api, machine).await;
    api.set(&node, &images.instance("good.raw")).await;

    let deploy = json!({"target": "active"});
    let answers = join_all((0..8).map(|_| api.ask(&node, &deploy))).await;
    let (accepted, refused): (Vec<_>, Vec<_>) = answers.into_iter().partition(|answer| answer.status == 202);
    assert_eq!(accepted.len(), 1);
    for answer in refused {
        // Busy: to be tried again; or on its way: too late.
        assert!(matches!(answer.status, 400 | 409), "{}: {}", answer.status, answer.body);
        let text = answer.fault();
        assert!(text.contains(&node) && (text.contains("deploy") || text.contains("locked")), "{text}");
    }
    api.reaches(&node, "active").await;
    assert_eq!(ends(machine, OperationKind::WriteImage), [Outcome::Done]);

    // Each of these is kept or refused, none is lost.
    let name = |number: usize| format!("/extra/key{number}");
    let patches = join_all((0..8).map(async |number| {
        let patch = json!([{"op": "add", "path": name(number), "value": number}]);
        api.send(Method::PATCH, &format!("/v1/nodes/{node}"), Some(&patch)).await.status
    }));
    let statuses = patches.await;
    let extra = api.node(&node).await["extra"].clone();
    for (number, status) in statuses.into_iter().enumerate() {
        assert!(matches!(status, 200 | 409), "{status}");
        assert_eq!(extra.get(format!("key{number}")).is_some(), status == 200, "{extra}");
    }
    assert_eq!(machine.state().boots, 3, "cleaned, deployed, started");
    fleet.stop().await;
}

// Machines.

/// A node whose verification fails with `words`.
async fn fails_to_verify(api: &Api, node: &str, words: &[&str]) {
    api.verb(node, "manage").await;
    let (found, error) = api.fails(node, "enroll").await;
    says(&error, words);
    assert_eq!((&found["target_provision_state"], &found["maintenance"]), (&Value::Null, &json!(false)));
}

async fn is_managed_again(api: &Api, node: &str) {
    api.verb(node, "manage").await;
    api.reaches(node, "manageable").await;
}

async fn no_bmc_at_the_port(api: Api, machine: Arc<Machine>) {
    let node = enroll(&api, &machine).await;
    let port = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    api.set(&node, &[("/driver_info/ipmi_port", json!(port))]).await;
    fails_to_verify(&api, &node, &["E0101", &format!("127.0.0.1:{port}"), "check the port"]).await;
    api.set(&node, &[("/driver_info/ipmi_port", json!(machine.bmc_address().port()))]).await;
    is_managed_again(&api, &node).await;
}

async fn a_dead_bmc(api: Api, machine: Arc<Machine>) {
    let node = enroll(&api, &machine).await;
    machine.inject_fault(Fault::DeadBmc);
    fails_to_verify(&api, &node, &["E0101", &machine.bmc_address().to_string()]).await;
    machine.clear_fault(FaultKind::DeadBmc);
    is_managed_again(&api, &node).await;
}

async fn a_wrong_password(api: Api, machine: Arc<Machine>) {
    let node = enroll(&api, &machine).await;
    api.set(&node, &[("/driver_info/ipmi_password", json!("not that one"))]).await;
    fails_to_verify(&api, &node, &["E0102", "wrong password", "admin", "correct the node's BMC password"])
        .await;
    let (_, error) = api.fails(&node, "enroll").await;
    assert!(!error.contains("not that one"), "{error}");
    api.set(&node, &[("/driver_info", driver_info(&machine))]).await;
    is_managed_again(&api, &node).await;
}

async fn an_agent_that_never_calls(api: Api, machine: Arc<Machine>) {
    let node = manageable(&api, &machine).await;
    machine.inject_fault(Fault::AgentNeverCalls);
    api.verb(&node, "provide").await;
    let (found, error) = api.fails(&node, "clean failed").await;
    says(&error, &["E0512", "10 s", "console"]);
    assert_eq!((machine.state().powered, &found["maintenance"]), (false, &json!(false)), "nothing was begun");
    machine.clear_fault(FaultKind::AgentNeverCalls);
    is_managed_again(&api, &node).await;
    api.verb(&node, "provide").await;
    api.reaches(&node, "available").await;
}

/// Power goes in the middle of an erasure: nobody gets the machine until an operator has said so.
async fn a_pulled_plug(api: Api, machine: Arc<Machine>) {
    let node = manageable(&api, &machine).await;
    api.verb(&node, "provide").await;
    let erases = machine.wait_for(LONG, |_| !ends(&machine, OperationKind::EraseMetadata).is_empty()).await;
    assert!(erases.is_some());
    machine.power_off();
    let (found, error) = api.fails(&node, "clean failed").await;
    says(&error, &["E0302", "deploy.erase_devices_metadata"]);
    assert_eq!((&found["maintenance"], &found["fault"]), (&json!(true), &json!("clean failure")));
    assert_eq!(ends(&machine, OperationKind::EraseMetadata), [Outcome::Interrupted]);
    is_managed_again(&api, &node).await;
    api.ok(Method::DELETE, &format!("/v1/nodes/{node}/maintenance"), None).await;
    api.verb(&node, "provide").await;
    api.reaches(&node, "available").await;
    assert_eq!(ends(&machine, OperationKind::EraseMetadata), [Outcome::Interrupted, Outcome::Done]);
}

/// A deployment that fails by `fault` with `words`, and succeeds without it.
async fn a_failed_deployment(
    api: Api,
    machine: Arc<Machine>,
    images: &ImageServer,
    fault: Fault,
    words: &[&str],
) {
    let node = available(&api, &machine).await;
    machine.inject_fault(fault);
    deploy(&api, &node, images, "good.raw").await;
    let (found, error) = api.fails(&node, "deploy failed").await;
    says(&error, &[words, &["deploy.write_image"]].concat());
    assert_eq!((&found["target_provision_state"], &found["maintenance"]), (&json!("active"), &json!(false)));
    assert!(!machine.state().powered, "it is switched off");
    assert_eq!(machine.state().image, None, "nothing that boots is left");
    machine.clear_fault(fault.kind());
    deploy(&api, &node, images, "good.raw").await;
    api.reaches(&node, "active").await;
    runs_image(&machine, "good.raw").await;
}

async fn half_of_the_heartbeats(api: Api, machine: Arc<Machine>, images: &ImageServer) {
    machine.inject_fault(Fault::HeartbeatLost(0.5));
    let node = available(&api, &machine).await;
    deploy(&api, &node, images, "good.raw").await;
    api.reaches(&node, "active").await;
    assert_eq!(ends(&machine, OperationKind::WriteImage), [Outcome::Done]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn machines() {
    let conductor = "callback_timeout = 10\nagent_silence = 10";
    let site = Site::start(&Settings { conductor, ..Settings::default() }).await;
    let images = &ImageServer::start().await;
    let timing = Timing { step: Span::millis(500, 500), ..Timing::hurried() };
    let fleet = site.fleet_with(9, 41, timing).await;
    let with = |index: usize| (site.api(), Arc::clone(fleet.machine(index).unwrap()));
    let fails = |index, fault, words| {
        let (api, machine) = with(index);
        a_failed_deployment(api, machine, images, fault, words)
    };
    let bmcs = async {
        let ((api0, m0), (api1, m1), (api2, m2)) = (with(0), with(1), with(2));
        tokio::join!(no_bmc_at_the_port(api0, m0), a_dead_bmc(api1, m1), a_wrong_password(api2, m2));
    };
    let agents = async {
        let ((api3, m3), (api4, m4), (api8, m8)) = (with(3), with(4), with(8));
        tokio::join!(
            an_agent_that_never_calls(api3, m3),
            half_of_the_heartbeats(api4, m4, images),
            a_pulled_plug(api8, m8),
        );
    };
    tokio::join!(
        bmcs,
        agents,
        fails(5, Fault::AgentDiesMidWrite, &["E0302", "console"]),
        fails(6, Fault::ChecksumMismatch, &["E0304", "checksum"]),
        fails(7, Fault::DiskTooSmall, &["E0304", "too small"]),
    );
    fleet.stop().await;
}

// Images.

/// A deployment of something that is no image: it fails before the machine is touched.
async fn no_image(api: Api, machine: Arc<Machine>, images: &ImageServer, name: &str, words: &[&str]) {
    let node = available(&api, &machine).await;
    deploy(&api, &node, images, name).await;
    let (_, error) = api.fails(&node, "deploy failed").await;
    says(&error, &[words, &[&images.url(name)]].concat());
    assert_eq!((machine.state().boots, machine.state().powered), (1, false), "cleaned, nothing more");
    deploy(&api, &node, images, "good.raw").await;
    api.reaches(&node, "active").await;
    assert_eq!(ends(&machine, OperationKind::WriteImage), [Outcome::Done]);
}

async fn a_wrong_checksum(api: Api, machine: Arc<Machine>, images: &ImageServer) {
    let node = available(&api, &machine).await;
    let zeros = "0".repeat(64);
    let mut instance = images.instance("good.raw");
    instance.push(("/instance_info/image_os_hash_value", json!(zeros)));
    api.set(&node, &instance).await;
    api.verb(&node, "active").await;
    let (_, error) = api.fails(&node, "deploy failed").await;
    says(&error, &["E0202", &zeros, &images.sha256()]);
    assert_eq!(machine.state().boots, 1);
    api.verb(&node, "deleted").await;
    api.reaches(&node, "available").await;

    // What can be seen without looking at the image is refused at once.
    let source = json!(images.url("good.raw"));
    api.set(&node, &[("/instance_info", json!({"image_source": source}))]).await;
    let refused = api.ask(&node, &json!({"target": "active"})).await;
    assert_eq!(refused.status, 400);
    says(&refused.fault(), &["E0203", "checksum", "image_os_hash_value"]);
    api.set(&node, &[("/instance_info", json!({}))]).await;
    let refused = api.ask(&node, &json!({"target": "active"})).await;
    assert_eq!(refused.status, 400);
    says(&refused.fault(), &["E0203", "image_source"]);
    assert_eq!(api.node(&node).await["provision_state"], "available");
    deploy(&api, &node, images, "good.raw").await;
    api.reaches(&node, "active").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn images() {
    let deploy = "image_reach = \"anywhere\"\nimage_silence = 1";
    let site = Site::start(&Settings { deploy, ..Settings::default() }).await;
    let images = &ImageServer::start().await;
    let fleet = site.fleet(4, 51).await;
    let with = |index: usize| (site.api(), Arc::clone(fleet.machine(index).unwrap()));
    let fails = |index, name, words| {
        let (api, machine) = with(index);
        no_image(api, machine, images, name, words)
    };
    let checksum = async {
        let (api, machine) = with(3);
        a_wrong_checksum(api, machine, images).await;
    };
    tokio::join!(
        fails(0, "missing.raw", &["E0201", "404", "misspelling"]),
        fails(1, "page.raw", &["E0202", "HTML", "login page"]),
        fails(2, "silent.raw", &["E0201", "nothing came for 2s"]),
        checksum,
    );
    fleet.stop().await;
}

/// Users name URLs, and the service fetches them: not from itself, unless its operator says so.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn images_on_the_service_itself() {
    let site = Site::start(&Settings { deploy: "", ..Settings::default() }).await;
    let images = ImageServer::start().await;
    let fleet = site.fleet(1, 61).await;
    let api = site.api();
    let node = available(&api, fleet.machine(0).unwrap()).await;
    deploy(&api, &node, &images, "good.raw").await;
    let (_, error) = api.fails(&node, "deploy failed").await;
    says(&error, &["E0201", "127.0.0.1", "image_reach"]);
    assert_eq!(images.served(), 0);
    fleet.stop().await;
}
