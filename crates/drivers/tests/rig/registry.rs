//! The registry of the shipped drivers, as a test has it.

use std::collections::BTreeMap;
use std::path::Path;

use driver::Registry;
use images::{ImageCache, Web, WebOptions};
use model::{JsonObject, Node, Timestamp};
use serde_json::{Value, json};

/// With everything that is kept in `folder`.
pub(crate) fn registry(folder: &Path, redfish: drivers::RedfishOptions) -> Registry {
    let _installed_before = rustls::crypto::ring::default_provider().install_default();
    let web = Web::new(WebOptions::default()).unwrap();
    let options = drivers::Options {
        interfaces: drivers::InterfaceChoice::default(),
        enabled_hardware_types: vec!["redfish".to_owned()],
        bmcs: drivers::Bmcs {
            ipmi: bmc::IpmiPool::new(bmc::Options::default()),
            redfish: bmc::redfish::RedfishPool::new(bmc::redfish::Options::default()),
        },
        redfish,
        images: ImageCache::open(images::Options::new(folder.join("images")), web).unwrap(),
        images_url: "http://127.0.0.1/images".to_owned(),
        ramdisk_configured: true,
        log_dir: folder.join("logs"),
        step_priorities: BTreeMap::new(),
    };
    drivers::registry(&options).unwrap()
}

/// A node whose BMC is on this host.
pub(crate) fn node(port: u16, more: &Value) -> Node {
    let mut info = json!({
        "redfish_address": format!("http://127.0.0.1:{port}"),
        "redfish_username": "admin", "redfish_password": "password",
    });
    for (key, value) in more.as_object().into_iter().flatten() {
        info[key] = value.clone();
    }
    let mut node = Node::new("redfish", Timestamp::from_micros(0));
    node.driver_info = JsonObject::parse(&info.to_string()).unwrap();
    node
}
