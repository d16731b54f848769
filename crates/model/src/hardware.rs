//! Hardware types and their interfaces, as data: who may be combined with whom, and what is the default.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use compact_str::CompactString;
use serde::{Deserialize, Serialize};

macro_rules! kinds {
    ($($variant:ident = $wire:literal;)*) => {
        /// The thirteen concerns of a driver.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(rename_all = "lowercase")]
        pub enum InterfaceKind {
            $(#[doc = concat!("The `", $wire, "` interface.")] $variant,)*
        }

        impl InterfaceKind {
            /// Every kind, in alphabetical order.
            pub const ALL: [Self; 13] = [$(Self::$variant),*];

            /// The name on the wire, as in `power_interface`.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $wire),* }
            }
        }

        impl FromStr for InterfaceKind {
            type Err = String;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                match text {
                    $($wire => Ok(Self::$variant),)*
                    _ => Err(format!("'{text}' is not a hardware interface")),
                }
            }
        }
    };
}

kinds! {
    Bios = "bios";
    Boot = "boot";
    Console = "console";
    Deploy = "deploy";
    Firmware = "firmware";
    Inspect = "inspect";
    Management = "management";
    Network = "network";
    Power = "power";
    Raid = "raid";
    Rescue = "rescue";
    Storage = "storage";
    Vendor = "vendor";
}

impl fmt::Display for InterfaceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The implementation chosen for each interface of a node, in the order of [`InterfaceKind::ALL`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
// Names of implementations are short: kept in place, a node's thirteen are one piece of memory and not fourteen.
pub struct InterfaceSet(Box<[Option<CompactString>; InterfaceKind::ALL.len()]>);

impl InterfaceSet {
    /// The implementation of `kind`.
    pub fn get(&self, kind: InterfaceKind) -> Option<&str> {
        self.0[kind as usize].as_deref()
    }

    /// Chooses `implementation` for `kind`; `None` clears it.
    pub fn set(&mut self, kind: InterfaceKind, implementation: Option<String>) {
        self.0[kind as usize] = implementation.map(CompactString::from);
    }

    /// Chooses the implementation of this name for `kind`.
    pub fn choose(&mut self, kind: InterfaceKind, implementation: &str) {
        self.0[kind as usize] = Some(CompactString::new(implementation));
    }
}

/// A hardware type as a conductor offers it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HardwareType {
    /// Its name, which is a node's `driver`.
    pub name: String,
    /// Per interface, the enabled implementations in order of preference: the first is the default.
    pub interfaces: BTreeMap<InterfaceKind, Vec<String>>,
    /// Keys of `driver_info` with their descriptions.
    pub properties: BTreeMap<String, String>,
}

impl HardwareType {
    /// The implementation used where the caller names none.
    pub fn default_interface(&self, kind: InterfaceKind) -> Option<&str> {
        self.interfaces.get(&kind)?.first().map(String::as_str)
    }

    /// Whether `implementation` is enabled for `kind`.
    pub fn supports(&self, kind: InterfaceKind, implementation: &str) -> bool {
        self.interfaces.get(&kind).is_some_and(|list| list.iter().any(|name| name == implementation))
    }
}
