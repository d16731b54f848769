//! The keys of `[conductor]` that say how the power of machines is watched.

use std::time::Duration;

use super::Conductor;

/// A day: nobody who watches at all wants to watch less often.
const LONGEST: u64 = 86_400;

impl Conductor {
    /// What is wrong with the keys, if something is.
    pub(super) fn check_power(&self) -> Result<(), &'static str> {
        if self.sync_power_state_interval > LONGEST || self.power_failure_recovery_interval > LONGEST {
            return Err(
                "[conductor] sync_power_state_interval and power_failure_recovery_interval are 0 to 86400 seconds.",
            );
        }
        if !(1..=4096).contains(&self.sync_power_state_workers) {
            return Err("[conductor] sync_power_state_workers is 1 to 4096.");
        }
        Ok(())
    }

    /// When and how the power of machines is watched.
    pub fn power_sync(&self) -> conductor::PowerSync {
        let every = |seconds: u64| (seconds > 0).then(|| Duration::from_secs(seconds));
        conductor::PowerSync {
            every: every(self.sync_power_state_interval),
            recover_every: every(self.power_failure_recovery_interval),
            width: self.sync_power_state_workers,
            policy: provision::PowerSyncPolicy {
                force: self.force_power_state_during_sync,
                max_retries: self.power_state_sync_max_retries,
            },
            health: self.enable_health_monitoring,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_those_of_the_conductor_and_zero_never_looks() {
        let (ours, theirs) = (Conductor::default().power_sync(), conductor::PowerSync::default());
        assert_eq!((ours.every, ours.recover_every), (theirs.every, theirs.recover_every));
        assert_eq!((ours.width, ours.policy, ours.health), (theirs.width, theirs.policy, theirs.health));
        let never = Conductor { sync_power_state_interval: 0, ..Conductor::default() };
        assert_eq!(never.power_sync().every, None);
        assert!(never.check_power().is_ok());
        assert!(Conductor { sync_power_state_workers: 0, ..never }.check_power().is_err());
    }
}
