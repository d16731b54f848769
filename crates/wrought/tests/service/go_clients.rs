//! What programs in Go read: every reply has the types into which gophercloud decodes it, and a host is managed with the
//! requests of Metal3's operator, in their order and with its version.

use std::fmt::Write as _;
use std::time::Duration;

use reqwest::Method;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::LONG;
use crate::api::{Answer, Api};
use crate::site::{Settings, Site};

/// The version that Metal3 chooses when all that it knows is there.
const VERSION: &str = "1.110";

/// A type of Go, as its JSON decoder takes it: null leaves anything as it is.
#[derive(Debug, Clone, Copy)]
enum Go {
    Text,
    Bool,
    Int,
    /// RFC 3339.
    Time,
    Map,
    Texts,
    /// Lists of anything.
    Any,
    /// Objects with `href` and `rel`.
    Links,
    /// An object with `result` and `reason`.
    Verdict,
    /// Values are strings.
    TextMap,
}

impl Go {
    fn takes(self, value: &Value) -> bool {
        let texts = |value: &Value| value.is_string() || value.is_null();
        let all = |check: fn(&Value) -> bool| value.as_array().is_some_and(|list| list.iter().all(check));
        let all_in_map =
            |check: fn(&Value) -> bool| value.as_object().is_some_and(|map| map.values().all(check));
        value.is_null()
            || match self {
                Self::Text => value.is_string(),
                Self::Bool => value.is_boolean(),
                Self::Int => value.is_i64(),
                Self::Time => value.as_str().is_some_and(is_rfc3339),
                Self::Map => value.is_object(),
                Self::Texts => all(|item| item.is_string() || item.is_null()),
                Self::Any => value.is_array(),
                Self::Links => all(|link| link["href"].is_string() && link["rel"].is_string()),
                Self::Verdict => {
                    (value["result"].is_boolean() || value["result"].is_null()) && texts(&value["reason"])
                }
                Self::TextMap => all_in_map(|item| item.is_string() || item.is_null()),
            }
    }
}

/// `2026-11-22T10:00:00.123456+00:00`: date, `T`, time, and a zone, which Go's `time.Time` insists on.
fn is_rfc3339(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.len() > 20
        && bytes[10] == b'T'
        && bytes[..10]
            .iter()
            .enumerate()
            .all(|(at, byte)| if at == 4 || at == 7 { *byte == b'-' } else { byte.is_ascii_digit() })
        && (text.ends_with('Z')
            || matches!(bytes[bytes.len() - 6], b'+' | b'-') && bytes[bytes.len() - 3] == b':')
}

macro_rules! go {
    ($($name:ident { $($kind:ident: $($field:literal)*;)* })*) => {$(
        const $name: &[(&str, Go)] = &[$($(($field, Go::$kind),)*)*];
    )*};
}

go! {
    NODE {
        Text: "uuid" "name" "power_state" "target_power_state" "provision_state" "target_provision_state"
            "maintenance_reason" "fault" "health" "last_error" "reservation" "driver" "instance_uuid" "chassis_uuid"
            "resource_class" "bios_interface" "boot_interface" "console_interface" "deploy_interface"
            "inspect_interface" "management_interface" "network_interface" "power_interface" "raid_interface"
            "rescue_interface" "storage_interface" "vendor_interface" "firmware_interface" "conductor_group"
            "parent_node" "protected_reason" "owner" "lessee" "shard" "description" "conductor" "allocation_uuid"
            "retired_reason";
        Bool: "maintenance" "console_enabled" "protected" "retired" "automated_clean" "disable_power_off";
        Map: "driver_info" "driver_internal_info" "properties" "instance_info" "extra" "raid_config"
            "target_raid_config" "clean_step" "deploy_step" "network_data" "service_step";
        Links: "links" "ports" "portgroups" "states" "volume";
        Texts: "traits";
        Time: "provision_updated_at" "inspection_started_at" "inspection_finished_at" "created_at" "updated_at";
    }
    PORT {
        Text: "uuid" "address" "node_uuid" "portgroup_uuid" "physical_network";
        Map: "local_link_connection" "internal_info" "extra";
        Bool: "pxe_enabled" "is_smartnic";
        Time: "created_at" "updated_at";
        Any: "links";
    }
    ALLOCATION {
        Text: "uuid" "last_error" "name" "node_uuid" "state" "resource_class";
        Texts: "candidate_nodes" "traits";
        TextMap: "extra";
        Time: "created_at" "updated_at";
        Any: "links";
    }
    DRIVER {
        Text: "name" "type" "default_bios_interface" "default_boot_interface" "default_console_interface"
            "default_deploy_interface" "default_firmware_interface" "default_inspect_interface"
            "default_management_interface" "default_network_interface" "default_power_interface"
            "default_raid_interface" "default_rescue_interface" "default_storage_interface"
            "default_vendor_interface";
        Texts: "hosts" "enabled_bios_interfaces" "enabled_boot_interfaces" "enabled_console_interfaces"
            "enabled_deploy_interfaces" "enabled_firmware_interfaces" "enabled_inspect_interfaces"
            "enabled_management_interfaces" "enabled_network_interfaces" "enabled_power_interfaces"
            "enabled_rescue_interfaces" "enabled_raid_interfaces" "enabled_storage_interfaces"
            "enabled_vendor_interfaces";
        Any: "links" "properties";
    }
    CONDUCTOR {
        Bool: "alive";
        Text: "hostname" "conductor_group";
        Texts: "drivers";
        Time: "created_at" "updated_at";
    }
    VALIDATION {
        Verdict: "bios" "boot" "console" "deploy" "firmware" "inspect" "management" "network" "power" "raid" "rescue"
            "storage";
    }
    BIOS {
        Text: "name" "value" "attribute_type";
        Texts: "allowable_values";
        Int: "lower_bound" "upper_bound" "min_length" "max_length";
        Bool: "read_only" "reset_required" "unique";
    }
    FIRMWARE {
        Time: "created_at" "updated_at";
        Text: "component" "initial_version" "current_version" "last_version_flashed" "vendor" "model" "serial_number";
    }
}

/// Fails unless `found` is an object that Go would decode; all of `there` have to be in it.
fn decodes(found: &Value, shape: &[(&str, Go)], what: &str) {
    assert!(found.is_object(), "{what}: {found}");
    let mut wrong = String::new();
    for (name, go) in shape {
        let value = &found[*name];
        if !go.takes(value) {
            let _ = write!(wrong, "\n{name}: {value} is no {go:?}");
        }
    }
    assert!(wrong.is_empty(), "{what}:{wrong}");
}

/// The same, and no field is missing.
fn decodes_whole(found: &Value, shape: &[(&str, Go)], what: &str) {
    decodes(found, shape, what);
    let missing: Vec<&str> =
        shape.iter().map(|(name, _)| *name).filter(|name| found.get(*name).is_none()).collect();
    assert!(missing.is_empty(), "{what} lacks {missing:?}");
}

/// Metal3's operator.
struct Operator {
    api: Api,
}

impl Operator {
    async fn any(&self, method: Method, path: &str, body: Value) -> Answer {
        // In place of the version that requests ask for otherwise.
        let version = HeaderMap::from_iter([(
            HeaderName::from_static("x-openstack-ironic-api-version"),
            HeaderValue::from_static(VERSION),
        )]);
        let mut request = self.api.request(method, path).headers(version);
        if !body.is_null() {
            request = request.json(&body);
        }
        Answer::read(request.send().await.unwrap()).await
    }

    async fn done(&self, method: Method, path: &str, body: Value, status: u16) -> Value {
        let answer = self.any(method.clone(), path, body).await;
        assert_eq!(answer.status, status, "{method} {path}: {}", answer.body);
        answer.body
    }

    async fn get(&self, path: &str) -> Value {
        self.done(Method::GET, path, Value::Null, 200).await
    }

    async fn patch(&self, path: &str, changes: Value) -> Value {
        self.done(Method::PATCH, path, changes, 200).await
    }

    /// Waits for the end of a change of power.
    async fn powers(&self, node: &str, state: &str) {
        let since = Instant::now();
        loop {
            let found = self.get(&format!("/v1/nodes/{node}")).await;
            if found["target_power_state"].is_null() && found["power_state"] == state {
                return;
            }
            assert!(since.elapsed() < LONG, "{state}: {found}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn goes(&self, node: &str, body: Value, state: &str) -> Value {
        self.done(Method::PUT, &format!("/v1/nodes/{node}/states/provision"), body, 202).await;
        let rests = self.api.reaches(node, state).await;
        let found = self.get(&format!("/v1/nodes/{node}")).await;
        decodes_whole(&found, NODE, state);
        assert_eq!(found["provision_state"], rests["provision_state"]);
        found
    }
}

async fn start() -> (Site, Operator) {
    let conductor = "enabled_hardware_types = [\"fake-hardware\"]";
    let site = Site::start(&Settings { conductor, ..Settings::default() }).await;
    let api = site.api();
    (site, Operator { api })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gophercloud_decodes_every_reply() {
    let (_site, client) = start().await;
    let node =
        client.done(Method::POST, "/v1/nodes", json!({"driver": "fake-hardware", "name": "n"}), 201).await;
    decodes_whole(&node, NODE, "a new node");
    let uuid = node["uuid"].as_str().unwrap();
    let port = json!({"node_uuid": uuid, "address": "52:54:00:00:00:01"});
    decodes_whole(&client.done(Method::POST, "/v1/ports", port, 201).await, PORT, "a new port");
    for (path, key, shape) in [
        ("/v1/nodes", "nodes", NODE),
        ("/v1/nodes/detail", "nodes", NODE),
        ("/v1/ports", "ports", PORT),
        ("/v1/ports/detail", "ports", PORT),
        ("/v1/drivers?detail=true", "drivers", DRIVER),
        ("/v1/conductors?detail=true", "conductors", CONDUCTOR),
    ] {
        let list = client.get(path).await;
        let items = list[key].as_array().unwrap();
        assert!(!items.is_empty(), "{path}");
        let check = if path.contains("detail") { decodes_whole } else { decodes };
        for item in items {
            check(item, shape, path);
        }
    }
    decodes_whole(&client.get("/v1/drivers/fake-hardware").await, DRIVER, "a driver");
    decodes_whole(&client.get("/v1/conductors/conductor-1").await, CONDUCTOR, "a conductor");
    assert!(client.get("/v1/drivers/fake-hardware/properties").await.is_object());
    decodes_whole(&client.get(&format!("/v1/nodes/{uuid}/validate")).await, VALIDATION, "validation");
    for (part, shape) in [("bios?detail=True", BIOS), ("firmware", FIRMWARE)] {
        let list = client.get(&format!("/v1/nodes/{uuid}/{part}")).await;
        let key = part.split('?').next().unwrap();
        list[key].as_array().unwrap().iter().for_each(|item| decodes(item, shape, part));
    }
    assert!(client.get(&format!("/v1/nodes/{uuid}/vifs")).await["vifs"].is_array());
    client.goes(uuid, json!({"target": "manage"}), "manageable").await;
    let device = client.get(&format!("/v1/nodes/{uuid}/management/boot_device")).await;
    assert!(device["boot_device"].is_string() || device["boot_device"].is_null(), "{device}");
    let devices = client.get(&format!("/v1/nodes/{uuid}/management/boot_device/supported")).await;
    assert!(Go::Texts.takes(&devices["supported_boot_devices"]), "{devices}");
    let methods = client.get(&format!("/v1/nodes/{uuid}/vendor_passthru/methods")).await;
    for method in methods.as_object().unwrap().values() {
        decodes(
            method,
            &[
                ("http_methods", Go::Texts),
                ("async", Go::Bool),
                ("description", Go::Text),
                ("attach", Go::Bool),
            ],
            "a vendor's method",
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gophercloud_decodes_allocations() {
    let (_site, client) = start().await;
    let node = json!({"driver": "fake-hardware", "name": "n", "resource_class": "gold"});
    client.done(Method::POST, "/v1/nodes", node, 201).await;
    client.goes("n", json!({"target": "manage"}), "manageable").await;
    client.goes("n", json!({"target": "provide"}), "available").await;
    let wanted = json!({"name": "a", "resource_class": "gold", "extra": {"rack": "1"}});
    decodes_whole(
        &client.done(Method::POST, "/v1/allocations", wanted, 201).await,
        ALLOCATION,
        "a new allocation",
    );
    let list = client.get("/v1/allocations").await;
    list["allocations"].as_array().unwrap().iter().for_each(|item| decodes(item, ALLOCATION, "allocations"));
    decodes_whole(&client.get("/v1/allocations/a").await, ALLOCATION, "an allocation");
    client.done(Method::DELETE, "/v1/allocations/a", Value::Null, 204).await;
}

/// An image and a config drive for a host that is `available`, and its way to `active`.
async fn metal3_provisions(metal3: &Operator, uuid: &str) {
    let at = format!("/v1/nodes/{uuid}");
    let instance = "0e8a9e3c-5a0c-4c6e-9d8c-1f5a8f0f9a11";
    let changes = json!([
        {"op": "add", "path": "/instance_info/image_source", "value": "http://192.0.2.9/image.raw"},
        {"op": "add", "path": "/instance_info/image_os_hash_algo", "value": "sha256"},
        {"op": "add", "path": "/instance_info/image_os_hash_value", "value": "a".repeat(64)},
        {"op": "add", "path": "/instance_info/image_checksum", "value": "a".repeat(64)},
        {"op": "add", "path": "/instance_info/image_disk_format", "value": "raw"},
        {"op": "add", "path": "/instance_info/capabilities", "value": {"boot_option": "local"}},
        {"op": "add", "path": "/instance_uuid", "value": instance},
        {"op": "replace", "path": "/automated_clean", "value": false},
        {"op": "add", "path": "/properties/root_device", "value": {"name": "s== /dev/sda"}},
    ]);
    assert_eq!(metal3.patch(&at, changes).await["instance_uuid"], instance);
    let drive = json!({"meta_data": {"name": "host-0"}, "user_data": "#cloud-config\n", "network_data": {}});
    let active = metal3.goes(uuid, json!({"target": "active", "configdrive": drive}), "active").await;
    assert_eq!(active["instance_info"]["configdrive"], "******");
    let listed = metal3.get("/v1/nodes?fields=uuid%2Cname%2Cprovision_state%2Cboot_interface").await;
    assert_eq!(listed["nodes"][0]["boot_interface"], "fake", "{listed}");
}

/// From registration to removal, as the operator asks for it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metal3_manages_a_host() {
    let (_site, metal3) = start().await;
    let versions = metal3.get("/v1/").await;
    assert_eq!(versions["version"]["min_version"], "1.1");
    let newest: u16 = versions["version"]["version"].as_str().unwrap()[2..].parse().unwrap();
    assert!(newest >= 110);

    // Registration: looked for by name, by address of its port, then made.
    let name = "metal3~host-0";
    assert_eq!(metal3.any(Method::GET, &format!("/v1/nodes/{name}"), Value::Null).await.status, 404);
    let by_address = "/v1/ports?address=52%3A54%3A00%3A00%3A00%3A01&fields=node_uuid%2Cuuid%2Caddress";
    assert_eq!(metal3.get(by_address).await["ports"], json!([]));
    let host = json!({
        "name": name, "driver": "fake-hardware", "driver_info": {"address": "192.0.2.1", "username": "admin"},
        "boot_interface": "fake", "deploy_interface": "fake", "inspect_interface": "fake",
        "management_interface": "fake", "power_interface": "fake", "raid_interface": "fake", "disable_power_off": false,
        "properties": {"capabilities": "boot_mode:uefi", "cpu_arch": "x86_64"},
    });
    let made = metal3.done(Method::POST, "/v1/nodes", host.clone(), 201).await;
    decodes_whole(&made, NODE, "the host");
    assert_eq!(metal3.any(Method::POST, "/v1/nodes", host).await.status, 409, "somebody was faster");
    let uuid = made["uuid"].as_str().unwrap();
    let port = json!({"node_uuid": uuid, "address": "52:54:00:00:00:01", "pxe_enabled": true});
    metal3.done(Method::POST, "/v1/ports", port, 201).await;
    let found = metal3.get(by_address).await;
    assert_eq!(
        (&found["ports"][0]["node_uuid"], found["ports"].as_array().unwrap().len()),
        (&json!(uuid), 1)
    );

    // Settings: members one by one, added, replaced and removed, and fields at the top.
    let at = format!("/v1/nodes/{uuid}");
    let changes = json!([
        {"op": "add", "path": "/driver_info/deploy_kernel", "value": "http://192.0.2.9/kernel"},
        {"op": "add", "path": "/driver_info/deploy_ramdisk", "value": "http://192.0.2.9/ramdisk"},
        {"op": "add", "path": "/driver_info/kernel_append_params", "value": "%default% console=ttyS0"},
        {"op": "replace", "path": "/driver_info/address", "value": "192.0.2.2"},
        {"op": "remove", "path": "/driver_info/username"},
        {"op": "replace", "path": "/automated_clean", "value": true},
    ]);
    let changed = metal3.patch(&at, changes).await;
    assert_eq!(
        (&changed["driver_info"]["address"], &changed["automated_clean"]),
        (&json!("192.0.2.2"), &json!(true))
    );
    assert_eq!(changed["driver_info"].get("username"), None);
    decodes_whole(&metal3.get(&format!("{at}/validate")).await, VALIDATION, "validation");
    metal3.goes(uuid, json!({"target": "manage"}), "manageable").await;

    // Inspection, then cleaning into availability.
    metal3.goes(uuid, json!({"target": "inspect"}), "manageable").await;
    let inventory = metal3.any(Method::GET, &format!("{at}/inventory"), Value::Null).await;
    assert!([200, 404].contains(&inventory.status), "{}", inventory.body);
    metal3.goes(uuid, json!({"target": "provide"}), "available").await;

    // Provisioning.
    metal3_provisions(&metal3, uuid).await;

    // Power and maintenance.
    let power = |target: &str| json!({"target": target});
    for (target, state) in [("power off", "power off"), ("power on", "power on"), ("rebooting", "power on")] {
        metal3.done(Method::PUT, &format!("{at}/states/power"), power(target), 202).await;
        metal3.powers(uuid, state).await;
    }
    metal3.done(Method::PUT, &format!("{at}/maintenance"), json!({"reason": "detached"}), 202).await;
    metal3.done(Method::DELETE, &format!("{at}/maintenance"), Value::Null, 202).await;
    assert!(metal3.get(&format!("{at}/bios?detail=True")).await["bios"].is_array());
    assert!(metal3.get(&format!("{at}/firmware")).await["firmware"].is_array());
    assert_eq!(metal3.any(Method::GET, &format!("{at}/vmedia"), Value::Null).await.status, 200);

    // Deprovisioning and removal.
    let left = metal3.goes(uuid, json!({"target": "deleted"}), "available").await;
    assert_eq!((&left["instance_info"], &left["instance_uuid"]), (&json!({}), &Value::Null));
    metal3.goes(uuid, json!({"target": "manage"}), "manageable").await;
    let raid = json!({"logical_disks": [{"size_gb": 100, "raid_level": "1"}]});
    metal3.done(Method::PUT, &format!("{at}/states/raid"), raid, 204).await;
    metal3.done(Method::DELETE, &at, Value::Null, 204).await;
    assert_eq!(metal3.any(Method::GET, &at, Value::Null).await.status, 404);
}
