//! Lights, virtual media, consoles, interrupts and boot settings of fake hardware.

use serde_json::{Value, json};

use crate::site::{FAKES, NEWEST, Site};

#[tokio::test(flavor = "multi_thread")]
async fn lights() {
    let site = Site::start().await;
    let node = site.node(&[]).await;
    let at = |rest: &str| format!("{node}/management/indicators{rest}");
    let list = site.get(&at("")).await;
    let indicators = list["indicators"].as_array().unwrap();
    assert_eq!(
        indicators.iter().map(|light| light["name"].as_str().unwrap()).collect::<Vec<_>>(),
        ["led-0@chassis", "led@system"]
    );
    assert_eq!(indicators[0]["readonly"], true);
    assert_eq!(indicators[1]["states"], json!(["blinking", "off", "on"]));
    assert_eq!(indicators[1]["links"][0]["href"], format!("http://api.test:6385{}", at("/led@system")));
    assert_eq!(site.get(&at("/led@system")).await, json!({"state": "on"}));
    assert_eq!(site.code("PUT", &at("/led@system"), json!({"state": "BLINKING"})).await, 204);
    assert_eq!(site.get(&at("/led@system")).await, json!({"state": "blinking"}));
    for minor in [1, NEWEST] {
        assert_eq!(site.call("GET", &at(""), minor, Value::Null).await.0, 200);
    }
    for (rest, body) in [
        ("/led-0@chassis", json!({"state": "on"})),
        ("/led@system", json!({"state": "unknown"})),
        ("/led@system", json!({"state": "dim"})),
        ("/led@system", json!({})),
        ("/led@system", json!({"state": "on", "more": 1})),
        ("/led@chassis", json!({"state": "on"})),
        ("/led", json!({"state": "on"})),
    ] {
        assert_eq!(site.code("PUT", &at(rest), body.clone()).await, 400, "{rest} {body}");
    }
    for rest in ["/led", "/led@chassis", "/@"] {
        assert_eq!(site.code("GET", &at(rest), Value::Null).await, 400, "{rest}");
    }
    site.lock(&node).await;
    assert_eq!(site.code("PUT", &at("/led@system"), json!({"state": "on"})).await, 409);
    assert_eq!(site.get(&at("/led@system")).await, json!({"state": "blinking"}));
    let ipmi = json!({"driver": "ipmi", "driver_info": {"ipmi_address": "192.0.2.1"}});
    let (_, ipmi) = site.send("POST", "/v1/nodes", ipmi).await;
    let path = format!("/v1/nodes/{}/management/indicators", ipmi["uuid"].as_str().unwrap());
    assert_eq!(site.code("GET", &path, Value::Null).await, 400, "IPMI has none");
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn virtual_media() {
    let site = Site::start().await;
    let node = site.node(&[]).await;
    let vmedia = format!("{node}/vmedia");
    let images = async || {
        let drives = site.get(&vmedia).await;
        let drives = drives.as_array().unwrap().clone();
        drives
            .iter()
            .filter(|drive| drive["inserted"] == true)
            .map(|drive| drive["image"].clone())
            .collect::<Vec<_>>()
    };
    let attach = |device: &str, url: &str| json!({"device_type": device, "image_url": url});
    let iso = "https://192.0.2.1/a.iso";
    for (method, minor, status) in [
        ("GET", 92, 404),
        ("GET", 93, 200),
        ("POST", 88, 404),
        ("POST", 89, 204),
        ("DELETE", 88, 404),
        ("DELETE", 89, 204),
    ] {
        let body = if method == "POST" { attach("cdrom", iso) } else { Value::Null };
        assert_eq!(site.call(method, &vmedia, minor, body).await.0, status, "{method} 1.{minor}");
    }
    for (device, url) in [("cdrom", iso), ("disk", "nfs://192.0.2.1/b"), ("floppy", "http://192.0.2.1/c")] {
        assert_eq!(site.code("POST", &vmedia, attach(device, url)).await, 204);
    }
    assert_eq!(images().await.len(), 3);
    assert_eq!(site.code("DELETE", &format!("{vmedia}?device_types=cdrom,floppy"), Value::Null).await, 204);
    assert_eq!(images().await, [json!("nfs://192.0.2.1/b")]);
    assert_eq!(site.code("DELETE", &vmedia, Value::Null).await, 204);
    assert_eq!(images().await, Vec::<Value>::new());
    for wrong in [
        json!({}),
        json!({"device_type": "cdrom"}),
        attach("tape", iso),
        attach("CDROM", iso),
        attach("cdrom", "file:///etc/passwd"),
        attach("cdrom", "x"),
        attach("cdrom", ""),
        attach("cdrom", &format!("http://192.0.2.1/{}", "a".repeat(5000))),
        json!({"device_type": "cdrom", "image_url": iso, "image_download_source": "ftp"}),
        json!({"device_type": "cdrom", "image_url": iso, "password": "x"}),
    ] {
        assert_eq!(site.code("POST", &vmedia, wrong.clone()).await, 400, "{wrong}");
    }
    assert_eq!(site.code("DELETE", &format!("{vmedia}?device_types=tape"), Value::Null).await, 400);
    assert_eq!(site.code("DELETE", &format!("{vmedia}?devices=disk"), Value::Null).await, 400);
    site.lock(&node).await;
    assert_eq!(site.code("POST", &vmedia, attach("cdrom", iso)).await, 409);
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn consoles() {
    let site = Site::start().await;
    let (with, without) = (site.node(&FAKES).await, site.node(&[]).await);
    let console = format!("{with}/states/console");
    let off = json!({"console_enabled": false, "console_info": null});
    assert_eq!(site.get(&console).await, off);
    assert_eq!(site.code("PUT", &console, json!({"enabled": "true"})).await, 202);
    assert_eq!(site.get(&console).await, json!({"console_enabled": true, "console_info": {}}));
    assert_eq!(site.get(&format!("{with}/states")).await["console_enabled"], true);
    let patch = json!([{"op": "replace", "path": "/driver", "value": "ipmi"}]);
    let with_others = format!("{with}?reset_interfaces=true");
    assert_eq!(site.code("PATCH", &with_others, patch).await, 409, "not while the console is on");
    site.lock(&with).await;
    assert_eq!(site.code("PUT", &console, json!({"enabled": true})).await, 202, "it is on already");
    assert_eq!(site.code("PUT", &console, json!({"enabled": false})).await, 409);
    site.change(&with, |node| node.lease = None).await;
    assert_eq!(site.code("PUT", &console, json!({"enabled": false})).await, 202);
    assert_eq!(site.get(&console).await, off);
    for wrong in [json!({}), json!({"enabled": "perhaps"}), json!({"enabled": true, "more": 1})] {
        assert_eq!(site.code("PUT", &console, wrong.clone()).await, 400, "{wrong}");
    }
    let console = format!("{without}/states/console");
    assert_eq!(site.get(&console).await, off);
    assert_eq!(site.code("PUT", &console, json!({"enabled": true})).await, 400);
    for minor in [1, NEWEST] {
        assert_eq!(site.call("GET", &console, minor, Value::Null).await.0, 200);
    }
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn boot_settings_and_interrupts() {
    let site = Site::start().await;
    let node = site.node(&[]).await;
    let at = |rest: &str| format!("{node}/{rest}");
    let supported = site.get(&at("management/boot_device/supported")).await;
    assert_eq!(supported, json!({"supported_boot_devices": ["pxe"]}));
    let device = json!({"boot_device": "pxe", "persistent": true});
    assert_eq!(site.code("PUT", &at("management/boot_device"), device.clone()).await, 204);
    assert_eq!(site.get(&at("management/boot_device")).await, device);
    assert_eq!(site.code("PUT", &at("management/boot_device"), json!({"boot_device": "disk"})).await, 400);
    assert_eq!(site.call("PUT", &at("management/inject_nmi"), 28, json!({})).await.0, 404);
    assert_eq!(site.call("PUT", &at("management/inject_nmi"), 29, json!({})).await.0, 204);
    assert_eq!(site.code("PUT", &at("states/boot_mode"), json!({"target": "uefi"})).await, 202);
    assert_eq!(site.code("PUT", &at("states/secure_boot"), json!({"target": true})).await, 202);
    let states = site.get(&at("states")).await;
    assert_eq!((&states["boot_mode"], &states["secure_boot"]), (&json!("uefi"), &json!(true)));
    site.lock(&node).await;
    assert_eq!(site.code("PUT", &at("management/boot_device"), device).await, 409);
    assert_eq!(site.code("PUT", &at("management/inject_nmi"), json!({})).await, 409);
    site.stop().await;
}
