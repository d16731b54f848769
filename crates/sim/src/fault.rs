//! What can go wrong with a machine, and which machines it goes wrong with. A fault holds until it is cleared.

use std::fmt;
use std::time::Duration;

use rand::RngExt as _;
use rand::rngs::SmallRng;

use crate::error::SimError;

/// Something wrong with one machine.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Fault {
    /// The BMC answers nothing.
    DeadBmc,
    /// The BMC takes so long over every datagram, one after the other.
    SlowBmc(Duration),
    /// The BMC knows another password than the one listed.
    WrongPassword,
    /// The BMC accepts power commands and nothing happens.
    BmcPowerStuck,
    /// The ramdisk boots and its agent never calls.
    AgentNeverCalls,
    /// The agent dies half-way through writing an image; the disk is left broken.
    AgentDiesMidWrite,
    /// The image that arrives has another digest than declared.
    ChecksumMismatch,
    /// No disk is large enough for the image.
    DiskTooSmall,
    /// Each heartbeat is lost with this probability.
    HeartbeatLost(f64),
}

/// A [`Fault`] without its numbers: a machine has at most one of each kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FaultKind {
    /// [`Fault::DeadBmc`]
    DeadBmc,
    /// [`Fault::SlowBmc`]
    SlowBmc,
    /// [`Fault::WrongPassword`]
    WrongPassword,
    /// [`Fault::BmcPowerStuck`]
    BmcPowerStuck,
    /// [`Fault::AgentNeverCalls`]
    AgentNeverCalls,
    /// [`Fault::AgentDiesMidWrite`]
    AgentDiesMidWrite,
    /// [`Fault::ChecksumMismatch`]
    ChecksumMismatch,
    /// [`Fault::DiskTooSmall`]
    DiskTooSmall,
    /// [`Fault::HeartbeatLost`]
    HeartbeatLost,
}

impl FaultKind {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::DeadBmc,
        Self::SlowBmc,
        Self::WrongPassword,
        Self::BmcPowerStuck,
        Self::AgentNeverCalls,
        Self::AgentDiesMidWrite,
        Self::ChecksumMismatch,
        Self::DiskTooSmall,
        Self::HeartbeatLost,
    ];

    /// The name on the command line and in listings.
    pub fn name(self) -> &'static str {
        match self {
            Self::DeadBmc => "dead-bmc",
            Self::SlowBmc => "slow-bmc",
            Self::WrongPassword => "wrong-password",
            Self::BmcPowerStuck => "power-stuck",
            Self::AgentNeverCalls => "agent-silent",
            Self::AgentDiesMidWrite => "agent-dies",
            Self::ChecksumMismatch => "checksum-mismatch",
            Self::DiskTooSmall => "disk-too-small",
            Self::HeartbeatLost => "heartbeat-lost",
        }
    }

    /// A fault of this kind with usual numbers: two seconds, half of the heartbeats.
    pub fn usual(self) -> Fault {
        match self {
            Self::DeadBmc => Fault::DeadBmc,
            Self::SlowBmc => Fault::SlowBmc(Duration::from_secs(2)),
            Self::WrongPassword => Fault::WrongPassword,
            Self::BmcPowerStuck => Fault::BmcPowerStuck,
            Self::AgentNeverCalls => Fault::AgentNeverCalls,
            Self::AgentDiesMidWrite => Fault::AgentDiesMidWrite,
            Self::ChecksumMismatch => Fault::ChecksumMismatch,
            Self::DiskTooSmall => Fault::DiskTooSmall,
            Self::HeartbeatLost => Fault::HeartbeatLost(0.5),
        }
    }
}

impl Fault {
    /// Its kind.
    pub fn kind(self) -> FaultKind {
        match self {
            Self::DeadBmc => FaultKind::DeadBmc,
            Self::SlowBmc(_) => FaultKind::SlowBmc,
            Self::WrongPassword => FaultKind::WrongPassword,
            Self::BmcPowerStuck => FaultKind::BmcPowerStuck,
            Self::AgentNeverCalls => FaultKind::AgentNeverCalls,
            Self::AgentDiesMidWrite => FaultKind::AgentDiesMidWrite,
            Self::ChecksumMismatch => FaultKind::ChecksumMismatch,
            Self::DiskTooSmall => FaultKind::DiskTooSmall,
            Self::HeartbeatLost(_) => FaultKind::HeartbeatLost,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind().name())
    }
}

/// Which share of the machines has which fault. A machine may have several.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct FaultPlan {
    shares: Vec<(Fault, f64)>,
}

impl FaultPlan {
    /// Adds a fault that each machine has with probability `share` (0 to 1).
    #[must_use]
    pub fn with(mut self, fault: Fault, share: f64) -> Self {
        self.shares.push((fault, share.clamp(0.0, 1.0)));
        self
    }

    /// From `KIND=SHARE` texts, as on the command line.
    ///
    /// # Errors
    /// [`SimError::FaultSyntax`].
    pub fn parse(texts: &[String]) -> Result<Self, SimError> {
        let parse = |text: &String| -> Option<(Fault, f64)> {
            let (name, share) = text.split_once('=')?;
            let kind = FaultKind::ALL.into_iter().find(|kind| kind.name() == name)?;
            let share = share.parse().ok().filter(|share| (0.0..=1.0).contains(share))?;
            Some((kind.usual(), share))
        };
        let shares = texts.iter().map(|text| {
            parse(text).ok_or_else(|| SimError::FaultSyntax {
                given: text.clone(),
                known: FaultKind::ALL.map(FaultKind::name).join(", "),
            })
        });
        Ok(Self { shares: shares.collect::<Result<_, _>>()? })
    }

    /// The faults of one machine, drawn from its own stream.
    pub(crate) fn draw(&self, random: &mut SmallRng) -> Vec<Fault> {
        self.shares.iter().filter(|(_, share)| random.random_bool(*share)).map(|(fault, _)| *fault).collect()
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;

    use super::*;

    #[test]
    fn shares_are_kept_and_the_seed_decides() {
        let plan = FaultPlan::default().with(Fault::DeadBmc, 0.25).with(Fault::DiskTooSmall, 0.0);
        let draw = |seed: u64| -> Vec<Vec<Fault>> {
            (0..1000_u64)
                .map(|index| plan.draw(&mut SmallRng::seed_from_u64(seed * 10_000 + index)))
                .collect()
        };
        let first = draw(1);
        assert_eq!(first, draw(1));
        assert_ne!(first, draw(2));
        let dead = first.iter().filter(|faults| faults.contains(&Fault::DeadBmc)).count();
        assert!((180..320).contains(&dead), "{dead}");
        assert!(first.iter().flatten().all(|fault| *fault == Fault::DeadBmc));
    }

    #[test]
    fn texts_name_kinds_and_shares() {
        let plan = FaultPlan::parse(&["slow-bmc=0.5".to_owned(), "heartbeat-lost=1".to_owned()]).unwrap();
        assert_eq!(plan.shares.len(), 2);
        for bad in ["slow-bmc", "slow-bmc=2", "slow-bmc=x", "nonsense=0.1", "=1"] {
            assert!(FaultPlan::parse(&[bad.to_owned()]).is_err(), "{bad}");
        }
        for kind in FaultKind::ALL {
            assert_eq!(kind.usual().kind(), kind);
        }
    }
}
