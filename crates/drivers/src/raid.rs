//! Implementations of the RAID interface: those where the driver itself does nothing but judge what is wanted.

use driver::Raid;

/// RAID of machines that are not there.
#[derive(Debug)]
pub struct FakeRaid;

impl Raid for FakeRaid {}

/// RAID by the agent, which offers the steps itself once it runs.
#[derive(Debug)]
pub struct AgentRaid;

impl Raid for AgentRaid {}
