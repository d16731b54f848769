//! Systems: the collection, and one machine's resource.

use crate::boot::Boot;
use crate::document::{DocumentError, text};
use crate::path::ResourcePath;
use crate::reset::ResetAction;
use core::fmt;
use serde_json::Value;

/// Members of a collection that are looked at.
pub const MAX_MEMBERS: usize = 64;

/// Whether a machine is powered, as Redfish tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PowerState {
    /// Powered.
    On,
    /// Not powered.
    Off,
    /// On its way to being powered.
    PoweringOn,
    /// On its way to not being powered; it still is.
    PoweringOff,
    /// Powered, and stopped.
    Paused,
}

impl PowerState {
    fn from_name(name: &str) -> Option<Self> {
        const NAMES: [(&str, PowerState); 5] = [
            ("On", PowerState::On),
            ("Off", PowerState::Off),
            ("PoweringOn", PowerState::PoweringOn),
            ("PoweringOff", PowerState::PoweringOff),
            ("Paused", PowerState::Paused),
        ];
        NAMES.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, state)| *state)
    }

    /// Whether there is power: only `Off` has none.
    pub const fn is_powered(self) -> bool {
        !matches!(self, Self::Off)
    }
}

impl fmt::Display for PowerState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::On => "on",
            Self::Off => "off",
            Self::PoweringOn => "powering on",
            Self::PoweringOff => "powering off",
            Self::Paused => "paused",
        })
    }
}

/// The paths in a collection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Members(pub Vec<ResourcePath>);

impl Members {
    /// Reads a collection; at most [`MAX_MEMBERS`] of it. `Members: null` is an empty one.
    pub fn from_value(value: &Value) -> Self {
        let list = value.get("Members").and_then(Value::as_array);
        let paths = list.into_iter().flatten().filter_map(ResourcePath::of_link);
        Self(paths.take(MAX_MEMBERS).collect())
    }

    /// The only member.
    pub fn only(&self) -> Option<&ResourcePath> {
        match self.0.as_slice() {
            [only] => Some(only),
            _ => None,
        }
    }
}

impl fmt::Display for Members {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("none");
        }
        for (index, path) in self.0.iter().take(8).enumerate() {
            write!(f, "{}{path}", if index == 0 { "" } else { ", " })?;
        }
        if self.0.len() > 8 { write!(f, " and {} more", self.0.len() - 8) } else { Ok(()) }
    }
}

/// One machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct System {
    /// Power, if the BMC knows it.
    pub power: Option<PowerState>,
    /// The boot override, if the BMC has one.
    pub boot: Option<Boot>,
    /// The reset action.
    pub reset: Option<ResetAction>,
    /// Where changes wait for the next boot, if the BMC keeps them apart (`@Redfish.Settings`).
    pub settings: Option<ResourcePath>,
    /// The secure boot resource.
    pub secure_boot: Option<ResourcePath>,
    /// The manager in charge of it, if the BMC links one.
    pub managed_by: Option<ResourcePath>,
    /// Who made the machine.
    pub manufacturer: Option<String>,
    /// Its model.
    pub model: Option<String>,
    /// Its serial number.
    pub serial_number: Option<String>,
    /// Its stock keeping unit; some makers' service tag.
    pub sku: Option<String>,
    /// Its UUID as text.
    pub uuid: Option<String>,
    /// Version of its firmware.
    pub bios_version: Option<String>,
    /// `OK`, `Warning` or `Critical`: of the machine and all in it, where the BMC tells that.
    pub health: Option<String>,
    /// The same for the machine itself.
    pub own_health: Option<String>,
}

impl System {
    /// Reads a `ComputerSystem`.
    ///
    /// # Errors
    /// [`DocumentError::Missing`] when nothing in it says that it is one: no power state, boot object, action or name.
    pub fn from_value(value: &Value) -> Result<Self, DocumentError> {
        let known = ["PowerState", "Boot", "Actions", "SystemType", "SerialNumber"];
        if !known.iter().any(|key| value.get(key).is_some()) {
            return Err(DocumentError::Missing { resource: "the computer system", member: "PowerState" });
        }
        let status = value.get("Status").unwrap_or(&Value::Null);
        let settings = value.get("@Redfish.Settings").and_then(|settings| settings.get("SettingsObject"));
        Ok(Self {
            power: text(value, "PowerState").and_then(|name| PowerState::from_name(&name)),
            boot: Boot::from_system(value),
            reset: ResetAction::from_system(value),
            settings: settings.and_then(ResourcePath::of_link),
            secure_boot: value.get("SecureBoot").and_then(ResourcePath::of_link),
            managed_by: value
                .get("Links")
                .and_then(|links| links.get("ManagedBy"))
                .and_then(Value::as_array)
                .and_then(|managers| managers.iter().find_map(ResourcePath::of_link)),
            manufacturer: text(value, "Manufacturer"),
            model: text(value, "Model"),
            serial_number: text(value, "SerialNumber"),
            sku: text(value, "SKU"),
            uuid: text(value, "UUID"),
            bios_version: text(value, "BiosVersion"),
            health: text(status, "HealthRollup")
                .or_else(|| text(status, "HealthRollUp"))
                .or_else(|| text(status, "Health")),
            own_health: text(status, "Health"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_full_system_is_read() {
        let system = System::from_value(&json!({
            "@odata.id": "/redfish/v1/Systems/System.Embedded.1",
            "@Redfish.Settings": {"SettingsObject": {"@odata.id": "/redfish/v1/Systems/System.Embedded.1/Settings"}},
            "PowerState": "PoweringOff", "Manufacturer": "Dell Inc.", "Model": "PowerEdge R650",
            "SerialNumber": "CNIVC0000000", "SKU": "ABC1234", "Status": {"Health": "OK", "HealthRollup": "Warning"},
            "SecureBoot": {"@odata.id": "/redfish/v1/Systems/System.Embedded.1/SecureBoot"},
            "Boot": {"BootSourceOverrideEnabled": "Once", "BootSourceOverrideTarget": "Pxe"},
            "Actions": {"#ComputerSystem.Reset": {
                "target": "/redfish/v1/Systems/System.Embedded.1/Actions/ComputerSystem.Reset"}}
        }))
        .unwrap();
        assert_eq!(system.power, Some(PowerState::PoweringOff));
        assert!(PowerState::PoweringOff.is_powered());
        assert_eq!(system.health.as_deref(), Some("Warning"));
        assert_eq!(system.own_health.as_deref(), Some("OK"));
        assert!(system.settings.is_some() && system.secure_boot.is_some() && system.reset.is_some());
        assert_eq!(system.boot.unwrap().target, Some(crate::BootTarget::Pxe));
    }

    #[test]
    fn a_poor_system_is_read_and_another_thing_is_not() {
        let system = System::from_value(&json!({"PowerState": null, "Boot": null, "Status": null})).unwrap();
        assert_eq!((system.power, system.boot, system.health), (None, None, None));
        assert!(System::from_value(&json!({"Name": "Redfish service"})).is_err());
    }

    #[test]
    fn the_only_member_is_found() {
        let members =
            Members::from_value(&json!({"Members": [{"@odata.id": "/redfish/v1/Systems/1"}, {}, 3]}));
        assert_eq!(members.only().map(ResourcePath::as_str), Some("/redfish/v1/Systems/1"));
        assert_eq!(Members::from_value(&json!({"Members": null})).only(), None);
        let many: Vec<_> =
            (0..100).map(|n| json!({"@odata.id": format!("/redfish/v1/Systems/{n}")})).collect();
        let many = Members::from_value(&json!({"Members": many}));
        assert_eq!(many.0.len(), MAX_MEMBERS);
        assert!(many.to_string().ends_with("and 56 more"));
    }
}
