//! The `Boot` object of a system: what the override is now, and what to send to change it.

use crate::document::{text, texts};
use crate::quirks::Quirks;
use core::fmt;
use serde_json::{Map, Value, json};

const MAX_ALLOWED: usize = 32;

macro_rules! names {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $wire:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $name { $($(#[$vdoc])* $variant,)* }

        impl $name {
            /// The name on the wire.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $wire),* }
            }

            /// By its name, in any case; nothing for names that are of no use here.
            pub fn from_name(name: &str) -> Option<Self> {
                $(if name.eq_ignore_ascii_case($wire) { return Some(Self::$variant); })*
                None
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

names! {
    /// Where to boot from (`BootSource`).
    BootTarget {
        /// No override.
        None = "None",
        /// The network.
        Pxe = "Pxe",
        /// A hard disk.
        Hdd = "Hdd",
        /// A CD or DVD, virtual media too.
        Cd = "Cd",
        /// The firmware's set-up.
        BiosSetup = "BiosSetup",
        /// A floppy disk.
        Floppy = "Floppy",
        /// A USB device.
        Usb = "Usb",
        /// UEFI HTTP boot.
        UefiHttp = "UefiHttp",
    }
}

names! {
    /// For which boots an override holds (`BootSourceOverrideEnabled`).
    Override {
        /// None.
        Disabled = "Disabled",
        /// The next.
        Once = "Once",
        /// All.
        Continuous = "Continuous",
    }
}

names! {
    /// The firmware's way of booting (`BootSourceOverrideMode`).
    BootMode {
        /// UEFI.
        Uefi = "UEFI",
        /// Legacy BIOS.
        Legacy = "Legacy",
    }
}

/// The override as a BMC describes it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Boot {
    /// For which boots.
    pub enabled: Option<Override>,
    /// From where; nothing too for a source that is of no use here.
    pub target: Option<BootTarget>,
    /// In which mode.
    pub mode: Option<BootMode>,
    /// Whether the BMC has a mode at all.
    pub has_mode: bool,
    /// The targets it takes, if it says so.
    pub allowed_targets: Option<Vec<String>>,
    /// The frequencies it takes, if it says so.
    pub allowed_enabled: Option<Vec<String>>,
}

/// What is to become different.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BootChange {
    /// From where, and for which boots.
    pub target: Option<(BootTarget, Override)>,
    /// In which mode.
    pub mode: Option<BootMode>,
}

impl Boot {
    /// Reads the `Boot` object of a system or of its settings; nothing when there is none with an override.
    pub fn from_system(system: &Value) -> Option<Self> {
        let boot = system.get("Boot")?;
        let keys = ["BootSourceOverrideEnabled", "BootSourceOverrideTarget", "BootSourceOverrideMode"];
        if !keys.iter().any(|key| boot.get(key).is_some()) {
            return None;
        }
        let named = |key: &str| text(boot, key);
        let allowed = |key: &str| texts(boot, key, MAX_ALLOWED).filter(|list| !list.is_empty());
        Some(Self {
            enabled: named(keys[0]).and_then(|name| Override::from_name(&name)),
            target: named(keys[1]).and_then(|name| BootTarget::from_name(&name)),
            mode: named(keys[2]).and_then(|name| BootMode::from_name(&name)),
            has_mode: boot.get(keys[2]).is_some_and(|mode| !mode.is_null()),
            allowed_targets: allowed("BootSourceOverrideTarget@Redfish.AllowableValues"),
            allowed_enabled: allowed("BootSourceOverrideEnabled@Redfish.AllowableValues"),
        })
    }

    /// Whether `target` can be set; yes when the BMC does not say what it allows.
    pub fn allows(&self, target: BootTarget) -> bool {
        permits(self.allowed_targets.as_deref(), target.as_str())
    }

    /// For which boots an override can be set, when `wanted` is wished: once where the BMC has nothing that lasts.
    pub fn lasting(&self, wanted: Override, quirks: Quirks) -> Override {
        let lasts = !quirks.no_lasting_override && permits(self.allowed_enabled.as_deref(), "Continuous");
        if wanted == Override::Continuous && !lasts { Override::Once } else { wanted }
    }

    /// The bodies to try for a change, best first: the next one when the BMC refuses the request as such (400).
    ///
    /// The first has what changes. There are BMCs that refuse or ignore a part of the object ([`Quirks`]), so the other is
    /// the whole of it. A mode that is the present one already is left out of the small body: on some machines the mode is
    /// a setting of the firmware, and to name it queues a configuration job.
    pub fn bodies(&self, change: BootChange, quirks: Quirks) -> Vec<Value> {
        let mut small = Map::new();
        if let Some((target, enabled)) = change.target {
            small.insert("BootSourceOverrideEnabled".to_owned(), json!(enabled.as_str()));
            small.insert("BootSourceOverrideTarget".to_owned(), json!(target.as_str()));
        }
        let mode = change.mode.filter(|_| self.has_mode);
        if let Some(mode) = mode
            && (self.mode != Some(mode) || change.target.is_none())
        {
            small.insert("BootSourceOverrideMode".to_owned(), json!(mode.as_str()));
        }
        let mut whole = small.clone();
        if let Some(mode) = mode.or(self.mode) {
            whole.insert("BootSourceOverrideMode".to_owned(), json!(mode.as_str()));
        }
        if let (None, Some(target)) = (change.target, self.target) {
            let enabled = self.enabled.unwrap_or(Override::Disabled);
            whole.insert("BootSourceOverrideEnabled".to_owned(), json!(enabled.as_str()));
            whole.insert("BootSourceOverrideTarget".to_owned(), json!(target.as_str()));
        }
        let mut bodies = if quirks.full_boot_object { vec![whole, small] } else { vec![small, whole] };
        bodies.dedup();
        bodies.into_iter().map(|boot| json!({"Boot": boot})).collect()
    }
}

fn permits(allowed: Option<&[String]>, name: &str) -> bool {
    allowed.is_none_or(|list| list.iter().any(|item| item.eq_ignore_ascii_case(name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn boot(value: &Value) -> Boot {
        Boot::from_system(&json!({"Boot": value})).unwrap()
    }

    const PXE_ONCE: BootChange =
        BootChange { target: Some((BootTarget::Pxe, Override::Once)), mode: Some(BootMode::Uefi) };

    #[test]
    fn a_present_mode_is_left_out_first_and_sent_second() {
        let boot = boot(&json!({"BootSourceOverrideEnabled": "Disabled", "BootSourceOverrideMode": "UEFI"}));
        let part = json!({"BootSourceOverrideEnabled": "Once", "BootSourceOverrideTarget": "Pxe"});
        let mut whole = part.clone();
        whole["BootSourceOverrideMode"] = json!("UEFI");
        let (part, whole) = (json!({"Boot": part}), json!({"Boot": whole}));
        assert_eq!(boot.bodies(PXE_ONCE, Quirks::default()), [part.clone(), whole.clone()]);
        let quirks = Quirks { full_boot_object: true, ..Quirks::default() };
        assert_eq!(boot.bodies(PXE_ONCE, quirks), [whole, part]);
    }

    #[test]
    fn a_mode_that_the_bmc_lacks_is_never_sent() {
        let boot = boot(&json!({"BootSourceOverrideEnabled": "Disabled", "BootSourceOverrideMode": null}));
        assert!(!boot.has_mode);
        let bodies = boot.bodies(PXE_ONCE, Quirks::default());
        assert_eq!(bodies.len(), 1);
        assert_eq!(bodies[0]["Boot"].get("BootSourceOverrideMode"), None);
    }

    #[test]
    fn changing_the_mode_alone_keeps_the_override() {
        let now = boot(&json!({
            "BootSourceOverrideEnabled": "Continuous", "BootSourceOverrideTarget": "Hdd", "BootSourceOverrideMode": "Legacy"
        }));
        let change = BootChange { target: None, mode: Some(BootMode::Uefi) };
        let bodies = now.bodies(change, Quirks::default());
        assert_eq!(bodies[0], json!({"Boot": {"BootSourceOverrideMode": "UEFI"}}));
        assert_eq!(bodies[1]["Boot"]["BootSourceOverrideTarget"], "Hdd");
        assert_eq!(bodies[1]["Boot"]["BootSourceOverrideEnabled"], "Continuous");
    }

    #[test]
    fn what_is_allowed_is_heeded() {
        let boot = boot(&json!({
            "BootSourceOverrideEnabled": "Once", "BootSourceOverrideTarget": "Utilities",
            "BootSourceOverrideTarget@Redfish.AllowableValues": ["None", "Pxe", "Hdd"],
            "BootSourceOverrideEnabled@Redfish.AllowableValues": ["Disabled", "Once"]
        }));
        assert!(boot.allows(BootTarget::Pxe) && !boot.allows(BootTarget::Cd));
        assert_eq!(boot.target, None);
        assert_eq!(boot.lasting(Override::Continuous, Quirks::default()), Override::Once);
        assert_eq!(Boot::from_system(&json!({"Boot": {"BootOrder": []}})), None);
    }
}
