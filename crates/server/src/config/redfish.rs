//! The section `[redfish]`: how BMCs with Redfish are dealt with.

use std::time::Duration;

use serde::Deserialize;

/// How BMCs with Redfish are dealt with.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Redfish {
    /// Look at the BMC's clock, and set it if it is wrong, before a node is managed.
    pub enable_verify_bmc_clock: bool,
    /// Seconds between two looks at an update of firmware.
    pub firmware_update_status_interval: u64,
    /// Seconds after which an update of one firmware is given up.
    pub firmware_update_overall_timeout: u64,
}

impl Default for Redfish {
    fn default() -> Self {
        Self {
            enable_verify_bmc_clock: false,
            firmware_update_status_interval: 60,
            firmware_update_overall_timeout: 7200,
        }
    }
}

impl Redfish {
    /// What is wrong with the keys, if something is.
    pub(super) fn check(&self) -> Result<(), &'static str> {
        let (every, limit) = (self.firmware_update_status_interval, self.firmware_update_overall_timeout);
        if every == 0 || limit < every || limit > 86_400 {
            return Err(
                "[redfish] firmware_update_status_interval is at least 1 second, firmware_update_overall_timeout at least as long and at most 86400 seconds.",
            );
        }
        Ok(())
    }

    /// The settings of the drivers.
    pub fn options(&self) -> drivers::RedfishOptions {
        drivers::RedfishOptions {
            enable_verify_bmc_clock: self.enable_verify_bmc_clock,
            firmware_update_status_interval: Duration::from_secs(self.firmware_update_status_interval),
            firmware_update_overall_timeout: Duration::from_secs(self.firmware_update_overall_timeout),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_those_of_the_drivers() {
        assert_eq!(Redfish::default().options(), drivers::RedfishOptions::default());
        assert!(Redfish::default().check().is_ok());
        assert!(Redfish { firmware_update_status_interval: 0, ..Redfish::default() }.check().is_err());
        assert!(Redfish { firmware_update_overall_timeout: 5, ..Redfish::default() }.check().is_err());
    }
}
