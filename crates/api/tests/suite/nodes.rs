//! Nodes: enrolment, deletion, power, provisioning, traits, and what agents call.

use std::sync::atomic::Ordering;

use model::{Lease, ProvisionState, Timestamp};
use serde_json::{Value, json};

use crate::fixture::{NEWEST, Site, options};

fn live_lease() -> Lease {
    Lease {
        holder: "conductor-9".to_owned(),
        expires_at: Timestamp::from_micros(Timestamp::now().as_micros() + 60_000_000),
        reason: "deploy".to_owned(),
    }
}

#[tokio::test]
async fn enrolment_fills_in_what_is_left_open() {
    let site = Site::new().await;
    let body = json!({"driver": "ipmi", "name": "n-1", "power_interface": "other", "raid_interface": null,
        "instance_info": {"display_name": "vm"}, "properties": {"cpus": 4}});
    let answer = site.call("POST", "/v1/nodes", NEWEST, body).await;
    assert_eq!(answer.code(), 201, "{}", answer.text);
    let node = answer.json();
    assert_eq!(
        answer.header("location").unwrap(),
        format!("http://api.test:6385/v1/nodes/{}", node["uuid"].as_str().unwrap())
    );
    assert_eq!((&node["power_interface"], &node["raid_interface"]), (&json!("other"), &json!("ipmitool")));
    assert_eq!((&node["provision_state"], &node["instance_name"]), (&json!("enroll"), &json!("vm")));
    assert_eq!((&node["conductor"], &node["properties"]), (&json!("conductor-1"), &json!({"cpus": 4})));
    assert_eq!(site.get("/v1/nodes/n-1").await.json(), node);
    let old = site.call("POST", "/v1/nodes", 10, json!({"driver": "ipmi"})).await.json();
    assert_eq!(old["provision_state"], "available");
}

#[tokio::test]
async fn enrolment_refuses_what_does_not_fit() {
    let site = Site::new().await;
    site.node(|node| node.name = Some("taken".to_owned())).await;
    for (body, status) in [
        (json!({}), 400),
        (json!([]), 400),
        (json!({"driver": "none"}), 400),
        (json!({"driver": 5}), 400),
        (json!({"driver": "ipmi", "bogus": 1}), 400),
        (json!({"driver": "ipmi", "power_interface": "none"}), 400),
        (json!({"driver": "ipmi", "name": "taken"}), 409),
        (json!({"driver": "ipmi", "name": "a b"}), 400),
        (json!({"driver": "ipmi", "name": "states"}), 400),
        (json!({"driver": "ipmi", "provision_state": "active"}), 400),
        (json!({"driver": "ipmi", "parent_node": "1be26c0b-03f2-4d2e-ae87-c02d7f33c123"}), 400),
        (json!({"driver": "ipmi", "chassis_uuid": "1be26c0b-03f2-4d2e-ae87-c02d7f33c123"}), 400),
        (json!({"driver": "ipmi", "resource_class": "x".repeat(81)}), 400),
    ] {
        let answer = site.call("POST", "/v1/nodes", NEWEST, body.clone()).await;
        assert_eq!(answer.code(), status, "{body}: {}", answer.text);
        assert!(!answer.fault().is_empty());
    }
    site.conductors.absent.store(true, Ordering::Relaxed);
    assert_eq!(site.call("POST", "/v1/nodes", NEWEST, json!({"driver": "ipmi"})).await.code(), 400);
}

#[tokio::test]
async fn identifiers() {
    let site = Site::new().await;
    let node = site.node(|node| node.name = Some("n-1".to_owned())).await;
    let at = async |ident: &str, minor| {
        site.call("GET", &format!("/v1/nodes/{ident}"), minor, Value::Null).await.code()
    };
    let uuid = node.uuid.to_string();
    assert_eq!(at(&uuid, 1).await, 200);
    assert_eq!((at("n-1", 4).await, at("n-1", 5).await), (404, 200));
    assert_eq!((at(&uuid.replace('-', ""), NEWEST).await, at("none", NEWEST).await), (404, 404));
    assert_eq!(at("a%20b", NEWEST).await, 400);
    if uuid != uuid.to_uppercase() {
        assert_eq!(at(&uuid.to_uppercase(), NEWEST).await, 404);
    }
}

#[tokio::test]
async fn deletion_follows_the_state() {
    let site = Site::new().await;
    let delete = async |node: &model::Node| {
        site.call("DELETE", &format!("/v1/nodes/{}", node.uuid), NEWEST, Value::Null).await
    };
    let idle = site.node(|_| ()).await;
    let port = site.port(&idle).await;
    assert_eq!(delete(&idle).await.code(), 204);
    assert_eq!(delete(&idle).await.code(), 404);
    assert_eq!(site.get(&format!("/v1/ports/{}", port.uuid)).await.code(), 404);
    let active = site.node_in(ProvisionState::Active).await;
    assert_eq!(delete(&active).await.code(), 409);
    site.call("PUT", &format!("/v1/nodes/{}/maintenance", active.uuid), NEWEST, Value::Null).await;
    assert_eq!(delete(&active).await.code(), 204);
    let protected = site.node(|node| node.protected = true).await;
    assert_eq!(delete(&protected).await.code(), 403);
    let locked = site.node(|node| node.lease = Some(live_lease())).await;
    let answer = delete(&locked).await;
    assert_eq!(answer.code(), 409);
    assert!(answer.fault().contains("is locked by host conductor-9"), "{}", answer.fault());
    let used = site.node(|node| node.instance_uuid = Some("i".to_owned())).await;
    assert_eq!(delete(&used).await.code(), 409);

    let mut keeping = options();
    keeping.delete_available_nodes = false;
    let site = Site::with(keeping, |_| std::sync::Arc::new(api::NoAuth)).await;
    let available = site.node_in(ProvisionState::Available).await;
    let answer = site.call("DELETE", &format!("/v1/nodes/{}", available.uuid), NEWEST, Value::Null).await;
    assert_eq!(answer.code(), 409);
}

#[tokio::test]
async fn power() {
    let site = Site::new().await;
    let node = site.node(|_| ()).await;
    let put = async |node: &model::Node, minor, body| {
        site.call("PUT", &format!("/v1/nodes/{}/states/power", node.uuid), minor, body).await
    };
    let answer = put(&node, NEWEST, json!({"target": "soft power off", "timeout": 30})).await;
    assert_eq!(answer.code(), 202);
    assert_eq!(
        answer.header("location").unwrap(),
        format!("http://api.test:6385/v1/nodes/{}/states", node.uuid)
    );
    assert_eq!(site.conductors.taken(), ["set_power soft power off Some(30s)"]);
    let named = site.node(|node| node.name = Some("n-1".to_owned())).await;
    let answer = site.call("PUT", "/v1/nodes/n-1/states/power", NEWEST, json!({"target": "power on"})).await;
    assert_eq!(answer.header("location"), Some("http://api.test:6385/v1/nodes/n-1/states"), "{}", named.uuid);
    site.conductors.taken();
    for (body, minor, status) in [
        (json!({"target": "up"}), NEWEST, 400),
        (json!({}), NEWEST, 400),
        (json!({"target": "power on", "bogus": 1}), NEWEST, 400),
        (json!({"target": "power on", "timeout": 0}), NEWEST, 400),
        (json!({"target": "power on", "timeout": 5}), 26, 406),
        (json!({"target": "soft rebooting"}), 26, 406),
    ] {
        assert_eq!(put(&node, minor, body.clone()).await.code(), status, "{body}");
    }
    let cleaning = site.node_in(ProvisionState::Cleaning).await;
    assert_eq!(put(&cleaning, NEWEST, json!({"target": "power on"})).await.code(), 400);
    let always_on = site.node(|node| node.disable_power_off = true).await;
    assert_eq!(put(&always_on, NEWEST, json!({"target": "power off"})).await.code(), 409);
    assert_eq!(put(&always_on, NEWEST, json!({"target": "power on"})).await.code(), 202);
    site.conductors.absent.store(true, Ordering::Relaxed);
    assert_eq!(put(&node, NEWEST, json!({"target": "power on"})).await.code(), 404);
}

#[tokio::test]
async fn every_verb_from_every_state() {
    let site = Site::new().await;
    let step = json!({"interface": "bios", "step": "factory_reset"});
    for row in include_str!("../../../../contract/verbs.tsv").lines().skip(1) {
        let cells: Vec<&str> = row.split('\t').collect();
        let body = match cells[0] {
            "clean" => json!({"target": "clean", "clean_steps": [step]}),
            "service" => json!({"target": "service", "service_steps": [step]}),
            "rescue" => json!({"target": "rescue", "rescue_password": "p"}),
            verb => json!({"target": verb}),
        };
        let allowed: Vec<&str> = cells[3].split(", ").collect();
        for state in ProvisionState::ALL {
            let node = site.node_in(*state).await;
            let path = format!("/v1/nodes/{}/states/provision", node.uuid);
            let expected = if allowed.contains(&state.as_str()) { 202 } else { 400 };
            let answer = site.call("PUT", &path, NEWEST, body.clone()).await;
            assert_eq!(answer.code(), expected, "{state} {row}: {}", answer.text);
        }
        let min: u16 = cells[1].split(' ').next().unwrap().strip_prefix("1.").unwrap().parse().unwrap();
        if cells[5] == "406" {
            let node = site.node_in(allowed[0].parse().unwrap()).await;
            let path = format!("/v1/nodes/{}/states/provision", node.uuid);
            assert_eq!(site.call("PUT", &path, min - 1, body.clone()).await.code(), 406, "{row}");
        }
    }
}

#[tokio::test]
async fn arguments_of_verbs() {
    let site = Site::new().await;
    let step = json!({"interface": "deploy", "step": "erase_devices"});
    let deploy_step = json!({"interface": "bios", "step": "apply", "args": {}, "priority": 1});
    for (state, minor, body, status) in [
        ("available", 115, json!({"target": "active", "configdrive": {"meta_data": {"a": 1}}}), 202),
        ("available", 55, json!({"target": "active", "configdrive": {"meta_data": {"a": 1}}}), 400),
        ("available", 115, json!({"target": "active", "configdrive": 5}), 400),
        ("available", 115, json!({"target": "active", "deploy_steps": [deploy_step]}), 202),
        ("available", 68, json!({"target": "active", "deploy_steps": [deploy_step]}), 406),
        ("available", 115, json!({"target": "active", "deploy_steps": [step]}), 400),
        ("available", 115, json!({"target": "deploy", "configdrive": "x"}), 400),
        ("available", 115, json!({"target": "active", "clean_steps": [step]}), 400),
        ("active", 34, json!({"target": "rebuild", "configdrive": "x"}), 400),
        ("active", 35, json!({"target": "rebuild", "configdrive": "x"}), 202),
        ("manageable", 115, json!({"target": "clean"}), 400),
        ("manageable", 115, json!({"target": "clean", "clean_steps": []}), 400),
        ("active", 115, json!({"target": "service", "service_steps": []}), 400),
        ("manageable", 115, json!({"target": "clean", "clean_steps": "x"}), 400),
        ("manageable", 115, json!({"target": "provide", "clean_steps": "x"}), 400),
        ("manageable", 115, json!({"target": "clean", "clean_steps": [step], "disable_ramdisk": true}), 202),
        ("manageable", 69, json!({"target": "clean", "clean_steps": [step], "disable_ramdisk": true}), 406),
        ("manageable", 115, json!({"target": "clean", "runbook": "x"}), 404),
        ("manageable", 91, json!({"target": "clean", "runbook": "x"}), 406),
        ("manageable", 115, json!({"target": "provide", "disable_ramdisk": true}), 400),
        ("active", 115, json!({"target": "rescue"}), 400),
        ("active", 115, json!({"target": "rescue", "rescue_password": "  "}), 400),
        ("active", 107, json!({"target": "service", "service_steps": [step], "disable_ramdisk": true}), 406),
        ("inspect wait", 40, json!({"target": "abort"}), 406),
        ("wait call-back", 109, json!({"target": "abort"}), 406),
        ("clean wait", 13, json!({"target": "abort"}), 202),
        ("enroll", 115, json!({"target": "fly"}), 400),
        ("enroll", 115, json!({}), 400),
        ("enroll", 115, json!({"target": "manage", "bogus": 1}), 400),
    ] {
        let node = site.node_in(state.parse().unwrap()).await;
        let answer =
            site.call("PUT", &format!("/v1/nodes/{}/states/provision", node.uuid), minor, body.clone()).await;
        assert_eq!(answer.code(), status, "1.{minor} {state} {body}: {}", answer.text);
    }
    site.conductors.taken();
    let node = site.node_in(ProvisionState::Active).await;
    let body = json!({"target": "rescue", "rescue_password": "pw"});
    site.call("PUT", &format!("/v1/nodes/{}/states/provision", node.uuid), NEWEST, body).await;
    assert_eq!(site.conductors.taken(), ["provision rescue steps=0 drive= password=pw"]);
}

#[tokio::test]
async fn nodes_that_must_be_left_alone() {
    let site = Site::new().await;
    let put = async |node: model::Node, verb: &str| {
        let body = json!({"target": verb});
        site.call("PUT", &format!("/v1/nodes/{}/states/provision", node.uuid), NEWEST, body).await.code()
    };
    let in_maintenance = async |state| {
        site.node(|node| {
            node.provision_state = state;
            node.maintenance = true;
        })
        .await
    };
    for (verb, state, status) in [
        ("active", ProvisionState::Available, 400),
        ("deploy", ProvisionState::Available, 400),
        ("rebuild", ProvisionState::Active, 400),
        ("unrescue", ProvisionState::Rescue, 400),
        ("deleted", ProvisionState::Active, 202),
        ("manage", ProvisionState::Enroll, 202),
    ] {
        assert_eq!(put(in_maintenance(state).await, verb).await, status, "{verb}");
    }
    let protected = async || {
        site.node(|node| {
            node.provision_state = ProvisionState::Active;
            node.protected = true;
        })
        .await
    };
    for verb in ["deleted", "undeploy", "rebuild"] {
        assert_eq!(put(protected().await, verb).await, 403, "{verb}");
    }
    let retired = site.node(|node| {
        node.provision_state = ProvisionState::Manageable;
        node.retired = true;
    });
    assert_eq!(put(retired.await, "provide").await, 400);
    let busy = site.node(|node| {
        node.provision_state = ProvisionState::Deploying;
        node.lease = Some(live_lease());
    });
    assert_eq!(put(busy.await, "active").await, 409);
}

#[tokio::test]
async fn boot_and_validation() {
    let site = Site::new().await;
    let node = site.node(|_| ()).await;
    let at = |rest: &str| format!("/v1/nodes/{}/{rest}", node.uuid);
    let put = async |rest: &str, body| site.call("PUT", &at(rest), NEWEST, body).await.code();
    assert_eq!(
        site.get(&at("management/boot_device")).await.json(),
        json!({"boot_device": "pxe", "persistent": false})
    );
    let supported = site.get(&at("management/boot_device/supported")).await.json();
    assert_eq!(supported, json!({"supported_boot_devices": ["pxe", "disk"]}));
    assert_eq!(put("management/boot_device", json!({"boot_device": "disk", "persistent": true})).await, 204);
    assert_eq!(put("management/boot_device", json!({"boot_device": "tape"})).await, 400);
    assert_eq!(put("management/boot_device", json!({})).await, 400);
    assert_eq!(put("states/boot_mode", json!({"target": "coreboot"})).await, 400);
    assert_eq!(put("states/secure_boot", json!({"target": "perhaps"})).await, 400);
    assert_eq!(put("management/inject_nmi", json!({"x": 1})).await, 400);
    let calls = site.conductors.taken();
    assert_eq!(calls[2..], ["set_boot_device disk true"]);

    let verdicts = site.get(&at("validate")).await.json();
    assert_eq!(verdicts["power"], json!({"result": false, "reason": "address is missing"}));
    assert_eq!(
        (verdicts["boot"].clone(), verdicts.as_object().unwrap().len()),
        (json!({"result": true}), 13)
    );
    assert_eq!(site.get(&format!("/v1/nodes/validate?node={}", node.uuid)).await.json(), verdicts);
    assert_eq!(site.get("/v1/nodes/validate").await.code(), 400);
    let progress = site.get(&at("progress")).await.json();
    assert_eq!((&progress["step"], &progress["bytes_total"]), (&json!("deploy.write_image"), &Value::Null));
}

#[tokio::test]
async fn traits_and_maintenance() {
    let site = Site::new().await;
    let node = site.node(|_| ()).await;
    let at = |rest: &str| format!("/v1/nodes/{}/{rest}", node.uuid);
    let call = async |method: &str, rest: &str, body| site.call(method, &at(rest), NEWEST, body).await;
    let traits = async || call("GET", "traits", Value::Null).await.json()["traits"].clone();
    assert_eq!(
        call("PUT", "traits", json!({"traits": ["CUSTOM_B", "HW_CPU_X86_AVX", "CUSTOM_B"]})).await.code(),
        204
    );
    let added = call("PUT", "traits/CUSTOM_A", Value::Null).await;
    assert!(added.header("location").unwrap().ends_with("/traits/CUSTOM_A"));
    assert_eq!(traits().await, json!(["CUSTOM_A", "CUSTOM_B", "HW_CPU_X86_AVX"]));
    assert_eq!(call("DELETE", "traits/CUSTOM_B", Value::Null).await.code(), 204);
    assert_eq!(call("DELETE", "traits/CUSTOM_B", Value::Null).await.code(), 404);
    assert_eq!(call("PUT", "traits/CUSTOM_C", json!({"a": 1})).await.code(), 400);
    assert_eq!(call("PUT", "traits/gold", Value::Null).await.code(), 400);
    assert_eq!(call("PUT", "traits", json!({"traits": "CUSTOM_A"})).await.code(), 400);
    let many: Vec<String> = (0..51).map(|number| format!("CUSTOM_{number}")).collect();
    assert_eq!(call("PUT", "traits", json!({"traits": many})).await.code(), 400);
    assert_eq!(call("DELETE", "traits", Value::Null).await.code(), 204);
    assert_eq!(traits().await, json!([]));

    assert_eq!(call("PUT", "maintenance", json!({"reason": "disk"})).await.code(), 202);
    let shown = site.get(&format!("/v1/nodes/{}", node.uuid)).await.json();
    assert_eq!((&shown["maintenance"], &shown["maintenance_reason"]), (&json!(true), &json!("disk")));
    assert_eq!(call("PUT", "maintenance", json!({"why": "disk"})).await.code(), 400);
    assert_eq!(call("DELETE", "maintenance", Value::Null).await.code(), 202);
    let shown = site.get(&format!("/v1/nodes/{}", node.uuid)).await.json();
    assert_eq!((&shown["maintenance"], &shown["maintenance_reason"]), (&json!(false), &Value::Null));
    let locked = site.node(|node| node.lease = Some(live_lease())).await;
    for (method, rest) in [("PUT", "traits/CUSTOM_A"), ("PUT", "maintenance")] {
        let path = format!("/v1/nodes/{}/{rest}", locked.uuid);
        assert_eq!(site.call(method, &path, NEWEST, Value::Null).await.code(), 409, "{rest}");
    }
}

#[tokio::test]
async fn vifs() {
    let site = Site::new().await;
    let node = site.node(|_| ()).await;
    let path = format!("/v1/nodes/{}/vifs", node.uuid);
    assert_eq!(site.get(&path).await.json(), json!({"vifs": [{"id": "vif-1"}]}));
    for (body, minor, status) in [
        (json!({"id": "vif-2", "other": 1}), 115, 204),
        (json!({}), 115, 400),
        (json!({"id": 5}), 115, 400),
        (json!({"id": "v", "port_uuid": "p"}), 66, 400),
        (json!({"id": "v", "port_uuid": "p"}), 67, 204),
        (json!({"id": "v", "port_uuid": "p", "portgroup_uuid": "g"}), 115, 400),
    ] {
        assert_eq!(site.call("POST", &path, minor, body.clone()).await.code(), status, "{body}");
    }
    assert_eq!(site.call("DELETE", &format!("{path}/vif-2"), NEWEST, Value::Null).await.code(), 204);
    assert_eq!(site.conductors.taken().last().unwrap(), "detach_vif vif-2");
}

#[tokio::test]
async fn agents() {
    let site = Site::new().await;
    let node = site.node(|node| node.properties.set("cpus", json!(4))).await;
    *site.conductors.found.lock().unwrap() = Some(node.clone());
    let found = site.get("/v1/lookup?addresses=52:54:00:AB:cd:0f,junk").await.json();
    assert_eq!(
        (&found["node"]["uuid"], &found["node"]["properties"]),
        (&json!(node.uuid), &json!({"cpus": 4}))
    );
    assert_eq!(found["node"].as_object().unwrap().len(), 5);
    assert_eq!(found["config"], json!({"heartbeat_timeout": 300, "agent_token": "t"}));
    assert_eq!(site.conductors.taken(), ["lookup 1 false true"]);
    for (query, status) in [("", 400), ("addresses=junk", 400), ("node_uuid=x", 400), ("bogus=1", 400)] {
        assert_eq!(site.get(&format!("/v1/lookup?{query}")).await.code(), status, "{query}");
    }
    *site.conductors.found.lock().unwrap() = None;
    assert_eq!(site.get("/v1/lookup?addresses=52:54:00:ab:cd:0f").await.code(), 404);

    let path = format!("/v1/heartbeat/{}", node.uuid);
    let full = json!({"callback_url": "https://192.0.2.1:9999", "agent_token": "t", "agent_version": "13",
        "agent_verify_ca": "pem", "agent_status": "start", "agent_status_message": "m"});
    let with = |key: &str, value: Value| {
        let mut body = full.clone();
        body[key] = value;
        body
    };
    for (body, minor, status) in [
        (full.clone(), 115, 202),
        (full.clone(), 71, 400),
        (json!({"callback_url": "https://x", "agent_token": "t"}), 22, 202),
        (json!({"callback_url": "https://x", "agent_token": "t", "agent_version": "1"}), 35, 400),
        (json!({"callback_url": "https://x", "agent_token": "t", "agent_verify_ca": "1"}), 67, 400),
        (json!({"callback_url": "https://x"}), 115, 400),
        (json!({"agent_token": "t"}), 115, 400),
        (with("callback_url", json!("ftp://x")), 115, 400),
        (with("callback_url", json!("")), 115, 202),
        (with("agent_status", json!("dancing")), 115, 400),
        (with("bogus", json!(1)), 115, 400),
        (with("agent_version", json!(1)), 115, 400),
    ] {
        let answer = site.call("POST", &path, minor, body.clone()).await;
        assert_eq!(answer.code(), status, "1.{minor} {body}: {}", answer.text);
    }
    // Whoever names no node hears of that first.
    for body in [full.clone(), json!({"callback_url": "https://x"})] {
        assert_eq!(site.call("POST", "/v1/heartbeat/none", NEWEST, body).await.code(), 404);
    }
    site.conductors.taken();
    let path = format!("/v1/agent/{}/progress", node.uuid);
    let report = json!({"agent_token": "t", "command": "write_image", "phase": "writing", "bytes_done": 5, "bytes_total": 9});
    assert_eq!(site.call("POST", &path, 1, report).await.code(), 204);
    assert_eq!(site.conductors.taken(), ["progress t write_image writing 5 Some(9)"]);
    assert_eq!(site.call("POST", &path, 1, json!({"agent_token": "t"})).await.code(), 400);

    let mut closed = options();
    closed.ramdisk_endpoints = false;
    let site = Site::with(closed, |_| std::sync::Arc::new(api::NoAuth)).await;
    assert_eq!(site.get("/v1/lookup?addresses=52:54:00:ab:cd:0f").await.code(), 403);
}
