//! The service root (DSP0266 section 6.2): where everything else is.

use crate::document::text;
use crate::path::ResourcePath;
use serde_json::Value;

/// Where the service root is unless a configuration says otherwise.
pub const DEFAULT_ROOT: &str = "/redfish/v1";

/// What the service root says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceRoot {
    /// The collection of systems, if the service has any.
    pub systems: Option<ResourcePath>,
    /// Where sessions are created; nothing means that only basic authentication is offered.
    pub sessions: Option<ResourcePath>,
    /// The collection of managers, which are the BMCs themselves.
    pub managers: Option<ResourcePath>,
    /// What updates firmware.
    pub update_service: Option<ResourcePath>,
    /// Who made the service.
    pub vendor: Option<String>,
    /// What it is.
    pub product: Option<String>,
    /// Version of the protocol.
    pub redfish_version: Option<String>,
}

impl ServiceRoot {
    /// Reads the root.
    pub fn from_value(value: &Value) -> Self {
        let link = |key: &str| value.get(key).and_then(ResourcePath::of_link);
        // `Links.Sessions` is required, but there are services that have the session service alone.
        let sessions = value
            .get("Links")
            .and_then(|links| links.get("Sessions"))
            .and_then(ResourcePath::of_link)
            .or_else(|| link("SessionService")?.join("Sessions").ok());
        // Vendor is a newer member; before it, the only key of Oem tells.
        let oem = || value.get("Oem")?.as_object()?.keys().next().and_then(|key| crate::document::clean(key));
        Self {
            systems: link("Systems"),
            managers: link("Managers"),
            update_service: link("UpdateService"),
            sessions,
            vendor: text(value, "Vendor").or_else(oem),
            product: text(value, "Product"),
            redfish_version: text(value, "RedfishVersion"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn sessions_are_found_in_two_places() {
        let root = ServiceRoot::from_value(&json!({
            "Systems": {"@odata.id": "/redfish/v1/Systems"},
            "Links": {"Sessions": {"@odata.id": "/redfish/v1/SessionService/Sessions/"}},
            "Oem": {"Hpe": {}}, "RedfishVersion": "1.6.0"
        }));
        assert_eq!(root.sessions.unwrap().as_str(), "/redfish/v1/SessionService/Sessions");
        assert_eq!(root.vendor.as_deref(), Some("Hpe"));
        let root =
            ServiceRoot::from_value(&json!({"SessionService": {"@odata.id": "/redfish/v1/SessionService"}}));
        assert_eq!(root.sessions.unwrap().as_str(), "/redfish/v1/SessionService/Sessions");
        assert_eq!(root.systems, None);
        assert_eq!(ServiceRoot::from_value(&json!({"Links": null, "Oem": []})).sessions, None);
    }
}
