//! Nodes through their lives: how many at once, and what their history says of who wanted it.

use conductor::Limits;
use serde_json::{Value, json};

use crate::site::Site;

#[tokio::test(flavor = "multi_thread")]
async fn so_many_nodes_are_worked_on_at_once() {
    let limits = Limits { deploys: Some(2), cleans: Some(1), per_group: false };
    let site = Site::with(|options| options.limits = limits).await;
    let mut paths = Vec::new();
    for _ in 0..3 {
        let path = site.manageable(&[]).await;
        site.order(&path, json!({"target": "provide"}), "available").await;
        paths.push(path);
    }
    let deploy = json!({"target": "active"});
    let provision = async |path: &str, order: &Value| {
        site.send("PUT", &format!("{path}/states/provision"), order.clone()).await
    };
    for path in &paths[..2] {
        site.change(path, |node| node.provision_state = model::ProvisionState::DeployWait).await;
    }
    let (status, body) = provision(&paths[2], &deploy).await;
    assert_eq!(status, 503, "{body}");
    assert!(body.to_string().contains("no more than 2 nodes may be deployed at once"), "{body}");
    let refused = site.get(&paths[2]).await;
    assert_eq!((&refused["provision_state"], &refused["last_error"]), (&json!("available"), &Value::Null));
    site.change(&paths[1], |node| node.provision_state = model::ProvisionState::CleanWait).await;
    site.order(&paths[2], deploy.clone(), "active").await;
    // Cleaning is full: nothing is taken back meanwhile, and what is rebuilt is not cleaned.
    let (status, body) = provision(&paths[2], &json!({"target": "deleted"})).await;
    assert_eq!(status, 503, "{body}");
    site.order(&paths[2], json!({"target": "rebuild"}), "active").await;
    site.change(&paths[1], |node| node.provision_state = model::ProvisionState::Available).await;
    site.order(&paths[2], json!({"target": "deleted"}), "available").await;
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_console_stays_wanted_from_user_to_user() {
    let site = Site::start().await;
    let path = site.manageable(&["console"]).await;
    site.order(&path, json!({"target": "provide"}), "available").await;
    site.order(&path, json!({"target": "active"}), "active").await;
    assert_eq!(site.code("PUT", &format!("{path}/states/console"), json!({"enabled": true})).await, 202);
    assert_eq!(site.get(&path).await["console_enabled"], json!(true));
    site.order(&path, json!({"target": "rebuild"}), "active").await;
    assert_eq!(site.get(&path).await["console_enabled"], json!(true), "it is the same user");
    site.order(&path, json!({"target": "deleted"}), "available").await;
    assert_eq!(site.get(&path).await["console_enabled"], json!(true), "it starts again for the next one");
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whole_numbers_are_kept_or_refused() {
    let site = Site::start().await;
    let path = site.node(&[]).await;
    let patch = |number: &str| -> Value {
        serde_json::from_str(&format!(r#"[{{"op": "add", "path": "/extra/a", "value": {number}}}]"#)).unwrap()
    };
    for number in ["18446744073709551615", "-9223372036854775808", "0.1"] {
        let (status, node) = site.send("PATCH", &path, patch(number)).await;
        assert_eq!((status, node["extra"]["a"].to_string().as_str()), (200, number));
    }
    let text = r#"[{"op": "add", "path": "/extra/a", "value": 18446744073709551616}]"#;
    let (status, body) = site.text("PATCH", &path, text).await;
    assert_eq!(status, 400);
    assert!(body.to_string().contains("18446744073709551616"), "{body}");
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_history_names_who_asked() {
    let ada = policy::Caller {
        user: Some("ada".to_owned()),
        project: Some("lab".to_owned()),
        ..policy::Caller::administrator(None)
    };
    let site = Site::of(ada).await;
    let path = site.manageable(&[]).await;
    site.order(&path, json!({"target": "provide"}), "available").await;
    site.order(&path, json!({"target": "active"}), "active").await;
    site.order(&path, json!({"target": "deleted"}), "available").await;
    let power = json!({"target": "power off"});
    assert_eq!(site.code("PUT", &format!("{path}/states/power"), power).await, 202);
    let list = loop {
        let list = site.get(&format!("{path}/history?detail=true")).await;
        if list.to_string().contains("power done") {
            break list;
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    };
    let rows = list["history"].as_array().unwrap();
    let texts: Vec<&str> = rows.iter().map(|row| row["event"].as_str().unwrap()).collect();
    // The cleaning after a tear-down was nobody's order of its own.
    assert!(texts.iter().filter(|text| **text == "clean started").count() == 2, "{texts:?}");
    for row in rows {
        assert_eq!((&row["user"], &row["project"]), (&json!("ada"), &json!("lab")), "{row}");
    }
    let uuid = rows[0]["uuid"].as_str().unwrap();
    let one = format!("{path}/history/{uuid}");
    for (minor, shown) in [(78, [true, false]), (112, [true, false]), (113, [true, true])] {
        let (status, row) = site.call("GET", &one, minor, Value::Null).await;
        assert_eq!(status, 200);
        assert_eq!([row.get("user").is_some(), row.get("project").is_some()], shown, "1.{minor}");
    }
    site.stop().await;
}
