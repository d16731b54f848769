//! Looks at the power of all machines again and again: what is stored and what is must not drift apart for long.
//!
//! A look is one question to one BMC. Machines whose last look failed have a budget of their own, and a BMC that turns out to
//! be silent is waited for within it: dead BMCs take nothing from the others. No task outlives a sweep, none belongs to a
//! node.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use conductor_api::RequestError;
use db::{DbError, PowerWatch, WatchedPower};
use model::{InterfaceKind, Node, NodeUuid, PowerState, Timestamp};
use provision::{
    Decision, ErrorCode, Health, PowerSyncPolicy, SeenFacts, SeenPower, StepError, recover_power, sync_power,
    take_facts,
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};

use crate::engine::{Engine, TurnError};
use crate::measure;

/// Machines read from the store at a time.
const PAGE: usize = 500;

/// How long one look may take: BMCs have deadlines of their own, other drivers may not.
const LOOK: Duration = Duration::from_mins(1);

/// How long a look may stay among those at sound machines: BMCs answer sooner, login included, most of them by far.
const PROMPT: Duration = Duration::from_secs(3);

/// In one of how many sweeps a machine is asked for what the answer about power does not tell: within an hour, usually.
const THOROUGH: u64 = 30;

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
    /// Whether the health that BMCs tell is kept.
    pub health: bool,
}

impl Default for PowerSync {
    fn default() -> Self {
        Self {
            every: Some(Duration::from_mins(2)),
            recover_every: Some(Duration::from_mins(5)),
            width: 1024,
            policy: PowerSyncPolicy::default(),
            health: true,
        }
    }
}

/// Room for looks, a bounded number at once.
#[derive(Debug, Clone)]
struct Room {
    places: Arc<Semaphore>,
    /// Where looks go on that are not over soon.
    aside: Option<Arc<Semaphore>>,
}

impl Room {
    /// For looks at sound machines, and for those at others.
    fn pair(width: usize) -> (Self, Self) {
        let places = |width: usize| Arc::new(Semaphore::new(width.clamp(1, Semaphore::MAX_PERMITS)));
        let doubtful = Self { places: places(width / SHARE_OF_DOUBTFUL), aside: None };
        (Self { places: places(width), aside: Some(Arc::clone(&doubtful.places)) }, doubtful)
    }

    /// A place, when there is one. It is never refused: nobody closes the room.
    async fn place(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.places).acquire_owned().await.ok()
    }

    /// Runs a look that has a place. One that takes long gives it to the next as soon as there is one aside.
    async fn hold<T>(self, place: Option<OwnedSemaphorePermit>, look: impl Future<Output = T>) -> T {
        let mut look = pin!(look);
        let Some(aside) = self.aside else {
            let ended = look.await;
            drop(place);
            return ended;
        };
        if let Ok(ended) = timeout(PROMPT, &mut look).await {
            return ended;
        }
        let _aside = tokio::select! {
            ended = &mut look => return ended,
            aside = aside.acquire_owned() => aside.ok(),
        };
        drop(place);
        look.await
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
        let room = Room::pair(self.options.power.width);
        let looks = match sweep {
            Sweep::Sync => {
                let sound = self.look_at_all(PowerWatch::Sound, &room.0);
                let doubtful = self.look_at_all(PowerWatch::Doubtful { counted_before }, &room.1);
                let (sound, doubtful) = tokio::join!(sound, doubtful);
                sound.and_then(|sound| Ok(sound + doubtful?))
            }
            Sweep::Recovery => self.look_at_all(PowerWatch::Lost, &room.1).await,
        };
        match looks {
            Ok(looks) => {
                tracing::debug!(sweep = sweep.as_str(), looks, took = ?began.elapsed(), "looked at power");
            }
            Err(error) => tracing::warn!(error = &error as &dyn std::error::Error, "cannot look at power"),
        }
    }

    /// Looks at each machine once, a bounded number at a time; how many those were.
    async fn look_at_all(self: &Arc<Self>, which: PowerWatch, room: &Room) -> Result<usize, DbError> {
        let began = Instant::now();
        let pass = self.pass();
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
                let place = room.place().await;
                while ended(looks.try_join_next().as_ref()) {}
                count += 1;
                let (engine, room) = (Arc::clone(self), room.clone());
                let look = Look { which, failures: row.failures, has_vendor: row.has_vendor, pass };
                looks.spawn(async move {
                    room.hold(place, engine.look(&node, look)).await;
                });
            }
            if is_last {
                break;
            }
        }
        while ended(looks.join_next().await.as_ref()) {}
        measure::swept(name(which), began.elapsed());
        Ok(count)
    }

    /// A number that every sweep has of its own, by the clock: conductors that come and go need not agree on it.
    fn pass(&self) -> u64 {
        let every = self.options.power.every.map_or(1, |every| every.as_micros()).max(1);
        u64::try_from(i128::from(Timestamp::now().as_micros()).unsigned_abs() / every).unwrap_or(0)
    }

    async fn look(self: &Arc<Self>, node: &Node, look: Look) {
        let (seen, facts) = match self.read_power(node, look.is_thorough(node.uuid)).await {
            Ok((state, facts)) => (SeenPower::of(Ok(state)), facts),
            Err(error) => (SeenPower::Unread(error), SeenFacts::default()),
        };
        let looked = match look.which {
            PowerWatch::Lost => self.try_to_recover(node.uuid, &seen).await,
            PowerWatch::Sound | PowerWatch::Doubtful { .. } => self.compare(node, look.failures, &seen).await,
        };
        let looked = match looked {
            Ok(Looked::Agrees) => self.keep_facts(node, look, facts).await,
            other => other,
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

    /// Records what else the machine told, if it is news.
    async fn keep_facts(
        self: &Arc<Self>,
        node: &Node,
        look: Look,
        facts: SeenFacts,
    ) -> Result<Looked, TurnError> {
        let facts = SeenFacts {
            vendor: facts.vendor.filter(|_| !look.has_vendor),
            health: facts.health.filter(|_| self.options.power.health),
            ..facts
        };
        if !facts.are_news(node) {
            return Ok(Looked::Agrees);
        }
        let turn = self
            .turn_on(node.uuid, None, |node, flow, _| take_facts(node, flow, &facts).ok_or_else(overtaken));
        let (standing, effect) = turn.await?;
        if facts.health.is_some_and(|health| health != Health::Ok) {
            tracing::warn!(node = %node.uuid, health = standing.node.health, "the machine is not well");
        }
        self.follow(standing, effect);
        Ok(Looked::Agrees)
    }

    /// Asks the machine.
    async fn read_power(&self, node: &Node, thorough: bool) -> Result<(PowerState, SeenFacts), StepError> {
        let power = self
            .registry
            .power(node)
            .map_err(|error| StepError::new(ErrorCode::DriverInfo, error.to_string()))?;
        if let Ok(answer) = timeout(LOOK, power.look(node, thorough)).await {
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

/// One look, and what is known before it.
#[derive(Debug, Clone, Copy)]
struct Look {
    which: PowerWatch,
    /// Looks that failed in a row.
    failures: i64,
    has_vendor: bool,
    /// The number of the sweep.
    pass: u64,
}

impl Look {
    /// Whether it is this machine's turn to be asked for more: each sweep's share is another.
    fn is_thorough(self, node: NodeUuid) -> bool {
        let (_, low) = node.as_uuid().as_u64_pair();
        low.wrapping_add(self.pass).is_multiple_of(THOROUGH)
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

/// The node with what drivers of power know it by, and what a look may find otherwise.
fn as_seen_by_drivers(row: &WatchedPower) -> Node {
    let mut node = Node::new(row.driver.clone(), Timestamp::from_micros(0));
    node.uuid = row.uuid;
    node.driver_info = row.driver_info.clone();
    node.interfaces.set(InterfaceKind::Power, row.power_interface.clone());
    node.conductor_group.clone_from(&row.conductor_group);
    node.provision_state = row.provision_state;
    node.power_state = row.power_state;
    node.boot_mode = row.boot_mode;
    node.secure_boot = row.secure_boot;
    node.health.clone_from(&row.health);
    node
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::sync::atomic::{AtomicUsize, Ordering};

    /// Runs looks one after the other through `room`, as a sweep does; how many seconds that took.
    async fn swept(room: &Room, looks: impl IntoIterator<Item = Duration>) -> u64 {
        let began = Instant::now();
        let mut under_way = JoinSet::new();
        for long in looks {
            let (place, room) = (room.place().await, room.clone());
            under_way.spawn(room.hold(place, tokio::time::sleep(long)));
        }
        let begun = began.elapsed();
        under_way.join_all().await;
        begun.as_secs()
    }

    const DEAD: Duration = Duration::from_secs(7);
    const ALIVE: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn looks_that_are_over_soon_need_no_other_place() {
        let (sound, doubtful) = Room::pair(8);
        let _taken = [doubtful.place().await, doubtful.place().await];
        assert_eq!(swept(&sound, [ALIVE; 64]).await, 7, "the eighth wave begins after seven");
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_bmc_leaves_its_place_to_the_next() {
        // Eight places, of which dead ones take two until they are known to be slow.
        let mixed = [DEAD, DEAD].into_iter().chain([ALIVE; 64]);
        let (sound, _) = Room::pair(8);
        let with_dead = swept(&sound, mixed).await;
        assert!((8..=9).contains(&with_dead), "{with_dead} s");
    }

    #[tokio::test(start_paused = true)]
    async fn never_are_there_more_looks_than_places() {
        let (sound, doubtful) = Room::pair(8);
        let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let mut under_way = JoinSet::new();
        for _ in 0..100 {
            let (place, room) = (sound.place().await, sound.clone());
            let (now, most) = (Arc::clone(&now), Arc::clone(&most));
            under_way.spawn(room.hold(place, async move {
                most.fetch_max(now.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
                tokio::time::sleep(DEAD).await;
                now.fetch_sub(1, Ordering::Relaxed);
            }));
        }
        under_way.join_all().await;
        assert_eq!(most.load(Ordering::Relaxed), 8 + 8 / SHARE_OF_DOUBTFUL);
        assert_eq!((sound.places.available_permits(), doubtful.places.available_permits()), (8, 2));
    }

    #[tokio::test(start_paused = true)]
    async fn looks_at_doubtful_machines_stay_where_they_are() {
        let (_, doubtful) = Room::pair(8);
        assert_eq!(swept(&doubtful, [DEAD; 4]).await, 7);
    }
}
