//! Config drives: built, packed, unpacked, and read by other tools.

use std::fs;

use disk_image::configdrive::{ConfigDriveError, Identity, build, pack, unpack};
use serde_json::{Value, json};

use crate::tool::{run, text};

const NODE: Identity<'static> =
    Identity { uuid: "6c1b7a2e-0000-4000-8000-000000000001", name: Some("metal-1") };

fn file(iso: &[u8], path: &str) -> Option<String> {
    let dir = tempfile::tempdir().unwrap();
    let image = dir.path().join("iso");
    fs::write(&image, iso).unwrap();
    let listing = run("bsdtar", &["-tf", text(&image)]);
    listing.lines().any(|line| line == path).then(|| run("bsdtar", &["-xOf", text(&image), path]))
}

#[test]
fn all_four_parts() {
    let config = json!({
        "meta_data": {"name": "own-name", "public_keys": {"a": "ssh-rsa AAAA"}},
        "network_data": {"links": [], "networks": [], "services": []},
        "user_data": "#cloud-config\nhostname: ä\n",
        "vendor_data": {"cloud-init": "x"},
    });
    let iso = build(&config, NODE).unwrap();
    for version in ["latest", "2012-08-10"] {
        let at = |name: &str| file(&iso, &format!("openstack/{version}/{name}")).unwrap();
        let meta: Value = serde_json::from_str(&at("meta_data.json")).unwrap();
        assert_eq!(
            meta,
            json!({
                "uuid": NODE.uuid, "name": "own-name", "hostname": "metal-1", "public_keys": {"a": "ssh-rsa AAAA"},
            })
        );
        assert_eq!(at("user_data"), config["user_data"].as_str().unwrap());
        assert_eq!(serde_json::from_str::<Value>(&at("network_data.json")).unwrap(), config["network_data"]);
        assert_eq!(serde_json::from_str::<Value>(&at("vendor_data2.json")).unwrap(), config["vendor_data"]);
    }
    let packed = pack(&iso).unwrap();
    assert!(packed.is_ascii() && packed.starts_with("H4sI") && packed.len() < 4000);
    assert_eq!(packed, pack(&build(&config, NODE).unwrap()).unwrap(), "deterministic");
    let broken_in_lines: String =
        packed.as_bytes().chunks(76).map(|line| String::from_utf8_lossy(line) + "\n").collect();
    assert_eq!(unpack(&broken_in_lines, 64 << 20).unwrap(), iso);
}

#[test]
fn empty_parts_and_structured_user_data() {
    let iso = build(
        &json!({"user_data": {"ignition": {"version": "3.3.0"}}, "vendor_data": null, "network_data": {}}),
        Identity { name: None, ..NODE },
    )
    .unwrap();
    assert_eq!(file(&iso, "openstack/latest/user_data").unwrap(), "{\"ignition\":{\"version\":\"3.3.0\"}}");
    assert_eq!(
        file(&iso, "openstack/latest/meta_data.json").unwrap(),
        format!("{{\"uuid\":\"{}\"}}", NODE.uuid)
    );
    assert_eq!(file(&iso, "openstack/latest/network_data.json"), None);
    assert_eq!(file(&iso, "openstack/latest/vendor_data2.json"), None);
}

#[test]
fn wrong_shapes_and_bombs() {
    for (config, part) in [
        (json!([]), "object"),
        (json!({"meta_data": 1}), "meta_data"),
        (json!({"user_data": 1}), "user_data"),
        (json!({"network_data": "x"}), "network_data"),
        (json!({"userdata": "x"}), "userdata"),
        (json!({"user_data": "x".repeat(65 << 20)}), "larger"),
    ] {
        let error = build(&config, NODE).unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    }
    let bomb = pack(&vec![0; 10 << 20]).unwrap();
    assert!(matches!(unpack(&bomb, 1 << 20), Err(ConfigDriveError::TooLarge { .. })));
    assert!(matches!(unpack(&bomb, 64 << 20), Err(ConfigDriveError::NotAnImage)));
    assert!(matches!(unpack("%%%", 1 << 20), Err(ConfigDriveError::Base64(_))));
    assert!(matches!(unpack(&bomb[..1000], 64 << 20), Err(ConfigDriveError::Gzip(_))));
}
