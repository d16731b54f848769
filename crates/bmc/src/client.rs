//! What can be asked of one BMC. Sessions, queueing and retries are `session.rs`'s.

mod session;

pub(crate) use session::{Bmc, Swept};

use crate::error::{Error, Operation};
use crate::options::{Credentials, Target};
use crate::patience::{Ended, Look};
use crate::pool::PoolInner;
use core::fmt;
use core::time::Duration;
use ipmi::command::app::{ColdReset, DeviceId, GetDeviceId, GetSystemGuid};
use ipmi::command::boot::{
    BootDevice, BootFlags, BootParameter, GetBootOptions, SET_IN_PROGRESS, SetBootOptions, SetState,
};
use ipmi::command::chassis::{ChassisControl, ChassisIdentify, ChassisStatus, GetChassisStatus};
use ipmi::command::{Command, Guid, RawRequest, RawResponse};
use ipmi::{CommandError, CompletionCode};
use std::sync::Arc;

/// Boot option 3, bit 3: do not clear the "valid" bit when no power command comes within 60 s.
const KEEP_WITHOUT_POWER_COMMAND: u8 = 0x08;
/// Boot option 4, bit 0: the firmware is to take note of the new boot information.
const FIRMWARE_ACKNOWLEDGE: u8 = 0x01;

/// Whether a machine is powered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PowerState {
    /// Powered.
    On,
    /// Not powered.
    Off,
}

impl fmt::Display for PowerState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::On => "on",
            Self::Off => "off",
        })
    }
}

/// The boot override as a BMC tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BootSetting {
    /// Whether the firmware will heed it. Cleared when a one-time override is used up; but there are BMCs that never set
    /// it in their answer.
    pub valid: bool,
    /// The device; may be a left-over when not `valid`.
    pub device: BootDevice,
    /// For every boot, not the next only.
    pub persistent: bool,
    /// UEFI rather than legacy BIOS.
    pub uefi: bool,
}

/// One BMC. Cloning is cheap; clones and other clients of the same pool and address share the session.
///
/// Every method waits its turn, opens a session if there is none, and ends within the pool's deadlines. Dropping a future
/// in the middle is allowed; the command may have been carried out then.
#[derive(Debug, Clone)]
pub struct IpmiClient {
    pub(crate) bmc: Arc<Bmc>,
    pub(crate) pool: Arc<PoolInner>,
    pub(crate) credentials: Arc<Credentials>,
}

/// While one of these lives, the pool keeps an open session to the BMC alive.
#[derive(Debug)]
pub struct SessionHold(Arc<Bmc>);

impl Drop for SessionHold {
    fn drop(&mut self) {
        self.0.release();
    }
}

impl IpmiClient {
    /// Where the BMC is.
    pub fn target(&self) -> &Target {
        self.bmc.target()
    }

    /// Asks the pool to keep the session while the returned value lives: for work that comes back every few moments.
    #[must_use = "the session is held only while this value lives"]
    pub fn hold(&self) -> SessionHold {
        self.bmc.hold();
        SessionHold(Arc::clone(&self.bmc))
    }

    /// Whether the machine is powered.
    pub async fn power_state(&self) -> Result<PowerState, Error> {
        let status = self.chassis_status().await?;
        Ok(if status.power_on { PowerState::On } else { PowerState::Off })
    }

    /// Everything that the BMC says about the chassis.
    pub async fn chassis_status(&self) -> Result<ChassisStatus, Error> {
        self.ask(Operation::PowerState, &GetChassisStatus).await
    }

    /// Switches power. Success means that the BMC has begun: see [`IpmiClient::wait_for_power_state`].
    ///
    /// Cycle, reset and interrupt are never sent a second time in another session: after [`Error::NoAnswer`] it is not known
    /// whether they happened.
    pub async fn chassis_control(&self, control: ChassisControl) -> Result<(), Error> {
        let operation = Operation::Control(control);
        self.ask_as(operation, &control, control.is_repeatable()).await
    }

    /// The boot override.
    pub async fn get_boot_device(&self) -> Result<BootSetting, Error> {
        let operation = Operation::GetBootDevice;
        let option = self.ask(operation, &GetBootOptions::new(BootParameter::FLAGS)).await?;
        let BootParameter::Flags(flags) = option.parameter else {
            return Err(Error::WrongParameter { target: self.target().clone(), operation });
        };
        let BootFlags { valid, device, persistent, uefi, .. } = flags;
        Ok(BootSetting { valid, device, persistent, uefi })
    }

    /// Sets the boot override, for the next boot or (`persistent`) for all.
    ///
    /// The steps around the flags themselves (announce, do not forget after 60 s, have the firmware take note, complete)
    /// are tried and their refusal is ignored: many BMCs have only some of them.
    pub async fn set_boot_device(
        &self,
        device: BootDevice,
        persistent: bool,
        uefi: bool,
    ) -> Result<(), Error> {
        let operation = Operation::SetBootDevice(device);
        let announce = BootParameter::SetState(SetState::InProgress);
        let complete = BootParameter::SetState(SetState::Complete);
        if self.set_option(operation, announce.clone()).await? == Err(CompletionCode::Other(SET_IN_PROGRESS))
        {
            // Someone did not finish. Nobody else is expected to change boot options, so take over.
            let _refused = self.set_option(operation, complete.clone()).await?;
            let _refused = self.set_option(operation, announce).await?;
        }
        if self.pool.options.keep_boot_override {
            let keep = BootParameter::ValidBitClearing(KEEP_WITHOUT_POWER_COMMAND);
            let _refused = self.set_option(operation, keep).await?;
        }
        let acknowledge =
            BootParameter::InfoAcknowledge { mask: FIRMWARE_ACKNOWLEDGE, data: FIRMWARE_ACKNOWLEDGE };
        let _refused = self.set_option(operation, acknowledge).await?;
        let flags = BootParameter::Flags(BootFlags::new(device, persistent, uefi));
        let outcome = self.set_option(operation, flags).await?;
        let _refused = self.set_option(operation, complete).await?;
        outcome.map_err(|code| Error::Command {
            target: self.target().clone(),
            operation,
            source: CommandError::Completion { command: SetBootOptions::NAME, code },
        })
    }

    /// Sets one boot option; a refusal by the BMC is a value.
    async fn set_option(
        &self,
        operation: Operation,
        parameter: BootParameter,
    ) -> Result<Result<(), CompletionCode>, Error> {
        match self.ask(operation, &SetBootOptions::new(parameter)).await {
            Ok(()) => Ok(Ok(())),
            Err(error) => error.completion().map(Err).ok_or(error),
        }
    }

    /// The BMC's identity.
    pub async fn device_id(&self) -> Result<DeviceId, Error> {
        self.ask(Operation::DeviceId, &GetDeviceId).await
    }

    /// The machine's GUID.
    pub async fn guid(&self) -> Result<Guid, Error> {
        self.ask(Operation::Guid, &GetSystemGuid).await
    }

    /// The identify light: on for some seconds, until further notice (`forever`), or off (0 seconds).
    pub async fn identify(&self, identify: ChassisIdentify) -> Result<(), Error> {
        self.ask(Operation::Identify, &identify).await
    }

    /// Restarts the BMC; it will not answer for a while. Sessions are lost.
    pub async fn cold_reset(&self) -> Result<(), Error> {
        let outcome = self.ask_as(Operation::ResetBmc, &ColdReset, false).await;
        self.bmc.drop_session().await;
        outcome
    }

    /// Any command. An error completion code is part of the answer. Never sent again in another session.
    pub async fn raw(&self, request: RawRequest) -> Result<RawResponse, Error> {
        let operation = Operation::Raw { net_fn: request.net_fn.value(), command: request.command };
        self.execute(operation, request, false).await
    }

    /// Waits until the power state is `wanted`, for `deadline` at most. BMCs have no events, so this looks again and again,
    /// less often as time passes. Failures to look that may pass are tolerated until the deadline.
    pub async fn wait_for_power_state(&self, wanted: PowerState, deadline: Duration) -> Result<(), Error> {
        let _held = self.hold();
        let patience = &self.pool.options.patience;
        let read = || -> Look<'_, _, _> { Box::pin(self.power_state()) };
        patience.until(deadline, read, |state| *state == wanted, Error::retry).await.map_err(|ended| {
            match ended {
                Ended::Failed(error) => error,
                Ended::OutOfTime { last, waited, source } => Error::PowerStateNotReached {
                    target: self.target().clone(),
                    wanted,
                    last,
                    waited,
                    source,
                },
            }
        })
    }

    async fn ask<K: Command>(&self, operation: Operation, command: &K) -> Result<K::Response, Error> {
        self.ask_as(operation, command, K::REPEATABLE).await
    }

    async fn ask_as<K: Command>(
        &self,
        operation: Operation,
        command: &K,
        repeatable: bool,
    ) -> Result<K::Response, Error> {
        let response = self.execute(operation, command.to_raw(), repeatable).await?;
        K::from_raw(&response).map_err(|source| Error::Command {
            target: self.target().clone(),
            operation,
            source,
        })
    }
}
