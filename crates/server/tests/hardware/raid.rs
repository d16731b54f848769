//! The RAID that is wanted, validation, and what drivers offer.

use serde_json::{Value, json};

use crate::site::{FAKES, NEWEST, Site};

#[tokio::test(flavor = "multi_thread")]
async fn raid_is_checked_by_the_driver() {
    let site = Site::start().await;
    let node = site.node(&FAKES).await;
    let raid = format!("{node}/states/raid");
    let wanted = json!({"logical_disks": [{"size_gb": 10, "raid_level": "1", "is_root_volume": true}]});
    assert_eq!(site.call("PUT", &raid, 11, wanted.clone()).await.0, 406);
    assert_eq!(site.call("PUT", &raid, 12, wanted.clone()).await.0, 204);
    assert_eq!(site.get(&format!("{node}/states")).await["target_raid_config"], wanted);
    for wrong in [
        json!({"logical_disks": []}),
        json!({"logical_disks": [{"raid_level": "99", "size_gb": 1}]}),
        json!({"logical_disks": [{"raid_level": "1"}]}),
        json!({"logical_disks": 5}),
        json!({"disks": []}),
        json!([]),
        json!("x"),
    ] {
        assert_eq!(site.code("PUT", &raid, wrong.clone()).await, 400, "{wrong}");
    }
    assert_eq!(site.get(&format!("{node}/states")).await["target_raid_config"], wanted);
    assert_eq!(site.code("PUT", &raid, json!({})).await, 204);
    assert_eq!(site.get(&format!("{node}/states")).await["target_raid_config"], json!({}));
    site.lock(&node).await;
    assert_eq!(site.code("PUT", &raid, wanted.clone()).await, 409);

    let without = format!("{}/states/raid", site.node(&[]).await);
    assert_eq!(site.code("PUT", &without, wanted).await, 404);
    assert_eq!(site.code("PUT", &without, json!({})).await, 204, "to want nothing needs nothing");
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_be_said_of_logical_disks() {
    let site = Site::start().await;
    let path = |driver: &str| format!("/v1/drivers/{driver}/raid/logical_disk_properties");
    for driver in ["fake-hardware", "ipmi"] {
        let properties = site.get(&path(driver)).await;
        assert!(properties["raid_level"].is_string() && properties.as_object().unwrap().len() == 10);
    }
    assert_eq!(site.call("GET", &path("ipmi"), 11, Value::Null).await.0, 406);
    assert_eq!(site.call("GET", &path("ipmi"), 12, Value::Null).await.0, 200);
    assert_eq!(site.code("GET", &path("nothing"), Value::Null).await, 404);
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn validation_says_no_of_what_a_node_lacks() {
    let site = Site::start().await;
    let (with, without) = (site.node(&FAKES).await, site.node(&[]).await);
    let verdicts = site.get(&format!("{with}/validate")).await;
    assert_eq!(verdicts.as_object().unwrap().len(), 12, "all interfaces but vendor: {verdicts}");
    for kind in ["bios", "console", "firmware", "raid", "storage", "power", "management"] {
        assert_eq!(verdicts[kind], json!({"result": true}), "{kind}");
    }
    let verdicts = site.get(&format!("{without}/validate")).await;
    for kind in ["bios", "console", "firmware", "inspect", "raid", "rescue"] {
        assert_eq!(verdicts[kind]["result"], json!(false), "{kind}");
        let reason = verdicts[kind]["reason"].as_str().unwrap();
        assert!(reason.contains(&format!("no-{kind}")), "{reason}");
    }
    let bad = json!({"logical_disks": [{"raid_level": "1"}]});
    site.change(&with, |node| node.target_raid_config = model::JsonObject::parse(&bad.to_string()).unwrap())
        .await;
    let verdicts = site.get(&format!("{with}/validate")).await;
    assert!(verdicts["raid"]["reason"].as_str().unwrap().contains("size_gb"), "{verdicts}");
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn drivers_tell_their_interfaces_and_properties() {
    let site = Site::start().await;
    let fake = site.get("/v1/drivers/fake-hardware").await;
    assert_eq!(fake["enabled_raid_interfaces"], json!(["no-raid", "fake", "agent"]));
    assert_eq!(
        (&fake["default_raid_interface"], &fake["default_power_interface"]),
        (&json!("no-raid"), &json!("fake"))
    );
    let list = site.get("/v1/drivers?detail=true").await;
    assert_eq!(list["drivers"][0]["default_vendor_interface"], "no-vendor");
    let (_, old) = site.call("GET", "/v1/drivers/fake-hardware", 39, Value::Null).await;
    assert!(old.get("default_bios_interface").is_none() && old.get("default_raid_interface").is_some());
    let (_, older) = site.call("GET", "/v1/drivers/fake-hardware", 29, Value::Null).await;
    assert!(older.get("default_raid_interface").is_none(), "{older}");
    let properties = site.get("/v1/drivers/fake-hardware/properties").await;
    assert!(properties["B1"].is_string() && properties.get("ipmi_address").is_none(), "{properties}");
    assert!(site.get("/v1/drivers/ipmi/properties").await["ipmi_address"].is_string());
    let refused = json!({"driver": "ipmi", "bios_interface": "fake"});
    assert_eq!(site.call("POST", "/v1/nodes", NEWEST, refused).await.0, 400);
    site.stop().await;
}
