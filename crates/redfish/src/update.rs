//! The update service: how firmware is given to a BMC.

use crate::document::{action_target, texts};
use crate::path::ResourcePath;
use serde_json::{Value, json};

/// More protocols than the schema has are not read.
const MAX_PROTOCOLS: usize = 32;

/// The action by which a BMC fetches firmware from a URL and applies it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SimpleUpdate {
    /// Where to post.
    pub target: ResourcePath,
    /// The protocols it takes, if it says so.
    pub protocols: Option<Vec<String>>,
}

impl SimpleUpdate {
    /// Reads the action `#UpdateService.SimpleUpdate` of an update service.
    pub fn from_service(value: &Value) -> Option<Self> {
        const NAME: &str = "#UpdateService.SimpleUpdate";
        let target = action_target(value, NAME)?;
        let action = value.get("Actions")?.get(NAME)?;
        Some(Self {
            target,
            protocols: texts(action, "TransferProtocol@Redfish.AllowableValues", MAX_PROTOCOLS),
        })
    }

    /// The body that has the BMC fetch `url`. The protocol is named where the BMC lists it: there are BMCs that go by its
    /// name alone, and others that refuse the member.
    pub fn body(&self, url: &str) -> Value {
        let scheme = url.split(':').next().unwrap_or_default();
        let listed = self.protocols.as_ref();
        let protocol = listed.and_then(|names| names.iter().find(|name| name.eq_ignore_ascii_case(scheme)));
        match protocol {
            Some(protocol) => json!({"ImageURI": url, "TransferProtocol": protocol}),
            None => json!({"ImageURI": url}),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_protocol_is_named_where_it_is_listed() {
        let service = |action: &Value| json!({"Actions": {"#UpdateService.SimpleUpdate": action}});
        let target = "/redfish/v1/UpdateService/Actions/SimpleUpdate";
        let plain = SimpleUpdate::from_service(&service(&json!({"target": target}))).unwrap();
        assert_eq!(plain.target.as_str(), target);
        assert_eq!(plain.body("https://a/b"), json!({"ImageURI": "https://a/b"}));
        let listed = json!({"target": target, "TransferProtocol@Redfish.AllowableValues": ["HTTP", "HTTPS"]});
        let listed = SimpleUpdate::from_service(&service(&listed)).unwrap();
        assert_eq!(
            listed.body("https://a/b"),
            json!({"ImageURI": "https://a/b", "TransferProtocol": "HTTPS"})
        );
        assert_eq!(SimpleUpdate::from_service(&json!({"Actions": {}})), None);
    }
}
