//! Looks at the power of all machines again and again: what is stored and what is must not drift apart for long.
//!
//! A look is one question to one BMC. Machines whose last look failed have a budget of their own: waiting for dead BMCs
//! takes nothing from the others. No task outlives a sweep, none belongs to a node.

use std::sync::Arc;
use std::time::Duration;

use conductor_api::RequestError;
use db::{DbError, PowerWatch, WatchedPower};
use model::{InterfaceKind, Node, NodeUuid, PowerState, Timestamp};
use provision::{Decision, ErrorCode, PowerSyncPolicy, SeenPower, StepError, recover_power, sync_power};
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};

use crate::engine::{Engine, TurnError};
use crate::measure;

/// Machines read from the store at a time.
const PAGE: usize = 500;

/// How long one look may take: BMCs have deadlines of their own, other drivers may not.
const LOOK: Duration = Duration::from_mins(1);

/// Of how many looks at once one may be at a machine whose last look failed.
const SHARE_OF_DOUBTFUL: usize = 4;

/// When and how power is compared.
#[derive(Debug, Clone)]
pub struct PowerSync {
    /// How often all machines are looked at; `None` never.
    pub every: Option<Duration>,
    /// How often machines are looked at that could not be read and are in maintenance for it; `None` never.
    pub recover_every: Option<Duration>,
    /// How many machines are looked at at once.
    pub width: usize,
    /// What is done about a difference.
    pub policy: PowerSyncPolicy,
}

impl Default for PowerSync {
    fn default() -> Self {
        Self {
            every: Some(Duration::from_mins(2)),
            recover_every: Some(Duration::from_mins(5)),
            width: 1024,
            policy: PowerSyncPolicy::default(),
        }
    }
}

impl PowerSync {
    fn width(&self, which: PowerWatch) -> usize {
        match which {
            PowerWatch::Sound => self.width.max(1),
            PowerWatch::Doubtful { .. } | PowerWatch::Lost => (self.width / SHARE_OF_DOUBTFUL).max(1),
        }
    }
}

/// How a look ended, as it is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Looked {
    Agrees,
    /// Something was recorded: the machine is switched, what is stored follows it, or the node goes into maintenance or
    /// leaves it.
    Changed,
    Unread,
    /// Somebody else has changed the node meanwhile, or it is gone.
    Overtaken,
    /// The store failed, or a driver broke.
    Broken,
}

impl Looked {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Agrees => "agrees",
            Self::Changed => "changed",
            Self::Unread => "unread",
            Self::Overtaken => "overtaken",
            Self::Broken => "broken",
        }
    }
}

/// What is done at regular times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sweep {
    /// Compare the power of all machines with what is stored.
    Sync,
    /// See whether machines that could not be read can be read now.
    Recovery,
}

impl Sweep {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Sync => "sync",
            Self::Recovery => "recovery",
        }
    }
}

impl Engine {
    /// Sweeps at regular times until the service stops; a sweep that takes longer puts off the next.
    pub(crate) async fn keep_power(self: Arc<Self>, sweep: Sweep) {
        let every = match sweep {
            Sweep::Sync => self.options.power.every,
            Sweep::Recovery => self.options.power.recover_every,
        };
        let Some(every) = every else { return };
        let mut ticks = interval_at(Instant::now() + every, every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let sweeps = async {
            loop {
                ticks.tick().await;
                self.sweep(sweep).await;
            }
        };
        // Looks under way end with the sweep; what they were about to record is seen again by the next.
        self.stop.run_until_cancelled(sweeps).await;
    }

    async fn sweep(self: &Arc<Self>, sweep: Sweep) {
        let (began, counted_before) = (Instant::now(), Timestamp::now());
        let looks = match sweep {
            Sweep::Sync => {
                let sound = self.look_at_all(PowerWatch::Sound);
                let doubtful = self.look_at_all(PowerWatch::Doubtful { counted_before });
                let (sound, doubtful) = tokio::join!(sound, doubtful);
                sound.and_then(|sound| Ok(sound + doubtful?))
            }
            Sweep::Recovery => self.look_at_all(PowerWatch::Lost).await,
        };
        match looks {
            Ok(looks) => {
                tracing::debug!(sweep = sweep.as_str(), looks, took = ?began.elapsed(), "looked at power");
            }
            Err(error) => tracing::warn!(error = &error as &dyn std::error::Error, "cannot look at power"),
        }
    }

    /// Looks at each machine once, a bounded number at a time; how many those were.
    async fn look_at_all(self: &Arc<Self>, which: PowerWatch) -> Result<usize, DbError> {
        let began = Instant::now();
        let width = self.options.power.width(which);
        let (mut after, mut count) = (0, 0);
        let mut looks = JoinSet::new();
        loop {
            let rows = self.db.watched_power(which, after, PAGE).await?;
            let is_last = rows.len() < PAGE;
            after = rows.last().map_or(after, |row| row.id);
            for row in rows {
                let node = as_seen_by_drivers(&row);
                if !self.is_in_charge(&node) {
                    continue;
                }
                while looks.len() >= width {
                    ended(looks.join_next().await.as_ref());
                }
                count += 1;
                let engine = Arc::clone(self);
                looks.spawn(async move { engine.look(which, &node, row.failures).await });
            }
            if is_last {
                break;
            }
        }
        while ended(looks.join_next().await.as_ref()) {}
        measure::swept(name(which), began.elapsed());
        Ok(count)
    }

    async fn look(self: &Arc<Self>, which: PowerWatch, node: &Node, failures: i64) {
        let seen = SeenPower::of(self.read_power(node).await);
        let looked = match which {
            PowerWatch::Lost => self.try_to_recover(node.uuid, &seen).await,
            PowerWatch::Sound | PowerWatch::Doubtful { .. } => self.compare(node, failures, &seen).await,
        };
        let ended = looked.unwrap_or_else(|error| match error {
            TurnError::Gone(_) | TurnError::Refused(_) | TurnError::Fenced => Looked::Overtaken,
            TurnError::Store(_) | TurnError::Record(_) => {
                tracing::warn!(node = %node.uuid, error = &error as &dyn std::error::Error, "cannot record power");
                Looked::Broken
            }
        });
        measure::looked(ended.as_str());
    }

    /// Asks the machine.
    async fn read_power(&self, node: &Node) -> Result<PowerState, StepError> {
        let power = self
            .registry
            .power(node)
            .map_err(|error| StepError::new(ErrorCode::DriverInfo, error.to_string()))?;
        if let Ok(answer) = timeout(LOOK, power.state(node)).await {
            return answer.map_err(driver::DriverError::into_step_error);
        }
        let text = format!("the machine did not tell its power state within {} s.", LOOK.as_secs());
        Err(StepError::new(ErrorCode::StepTimeout, text))
    }

    async fn compare(
        self: &Arc<Self>,
        node: &Node,
        failures: i64,
        seen: &SeenPower,
    ) -> Result<Looked, TurnError> {
        if seen.agrees(node.power_state) {
            if failures > 0 {
                self.db.clear_power_failures(node.uuid).await?;
            }
            return Ok(Looked::Agrees);
        }
        let policy = self.options.power.policy;
        let is_first = node.power_state.is_none() && matches!(seen, SeenPower::State(_));
        let count = if is_first { 0 } else { self.db.count_power_failure(node.uuid).await? };
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        if let SeenPower::Unread(error) = seen {
            tracing::warn!(node = %node.uuid, %error, count, most = policy.max_retries, "power not read");
            if count <= policy.max_retries {
                return Ok(Looked::Unread);
            }
        }
        let node = self
            .record_power(node.uuid, |node, flow, world| {
                sync_power(node, flow, seen, count, policy, world).map_err(|_| overtaken())
            })
            .await?;
        if is_first || node.maintenance {
            // From here on it is counted anew.
            self.db.clear_power_failures(node.uuid).await?;
        }
        Ok(if matches!(seen, SeenPower::Unread(_)) { Looked::Unread } else { Looked::Changed })
    }

    async fn try_to_recover(self: &Arc<Self>, uuid: NodeUuid, seen: &SeenPower) -> Result<Looked, TurnError> {
        let SeenPower::State(state) = seen else { return Ok(Looked::Unread) };
        self.record_power(uuid, |node, flow, _| Ok(recover_power(node, flow, *state))).await?;
        Ok(Looked::Changed)
    }

    /// Records what a look leads to, and goes on with it when the machine is to be switched.
    async fn record_power<F>(self: &Arc<Self>, uuid: NodeUuid, decide: F) -> Result<Node, TurnError>
    where
        F: Fn(
            Node,
            Option<provision::FlowRecord>,
            provision::World<'_>,
        ) -> Result<Option<Decision>, RequestError>,
    {
        let turn =
            self.turn_on(uuid, None, |node, flow, world| decide(node, flow, world)?.ok_or_else(overtaken));
        let (standing, effect) = turn.await?;
        let node = standing.node.clone();
        tracing::warn!(
            node = %uuid,
            power = node.power_state.map(PowerState::as_str),
            maintenance = node.maintenance,
            switched = effect.is_some(),
            "power was not as it was stored"
        );
        self.follow(standing, effect);
        Ok(node)
    }
}

/// What the machines are called that are looked at.
const fn name(which: PowerWatch) -> &'static str {
    match which {
        PowerWatch::Sound => "sound",
        PowerWatch::Doubtful { .. } => "doubtful",
        PowerWatch::Lost => "lost",
    }
}

/// Takes note of a look that broke; whether there was one at all.
fn ended(look: Option<&Result<(), JoinError>>) -> bool {
    if let Some(Err(error)) = look {
        tracing::error!(%error, "a look at a machine's power broke");
        measure::looked(Looked::Broken.as_str());
    }
    look.is_some()
}

/// The node is not as it was when the look began. Nobody sees this: nothing is done, and the next look will.
fn overtaken() -> RequestError {
    RequestError::Conflict("the node was changed while its power was looked at".to_owned())
}

/// The node with what drivers of power know it by, and nothing else.
fn as_seen_by_drivers(row: &WatchedPower) -> Node {
    let mut node = Node::new(row.driver.clone(), Timestamp::from_micros(0));
    node.uuid = row.uuid;
    node.driver_info = row.driver_info.clone();
    node.interfaces.set(InterfaceKind::Power, row.power_interface.clone());
    node.conductor_group.clone_from(&row.conductor_group);
    node.provision_state = row.provision_state;
    node.power_state = row.power_state;
    node
}
