//! BIOS settings and firmware: what steps do to them, and how they are shown.

use serde_json::{Value, json};

use crate::site::{FAKES, NEWEST, Site};

fn clean(steps: &Value) -> Value {
    json!({"target": "clean", "clean_steps": steps})
}

fn names(list: &Value) -> Vec<&str> {
    list["bios"].as_array().unwrap().iter().map(|setting| setting["name"].as_str().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_follow_the_steps() {
    let site = Site::start().await;
    let node = site.manageable(&FAKES).await;
    assert_eq!(site.get(&format!("{node}/bios")).await, json!({"bios": []}));
    let settings = json!([{"name": "ProcTurbo", "value": "on"}, {"name": "Boot", "value": "uefi"}]);
    let apply = |settings: &Value| {
        clean(&json!([{"interface": "bios", "step": "apply_configuration", "args": {"settings": settings}}]))
    };
    site.order(&node, apply(&settings), "manageable").await;
    let list = site.get(&format!("{node}/bios")).await;
    assert_eq!(names(&list), ["Boot", "ProcTurbo"]);
    site.order(&node, apply(&json!([{"name": "Boot", "value": 7}])), "manageable").await;
    let (_, one) = site.send("GET", &format!("{node}/bios/Boot"), Value::Null).await;
    assert_eq!(one["Boot"]["value"], "7");
    assert!(one["Boot"]["updated_at"].is_string() && one["Boot"]["allowable_values"] == json!([]), "{one}");
    let keep = clean(&json!([{"interface": "bios", "step": "cache_bios_settings"}]));
    site.order(&node, keep, "manageable").await;
    assert_eq!(names(&site.get(&format!("{node}/bios")).await), ["Boot"]);
    let reset = clean(&json!([{"interface": "bios", "step": "factory_reset"}]));
    site.order(&node, reset, "manageable").await;
    assert_eq!(site.get(&format!("{node}/bios")).await, json!({"bios": []}));
    assert_eq!(site.code("GET", &format!("{node}/bios/Boot"), Value::Null).await, 404);
    let update = json!([{"interface": "firmware", "step": "update", "args": {"settings":
        [{"component": "bmc", "url": "http://192.0.2.1/bmc"}]}}]);
    site.order(&node, clean(&update), "manageable").await;
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn steps_that_are_wrong_are_refused_before_the_node_moves() {
    let site = Site::start().await;
    let (with, without) = (site.manageable(&FAKES).await, site.manageable(&[]).await);
    let states = format!("{with}/states/provision");
    for step in [
        json!({"interface": "bios", "step": "apply_configuration"}),
        json!({"interface": "bios", "step": "factory_reset", "args": {"hard": true}}),
        json!({"interface": "firmware", "step": "update"}),
    ] {
        let (status, body) = site.send("PUT", &states, clean(&json!([step]))).await;
        assert_eq!(status, 400, "{step}: {body}");
    }
    let reset = clean(&json!([{"interface": "bios", "step": "factory_reset"}]));
    assert_eq!(site.code("PUT", &format!("{without}/states/provision"), reset).await, 400);
    assert_eq!(site.get(&with).await["provision_state"], "manageable");
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn how_settings_are_shown_follows_the_version() {
    let site = Site::start().await;
    let node = site.manageable(&FAKES).await;
    let apply = json!([{"interface": "bios", "step": "apply_configuration",
        "args": {"settings": [{"name": "Boot", "value": "uefi"}]}}]);
    site.order(&node, clean(&apply), "manageable").await;
    let keys = async |minor, query: &str| {
        let (status, list) = site.call("GET", &format!("{node}/bios{query}"), minor, Value::Null).await;
        assert_eq!(status, 200, "{list}");
        let keys: Vec<String> = list["bios"][0].as_object().unwrap().keys().cloned().collect();
        keys.join(" ")
    };
    let short = "created_at links name updated_at value";
    assert_eq!((keys(40, "").await.as_str(), keys(NEWEST, "").await.as_str()), (short, short));
    let full = "allowable_values attribute_type created_at links lower_bound max_length min_length name read_only \
                reset_required unique updated_at upper_bound value";
    assert_eq!(keys(74, "?detail=true").await, full);
    assert_eq!(keys(74, "?fields=name,unique").await, "created_at links name unique updated_at");
    let code =
        async |minor, query: &str| site.call("GET", &format!("{node}/{query}"), minor, Value::Null).await.0;
    for (minor, query, status) in [
        (39, "bios", 404),
        (39, "bios/Boot", 404),
        (40, "bios/Boot", 200),
        (73, "bios?detail=true", 400),
        (73, "bios?fields=name", 400),
        (74, "bios?fields=name&detail=true", 400),
        (74, "bios?fields=nothing", 400),
        (74, "bios?limit=1", 400),
        (NEWEST, "bios/boot", 404),
        (85, "firmware", 404),
        (86, "firmware", 200),
        (113, "firmware?fields=vendor", 400),
        (114, "firmware?fields=vendor", 200),
        (NEWEST, "firmware?detail=perhaps", 400),
    ] {
        assert_eq!(code(minor, query).await, status, "1.{minor} {query}");
    }
    let link = site.get(&format!("{node}/bios")).await["bios"][0]["links"][0]["href"].clone();
    assert_eq!(link, format!("http://api.test:6385{node}/bios/Boot"));
    site.stop().await;
}
