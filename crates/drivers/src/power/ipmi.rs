//! Power by IPMI.

use std::sync::Arc;
use std::time::Duration;

use bmc::IpmiClient;
use driver::{Answer, DriverError, Power, PowerChange};
use ipmi::command::chassis::ChassisControl;
use model::{Node, PowerState};

use crate::ipmi_access::{IpmiAccess, failed, parse};

/// How long a BMC may take to do what it accepted.
const REACTION_LIMIT: Duration = Duration::from_mins(1);

/// Power by IPMI chassis commands.
#[derive(Debug)]
pub struct IpmiPower {
    access: Arc<IpmiAccess>,
}

impl IpmiPower {
    /// Over the shared access to BMCs.
    pub fn new(access: Arc<IpmiAccess>) -> Self {
        Self { access }
    }
}

fn state_of(state: bmc::PowerState) -> PowerState {
    match state {
        bmc::PowerState::On => PowerState::On,
        bmc::PowerState::Off => PowerState::Off,
    }
}

async fn change(client: &IpmiClient, change: PowerChange) -> Result<PowerState, bmc::Error> {
    let wanted = match change {
        PowerChange::On | PowerChange::Reset => bmc::PowerState::On,
        PowerChange::Off { .. } | PowerChange::SoftOff { .. } => bmc::PowerState::Off,
    };
    let is_there = client.power_state().await? == wanted;
    if is_there && change != PowerChange::Reset {
        return Ok(state_of(wanted));
    }
    let _session = client.hold();
    match change {
        PowerChange::Reset if is_there => client.chassis_control(ChassisControl::HardReset).await?,
        PowerChange::On | PowerChange::Reset => client.chassis_control(ChassisControl::PowerUp).await?,
        PowerChange::SoftOff { limit } => {
            client.chassis_control(ChassisControl::SoftShutdown).await?;
            client.wait_for_power_state(wanted, limit).await?;
        }
        PowerChange::Off { grace } => {
            let by_itself = !grace.is_zero() && client.wait_for_power_state(wanted, grace).await.is_ok();
            if !by_itself {
                client.chassis_control(ChassisControl::PowerDown).await?;
            }
        }
    }
    client.wait_for_power_state(wanted, REACTION_LIMIT).await?;
    Ok(state_of(wanted))
}

impl Power for IpmiPower {
    fn validate(&self, node: &Node) -> Result<(), DriverError> {
        parse(node).map(drop)
    }

    fn state<'a>(&'a self, node: &'a Node) -> Answer<'a, PowerState> {
        Box::pin(async move {
            let state = self.access.client(node)?.power_state().await;
            state.map(state_of).map_err(|error| failed(&error))
        })
    }

    fn change<'a>(&'a self, node: &'a Node, wanted: PowerChange) -> Answer<'a, PowerState> {
        Box::pin(async move {
            let client = self.access.client(node)?;
            change(&client, wanted).await.map_err(|error| failed(&error))
        })
    }
}
