//! Power: what was observed and what is wanted.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The power of a machine as last observed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum PowerState {
    /// Running.
    #[serde(rename = "power on")]
    On,
    /// Off.
    #[serde(rename = "power off")]
    Off,
    /// The BMC answered with a fault.
    #[serde(rename = "error")]
    Error,
}

impl PowerState {
    /// The name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::On => "power on",
            Self::Off => "power off",
            Self::Error => "error",
        }
    }
}

impl fmt::Display for PowerState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for PowerState {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        [Self::On, Self::Off, Self::Error].into_iter().find(|state| state.as_str() == text).ok_or_else(|| {
            format!(
                "'{}' is not a power state: expected power on, power off or error",
                text.chars().take(64).collect::<String>()
            )
        })
    }
}

/// A change of power that a caller asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum PowerTarget {
    /// Switch on.
    #[serde(rename = "power on")]
    On,
    /// Switch off at once.
    #[serde(rename = "power off")]
    Off,
    /// Off, then on.
    #[serde(rename = "rebooting")]
    Reboot,
    /// Ask the operating system to shut down, then on.
    #[serde(rename = "soft rebooting")]
    SoftReboot,
    /// Ask the operating system to shut down.
    #[serde(rename = "soft power off")]
    SoftOff,
}

impl PowerTarget {
    /// Every target, in the contract's order.
    pub const ALL: [Self; 5] = [Self::On, Self::Off, Self::Reboot, Self::SoftReboot, Self::SoftOff];

    /// The name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::On => "power on",
            Self::Off => "power off",
            Self::Reboot => "rebooting",
            Self::SoftReboot => "soft rebooting",
            Self::SoftOff => "soft power off",
        }
    }

    /// The state that the machine ends in.
    pub const fn end(self) -> PowerState {
        match self {
            Self::On | Self::Reboot | Self::SoftReboot => PowerState::On,
            Self::Off | Self::SoftOff => PowerState::Off,
        }
    }
}

impl fmt::Display for PowerTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for PowerTarget {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|target| target.as_str() == text).ok_or_else(|| {
            format!(
                "'{}' is not a power target: expected one of {}",
                text.chars().take(64).collect::<String>(),
                Self::ALL.map(Self::as_str).join(", ")
            )
        })
    }
}
