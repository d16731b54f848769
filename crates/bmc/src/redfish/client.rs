//! What can be asked of one machine. Turns, logins and retries are other files'.

use super::error::{Error, Operation};
use super::exchange::{Answer, Request};
use super::options::{Address, Credentials, SystemId};
use super::pool::PoolInner;
use super::turn::{Bmc, Read, Turn};
use crate::client::PowerState as Power;
use crate::patience::{Ended, Look};
use core::time::Duration;
use redfish::{
    Boot, BootChange, BootMode, BootTarget, DocumentError, Meaning, Override, PowerState, ResetType,
    ResourcePath, SecureBoot, ServiceRoot, System, Task, TaskProgress, allowed_resets, if_match,
    secure_boot_change,
};
use serde_json::Value;
use std::sync::Arc;
use tokio::time::sleep;

/// One machine of one BMC. Cloning is cheap; clones and other clients of the same pool and address share the login.
///
/// Every method waits its turn, logs in if need be, and ends within the pool's deadlines. Dropping a future in the middle
/// is allowed; what was asked may have been carried out then.
#[derive(Debug, Clone)]
pub struct RedfishClient {
    pub(super) bmc: Arc<Bmc>,
    pub(super) pool: Arc<PoolInner>,
    pub(super) credentials: Arc<Credentials>,
    pub(super) system: Option<SystemId>,
}

impl RedfishClient {
    /// Where the BMC is.
    pub fn address(&self) -> &Address {
        &self.bmc.address
    }

    /// Whether the machine is powered.
    pub async fn power_state(&self) -> Result<PowerState, Error> {
        self.in_turn(Operation::PowerState, |turn| Box::pin(turn.power_state())).await
    }

    /// Whether the machine is powered, and all else that the same answer tells; with `secure_boot` that is asked for
    /// too, in the same turn, where the machine has it. That it cannot be read is no error.
    pub async fn look(&self, secure_boot: bool) -> Result<(PowerState, System, Option<SecureBoot>), Error> {
        self.in_turn(Operation::PowerState, move |turn| {
            Box::pin(async move {
                let (_, system) = turn.system().await?;
                let power = turn.power_of(&system)?;
                let secure = match system.secure_boot.as_ref().filter(|_| secure_boot) {
                    Some(path) => turn.read(path).await.ok().map(|read| SecureBoot::from_value(&read.value)),
                    None => None,
                };
                Ok((power, system, secure))
            })
        })
        .await
    }

    /// What the service and the machine say of themselves.
    pub async fn facts(&self) -> Result<(ServiceRoot, System), Error> {
        self.in_turn(Operation::Facts, |turn| {
            Box::pin(async move {
                let (_, system) = turn.system().await?;
                Ok((turn.root().await?, system))
            })
        })
        .await
    }

    /// Switches power. Success means that the BMC has begun, or that the machine is in that state already: see
    /// [`RedfishClient::wait_for_power_state`].
    ///
    /// Restarts and interrupts are never sent twice: after [`Error::Broken`] and [`Error::Slow`] it is not known whether
    /// they happened.
    pub async fn reset(&self, kind: ResetType) -> Result<(), Error> {
        self.in_turn(Operation::Reset(kind), move |turn| Box::pin(turn.reset(kind))).await
    }

    /// The boot override; nothing when the BMC has none.
    pub async fn boot(&self) -> Result<Option<Boot>, Error> {
        self.in_turn(Operation::GetBoot, |turn| Box::pin(async move { Ok(turn.system().await?.1.boot) }))
            .await
    }

    /// Sets the boot override, for the next boot or for all, with `mode` where the BMC has one. Returns for which boots it
    /// holds: once, where the BMC refuses what lasts.
    pub async fn set_boot(
        &self,
        target: BootTarget,
        enabled: Override,
        mode: Option<BootMode>,
    ) -> Result<Override, Error> {
        self.in_turn(Operation::SetBoot(target), move |turn| Box::pin(turn.set_boot(target, enabled, mode)))
            .await
    }

    /// Sets the firmware's way of booting; the override stays.
    pub async fn set_boot_mode(&self, mode: BootMode) -> Result<(), Error> {
        self.in_turn(Operation::SetBootMode(mode), move |turn| Box::pin(turn.set_boot_mode(mode))).await
    }

    /// Whether secure boot is on.
    pub async fn secure_boot(&self) -> Result<SecureBoot, Error> {
        self.in_turn(Operation::GetSecureBoot, |turn| {
            Box::pin(async move { Ok(SecureBoot::from_value(&turn.secure_boot().await?.value)) })
        })
        .await
    }

    /// Switches secure boot, for the next boot.
    pub async fn set_secure_boot(&self, on: bool) -> Result<(), Error> {
        self.in_turn(Operation::SetSecureBoot(on), move |turn| {
            Box::pin(async move {
                let resource = turn.secure_boot().await?;
                if SecureBoot::from_value(&resource.value).enabled == Some(on) {
                    return Ok(());
                }
                turn.change(&resource, &[secure_boot_change(on)]).await.map(drop)
            })
        })
        .await
    }

    /// Waits until the power state is `wanted`, for `deadline` at most, looking less often as time passes. Failures to
    /// look that may pass are tolerated until the deadline.
    pub async fn wait_for_power_state(&self, wanted: Power, deadline: Duration) -> Result<(), Error> {
        let patience = &self.pool.options.patience;
        let read = || -> Look<'_, _, _> { Box::pin(self.power_state()) };
        patience.until(deadline, read, |state| is(*state, wanted), Error::retry).await.map_err(|ended| {
            match ended {
                Ended::Failed(error) => error,
                Ended::OutOfTime { last, waited, source } => Error::PowerStateNotReached {
                    address: self.bmc.address.clone(),
                    wanted,
                    last,
                    waited,
                    source,
                },
            }
        })
    }
}

/// Whether a state is the wanted end, not only on the way there.
const fn is(state: PowerState, wanted: Power) -> bool {
    matches!(
        (state, wanted),
        (PowerState::On | PowerState::Paused, Power::On) | (PowerState::Off, Power::Off)
    )
}

/// Where a kind of reset leads, for those that lead to another state.
const fn end_of(kind: ResetType) -> Option<Power> {
    match kind {
        ResetType::On | ResetType::ForceOn => Some(Power::On),
        ResetType::ForceOff | ResetType::GracefulShutdown => Some(Power::Off),
        ResetType::ForceRestart | ResetType::GracefulRestart | ResetType::PowerCycle | ResetType::Nmi => None,
    }
}

impl Turn<'_> {
    async fn power_state(&mut self) -> Result<PowerState, Error> {
        let (_, system) = self.system().await?;
        self.power_of(&system)
    }

    fn power_of(&self, system: &System) -> Result<PowerState, Error> {
        let missing = DocumentError::Missing { resource: "the computer system", member: "PowerState" };
        system.power.ok_or_else(|| self.unusable(missing))
    }

    async fn reset(&mut self, kind: ResetType) -> Result<(), Error> {
        let (_, system) = self.system().await?;
        let Some(mut action) = system.reset else { return Err(self.unsupported("no reset action")) };
        if let (None, Some(info)) = (&action.allowed, action.info.clone()) {
            // Without the list everything is tried.
            action.allowed = self.read(&info).await.ok().and_then(|info| allowed_resets(&info.value));
        }
        let Some(chosen) = action.choose(kind) else {
            return Err(self.unsupported(action.allowed.unwrap_or_default().join(", ")));
        };
        let mut pause = self.options().first_pause;
        let mut left = self.options().attempts.max(1);
        loop {
            left -= 1;
            let request = Request::post(&action.target, chosen.body(), chosen.is_repeatable());
            let Err(error) = self.exchange(request).await else { return Ok(()) };
            let meaning = error.refusal().map(redfish::Fault::meaning);
            let refused = matches!(meaning, Some(Meaning::Conflict | Meaning::Unsupported | Meaning::NotNow));
            let (true, Some(end)) = (refused, end_of(kind)) else {
                return Err(error);
            };
            // Two callers may have asked for the same, or the machine did it by itself: BMCs refuse what is so already.
            if self.power_state().await.is_ok_and(|state| is(state, end)) {
                return Ok(());
            }
            // Some refuse to switch on for a moment after they switched off.
            if meaning != Some(Meaning::Conflict) || left == 0 {
                return Err(error);
            }
            sleep(pause).await;
            pause *= 2;
        }
    }

    /// The resource that boot changes go to, and what it says of the override: the settings where the BMC keeps the
    /// override there, else the system.
    async fn boot_resource(&mut self) -> Result<(Read, Boot, System), Error> {
        let (read, system) = self.system().await?;
        if let Some(path) = &system.settings
            && let Ok(settings) = self.read(path).await
            && let Some(mut boot) = Boot::from_system(&settings.value)
        {
            if let Some(now) = &system.boot {
                boot.allowed_targets = boot.allowed_targets.or_else(|| now.allowed_targets.clone());
                boot.allowed_enabled = boot.allowed_enabled.or_else(|| now.allowed_enabled.clone());
            }
            return Ok((settings, boot, system));
        }
        match system.boot.clone() {
            Some(boot) => Ok((read, boot, system)),
            None => Err(self.unsupported("no boot override")),
        }
    }

    async fn set_boot(
        &mut self,
        target: BootTarget,
        wanted: Override,
        mode: Option<BootMode>,
    ) -> Result<Override, Error> {
        let (resource, boot, system) = self.boot_resource().await?;
        if !boot.allows(target) {
            return Err(self.unsupported(boot.allowed_targets.unwrap_or_default().join(", ")));
        }
        let quirks = self.quirks(&system).await?;
        let lasting = boot.lasting(wanted, quirks);
        let bodies = |enabled| boot.bodies(BootChange { target: Some((target, enabled)), mode }, quirks);
        let mut all = bodies(lasting);
        let lasts = all.len();
        if lasting == Override::Continuous {
            all.extend(bodies(Override::Once));
        }
        let taken = self.change(&resource, &all).await?;
        let held = if taken < lasts { lasting } else { Override::Once };
        if held != wanted {
            tracing::warn!(bmc = %self.address(), %target, "the BMC takes no lasting boot device; it holds for one boot");
        }
        Ok(held)
    }

    async fn set_boot_mode(&mut self, mode: BootMode) -> Result<(), Error> {
        let (resource, boot, system) = self.boot_resource().await?;
        if !boot.has_mode {
            return Err(self.unsupported("no boot mode"));
        }
        if boot.mode == Some(mode) {
            return Ok(());
        }
        let quirks = self.quirks(&system).await?;
        let bodies = boot.bodies(BootChange { target: None, mode: Some(mode) }, quirks);
        self.change(&resource, &bodies).await.map(drop)
    }

    pub(super) async fn secure_boot(&mut self) -> Result<Read, Error> {
        let (_, system) = self.system().await?;
        match &system.secure_boot {
            Some(path) => self.read(path).await,
            None => Err(self.unsupported("no secure boot setting")),
        }
    }

    /// Changes a resource by the first of `bodies` that the BMC takes, under the first condition it takes, and waits for
    /// the task if it makes one. Returns which body it was.
    pub(super) async fn change(&mut self, resource: &Read, bodies: &[Value]) -> Result<usize, Error> {
        let mut last = None;
        for (index, body) in bodies.iter().enumerate() {
            for condition in if_match(resource.etag.as_deref()) {
                let request = Request::patch(&resource.path, body, condition.as_deref());
                let error = match self.exchange(request).await {
                    Ok(answer) => return self.finish(answer).await.map(|()| index),
                    Err(error) => error,
                };
                let meaning = error.refusal().map(redfish::Fault::meaning);
                last = Some(error);
                match meaning {
                    Some(Meaning::Precondition) => {}
                    Some(Meaning::Unsupported) => break,
                    _ => return last.map_or(Ok(index), Err),
                }
            }
        }
        last.map_or(Ok(0), Err)
    }

    /// Waits for the task of an answer 202; the deadline is that of the call.
    pub(super) async fn finish(&mut self, answer: Answer) -> Result<(), Error> {
        if answer.status != 202 {
            return Ok(());
        }
        let mut task = Task::from_value(answer.status, &answer.value);
        let Some(path) = answer.location.or_else(|| task.path.clone()) else { return Ok(()) };
        let mut pause = self.options().patience.poll_first;
        loop {
            match task.progress {
                TaskProgress::Done => return Ok(()),
                TaskProgress::Staged => {
                    tracing::info!(bmc = %self.address(), task = %path, "the change waits for the machine's next boot");
                    return Ok(());
                }
                TaskProgress::Failed => {
                    let (address, operation) = (self.address().clone(), self.operation);
                    return Err(Error::Task { address, operation, source: task.fault });
                }
                TaskProgress::Running => sleep(pause).await,
            }
            pause = self.options().patience.next_pause(pause);
            task = match self.poll(&path).await {
                Ok(task) => task,
                // There are BMCs that forget a task once it ended.
                Err(error) if error.refusal().is_some_and(|fault| fault.meaning() == Meaning::NotFound) => {
                    return Ok(());
                }
                Err(error) => return Err(error),
            };
        }
    }

    pub(super) async fn poll(&mut self, path: &ResourcePath) -> Result<Task, Error> {
        let answer = self.exchange(Request::get(path)).await?;
        Ok(Task::from_value(answer.status, &answer.value))
    }
}
