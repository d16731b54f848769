//! Vendors' methods, as requests and as steps.

use serde_json::{Value, json};

use crate::site::{FAKES, Site};

#[tokio::test(flavor = "multi_thread")]
async fn methods_are_told_as_the_contract_says() {
    let site = Site::start().await;
    let node = site.node(&FAKES).await;
    let told = site.get(&format!("{node}/vendor_passthru/methods")).await;
    let contract = include_str!("../../../../contract/extra/vendor_passthru.tsv");
    let rows = contract.lines().filter(|row| row.starts_with("vendor\tfake\tnode\t"));
    let mut count = 0;
    for row in rows {
        count += 1;
        let cells: Vec<&str> = row.split('\t').collect();
        let method = &told[cells[3]];
        assert_eq!(method["http_methods"], json!([cells[4]]), "{row}");
        assert_eq!(method["async"], json!(cells[5] == "async"), "{row}");
        assert_eq!(method["attach"], json!(cells[6] == "True"), "{row}");
        assert_eq!(method["require_exclusive_lock"], json!(cells[7] == "True"), "{row}");
        assert!(method["description"].is_string());
    }
    assert_eq!((told.as_object().unwrap().len(), count), (4, 4));
    let without = site.node(&[]).await;
    assert_eq!(site.get(&format!("{without}/vendor_passthru/methods")).await, json!({}));
    assert_eq!(site.get("/v1/drivers/fake-hardware/vendor_passthru/methods").await, json!({}));
    assert_eq!(site.code("GET", "/v1/drivers/nothing/vendor_passthru/methods", Value::Null).await, 404);
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_end_as_their_method_says() {
    let site = Site::start().await;
    let node = site.node(&FAKES).await;
    let call = async |verb: &str, rest: &str, body: Value| {
        site.send(verb, &format!("{node}/vendor_passthru{rest}"), body).await
    };
    assert_eq!(call("POST", "/third_method_sync", json!({"bar": "meow"})).await, (200, json!(true)));
    assert_eq!(call("POST", "?method=third_method_sync", json!({"bar": "x"})).await, (200, json!(false)));
    assert_eq!(call("POST", "/second_method", json!({"bar": "kazoo"})).await, (202, Value::Null));
    assert_eq!(call("POST", "/log_passthrough", Value::Null).await, (202, Value::Null));
    for (verb, rest, body) in [
        ("POST", "/third_method_sync", json!({})),
        ("POST", "/third_method_sync", Value::Null),
        ("POST", "/third_method_sync", json!([1])),
        ("POST", "/third_method_sync", json!({"bar": ""})),
        ("GET", "/second_method", Value::Null),
        ("PUT", "/second_method", json!({"bar": "kazoo"})),
        ("PATCH", "/second_method", json!({"bar": "kazoo"})),
        ("DELETE", "/second_method", Value::Null),
        ("POST", "/nothing", json!({})),
        ("POST", "?method=nothing", json!({})),
        ("POST", "", json!({})),
        // What lists the methods is no method.
        ("POST", "/methods", json!({})),
        ("PUT", "/methods", json!({})),
        ("PATCH", "/methods", json!({})),
        ("DELETE", "/methods", Value::Null),
        ("POST", "?method=second_method&more=1", json!({"bar": "kazoo"})),
    ] {
        let (status, answer) = call(verb, rest, body).await;
        assert_eq!(status, 400, "{verb} {rest}: {answer}");
    }
    for rest in ["/nothing", "?method=nothing", "/methods"] {
        let path = format!("/v1/drivers/fake-hardware/vendor_passthru{rest}");
        assert_eq!(site.code("POST", &path, json!({})).await, 400, "{path}");
    }
    assert_eq!(site.code("POST", "/v1/drivers/nothing/vendor_passthru/x", json!({})).await, 404);
    let without = site.node(&[]).await;
    assert_eq!(
        site.code("POST", &format!("{without}/vendor_passthru/second_method"), json!({"bar": "x"})).await,
        400
    );
    site.lock(&node).await;
    assert_eq!(call("POST", "/third_method_sync", json!({"bar": "meow"})).await.0, 409);
    assert_eq!(call("POST", "/fourth_method_shared_lock", json!({"bar": "woof"})).await.0, 202);
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ipmi_methods_judge_their_arguments() {
    let site = Site::start().await;
    let body = json!({"driver": "ipmi", "driver_info": {"ipmi_address": "192.0.2.1"}});
    let (_, node) = site.send("POST", "/v1/nodes", body).await;
    assert_eq!(node["vendor_interface"], "ipmitool");
    let path = format!("/v1/nodes/{}/vendor_passthru", node["uuid"].as_str().unwrap());
    let methods = site.get(&format!("{path}/methods")).await;
    assert_eq!(methods.as_object().unwrap().keys().collect::<Vec<_>>(), ["bmc_reset", "send_raw"]);
    for body in [json!({}), json!({"raw_bytes": "0x07 0x01"}), json!({"raw_bytes": "6 1; reboot"})] {
        assert_eq!(site.code("POST", &format!("{path}/send_raw"), body.clone()).await, 400, "{body}");
    }
    assert_eq!(site.code("POST", &format!("{path}/bmc_reset"), json!({"warm": 7})).await, 400);
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn methods_are_steps_too() {
    let site = Site::start().await;
    let node = site.manageable(&FAKES).await;
    let log = json!([{"interface": "vendor", "step": "log_passthrough"}]);
    site.order(&node, json!({"target": "clean", "clean_steps": log}), "manageable").await;
    site.order(&node, json!({"target": "provide"}), "available").await;
    site.change(&node, |node| node.provision_state = model::ProvisionState::Active).await;
    site.order(&node, json!({"target": "service", "service_steps": log}), "active").await;
    let wait = json!([{"interface": "vendor", "step": "trigger_servicewait"}]);
    site.order(&node, json!({"target": "service", "service_steps": wait}), "service wait").await;
    site.stop().await;
}
