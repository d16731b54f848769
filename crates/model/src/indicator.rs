//! Indicators: the lights of a machine and of its parts.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What a light does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum IndicatorState {
    /// Dark.
    Off,
    /// Lit.
    On,
    /// On and off by turns.
    Blinking,
    /// Nobody knows.
    Unknown,
}

impl IndicatorState {
    /// Every state.
    pub const ALL: [Self; 4] = [Self::Off, Self::On, Self::Blinking, Self::Unknown];

    /// The name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::On => "on",
            Self::Blinking => "blinking",
            Self::Unknown => "unknown",
        }
    }
}

impl fmt::Display for IndicatorState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for IndicatorState {
    type Err = String;

    /// Clients write the names in capitals, too.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|state| state.as_str().eq_ignore_ascii_case(text)).ok_or_else(|| {
            let shown: String = text.chars().take(64).collect();
            format!("'{shown}' is not one of {}", Self::ALL.map(Self::as_str).join(", "))
        })
    }
}

/// Which light: `name@component` on the wire, as `led@system`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct IndicatorName {
    /// The part of the machine: `chassis`, `system`, `disk`, `power` or `nic`.
    pub component: String,
    /// The light on that part.
    pub name: String,
}

impl fmt::Display for IndicatorName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.name, self.component)
    }
}

impl FromStr for IndicatorName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once('@') {
            Some((name, component)) if !name.is_empty() && !component.is_empty() => {
                Ok(Self { component: component.to_owned(), name: name.to_owned() })
            }
            _ => {
                let shown: String = text.chars().take(64).collect();
                Err(format!("'{shown}' does not name an indicator: expected name@component"))
            }
        }
    }
}

/// A light that a machine has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Indicator {
    /// Which.
    pub name: IndicatorName,
    /// Whether it cannot be set.
    pub readonly: bool,
    /// What it can do.
    pub states: Vec<IndicatorState>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_states() {
        let led: IndicatorName = "led-0@chassis".parse().unwrap();
        assert_eq!((led.name.as_str(), led.component.as_str()), ("led-0", "chassis"));
        assert_eq!(led.to_string(), "led-0@chassis");
        for bad in ["led", "@chassis", "led@", ""] {
            assert!(bad.parse::<IndicatorName>().is_err(), "{bad}");
        }
        assert_eq!("BLINKING".parse(), Ok(IndicatorState::Blinking));
        assert!("dim".parse::<IndicatorState>().is_err());
    }
}
