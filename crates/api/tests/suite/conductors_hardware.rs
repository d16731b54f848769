//! What the conductors with knobs answer about hardware.

use std::collections::BTreeMap;

use conductor_api::{HardwareRequests, Reply, VendorCall, VendorReply};
use model::{
    Indicator, IndicatorName, IndicatorState, JsonObject, MediaDevice, MediaDrive, MediaImage, NodeUuid,
    VendorMethod,
};
use serde_json::{Value, json};

use crate::conductors::Fake;

fn methods(name: &str) -> BTreeMap<String, VendorMethod> {
    let method = VendorMethod {
        http_methods: vec!["POST".to_owned()],
        is_async: true,
        description: String::new(),
        attach: false,
        require_exclusive_lock: Some(true),
    };
    BTreeMap::from([(name.to_owned(), method)])
}

impl HardwareRequests for Fake {
    fn set_target_raid(&self, _: NodeUuid, wanted: JsonObject) -> Reply<'_, ()> {
        self.answer(format!("set_target_raid {}", wanted.as_str()), ())
    }

    fn raid_properties(&self, driver: String) -> Reply<'_, BTreeMap<String, String>> {
        self.answer(format!("raid_properties {driver}"), BTreeMap::new())
    }

    fn vendor_methods(&self, _: NodeUuid) -> Reply<'_, BTreeMap<String, VendorMethod>> {
        self.answer("vendor_methods".to_owned(), methods("of_node"))
    }

    /// Methods called `file` and `value` are waited for.
    fn vendor_call(&self, _: NodeUuid, call: VendorCall) -> Reply<'_, VendorReply> {
        let attach = call.method == "file";
        let is_async = !attach && call.method != "value";
        let value = if is_async { Value::Null } else { json!("a\nb") };
        let said = format!("vendor_call {} {} {}", call.http_method, call.method, call.args.as_str());
        self.answer(said, VendorReply { is_async, attach, value })
    }

    fn driver_methods(&self, driver: String) -> Reply<'_, BTreeMap<String, VendorMethod>> {
        self.answer(format!("driver_methods {driver}"), methods("of_driver"))
    }

    fn driver_call(&self, driver: String, call: VendorCall) -> Reply<'_, VendorReply> {
        let reply = VendorReply { is_async: false, attach: false, value: Value::Null };
        self.answer(format!("driver_call {driver} {} {}", call.http_method, call.method), reply)
    }

    fn indicators(&self, _: NodeUuid) -> Reply<'_, Vec<Indicator>> {
        self.answer("indicators".to_owned(), Vec::new())
    }

    fn indicator(&self, _: NodeUuid, name: IndicatorName) -> Reply<'_, IndicatorState> {
        self.answer(format!("indicator {name}"), IndicatorState::Blinking)
    }

    fn set_indicator(&self, _: NodeUuid, name: IndicatorName, state: IndicatorState) -> Reply<'_, ()> {
        self.answer(format!("set_indicator {name} {state}"), ())
    }

    fn media(&self, _: NodeUuid) -> Reply<'_, Vec<MediaDrive>> {
        self.answer("media".to_owned(), Vec::new())
    }

    fn attach_media(&self, _: NodeUuid, image: MediaImage) -> Reply<'_, ()> {
        self.answer(format!("attach_media {} {} {:?}", image.device, image.url, image.source), ())
    }

    fn detach_media(&self, _: NodeUuid, devices: Vec<MediaDevice>) -> Reply<'_, ()> {
        self.answer(format!("detach_media {devices:?}"), ())
    }

    fn console(&self, _: NodeUuid) -> Reply<'_, Option<Value>> {
        self.answer("console".to_owned(), None)
    }

    fn set_console(&self, _: NodeUuid, on: bool) -> Reply<'_, ()> {
        self.answer(format!("set_console {on}"), ())
    }
}
