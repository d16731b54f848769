//! Power by Redfish.

use std::sync::Arc;
use std::time::Duration;

use bmc::redfish::{Error, RedfishClient};
use driver::{Answer, DriverError, Power, PowerChange};
use model::{Node, PowerState};
use provision::SeenFacts;
use redfish::{PowerState as Seen, ResetType};

use crate::management::redfish::ours;
use crate::redfish_access::{RedfishAccess, failed, parse};

/// How long a machine may take to do what its BMC accepted.
const REACTION_LIMIT: Duration = Duration::from_mins(1);

/// Power by the reset action of Redfish.
#[derive(Debug)]
pub struct RedfishPower {
    access: Arc<RedfishAccess>,
}

impl RedfishPower {
    /// Over the shared access to BMCs.
    pub fn new(access: Arc<RedfishAccess>) -> Self {
        Self { access }
    }
}

fn state_of(state: Seen) -> PowerState {
    if state.is_powered() { PowerState::On } else { PowerState::Off }
}

/// The state now; a machine on its way to another is waited for, since what it is now it will not stay.
async fn settled(client: &RedfishClient) -> Result<PowerState, Error> {
    let end = match client.power_state().await? {
        Seen::PoweringOn => bmc::PowerState::On,
        Seen::PoweringOff => bmc::PowerState::Off,
        state => return Ok(state_of(state)),
    };
    match client.wait_for_power_state(end, REACTION_LIMIT).await {
        // Stuck on its way: what is asked for now may move it.
        Ok(()) | Err(Error::PowerStateNotReached { source: None, .. }) => {
            client.power_state().await.map(state_of)
        }
        Err(error) => Err(error),
    }
}

async fn change(client: &RedfishClient, change: PowerChange) -> Result<PowerState, Error> {
    let (wanted, end) = match change {
        PowerChange::On | PowerChange::Reset => (PowerState::On, bmc::PowerState::On),
        PowerChange::Off { .. } | PowerChange::SoftOff { .. } => (PowerState::Off, bmc::PowerState::Off),
    };
    let is_there = settled(client).await? == wanted;
    if is_there && change != PowerChange::Reset {
        return Ok(wanted);
    }
    match change {
        PowerChange::Reset if is_there => client.reset(ResetType::ForceRestart).await?,
        PowerChange::On | PowerChange::Reset => client.reset(ResetType::On).await?,
        PowerChange::SoftOff { limit } => {
            client.reset(ResetType::GracefulShutdown).await?;
            client.wait_for_power_state(end, limit).await?;
        }
        PowerChange::Off { grace } => {
            let by_itself = !grace.is_zero() && client.wait_for_power_state(end, grace).await.is_ok();
            if !by_itself {
                client.reset(ResetType::ForceOff).await?;
            }
        }
    }
    client.wait_for_power_state(end, REACTION_LIMIT).await?;
    Ok(wanted)
}

impl Power for RedfishPower {
    fn validate(&self, node: &Node) -> Result<(), DriverError> {
        parse(node).map(drop)
    }

    fn state<'a>(&'a self, node: &'a Node) -> Answer<'a, PowerState> {
        Box::pin(async move {
            let state = self.access.client(node)?.power_state().await;
            state.map(state_of).map_err(|error| failed(&error))
        })
    }

    fn look<'a>(&'a self, node: &'a Node, thorough: bool) -> Answer<'a, (PowerState, SeenFacts)> {
        Box::pin(async move {
            let looked = self.access.client(node)?.look(thorough).await;
            let (power, system, secure_boot) = looked.map_err(|error| failed(&error))?;
            let facts = SeenFacts {
                vendor: system.manufacturer,
                boot_mode: system.boot.and_then(|boot| boot.mode).map(ours),
                secure_boot: secure_boot.and_then(|secure| secure.enabled),
                health: system.own_health.and_then(|word| word.parse().ok()),
            };
            Ok((state_of(power), facts))
        })
    }

    fn change<'a>(&'a self, node: &'a Node, wanted: PowerChange) -> Answer<'a, PowerState> {
        Box::pin(async move {
            let client = self.access.client(node)?;
            change(&client, wanted).await.map_err(|error| failed(&error))
        })
    }
}
