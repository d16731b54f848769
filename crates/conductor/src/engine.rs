//! The shell around the core: load, decide, store, carry out, and again with the outcome.

use std::collections::HashSet;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use cluster::Members;
use conductor_api::RequestError;
use db::{Admission, Commit, Db, DbError, FlowRow, HistoryEntry, JournalWrite, console_event};
use driver::Registry;
use model::{FlowId, HistoryUuid, Node, NodeUuid, Timestamp};
use provision::{
    Decision, Effect, Entry, ErrorCode, FlowRecord, Input, OfferedStep, Outcome, PlannedStep, Plans,
    StepError, StepList, Wish, World, feed, hold_on, take_up,
};
use tokio::sync::{Semaphore, SemaphorePermit, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument;

use crate::Options;
use crate::agent::ProgressBoard;
use crate::alarm::Alarm;
use crate::allocation::Allocating;
use crate::gate::Gates;
use crate::measure;
use crate::standing::{self, Standing, StoredFlow};
use crate::tenure::Tenure;

/// How often a decision is made anew because somebody else wrote the node in between.
const MAX_CONFLICTS: usize = 16;

/// How much may go on that nobody waits for.
const MAX_BACKGROUND: usize = 64;

/// What the parts of a conductor share.
#[derive(Debug)]
pub(crate) struct Engine {
    pub(crate) db: Db,
    pub(crate) registry: Registry,
    pub(crate) options: Options,
    pub(crate) progress: ProgressBoard,
    /// The conductors of the site, as last seen.
    pub(crate) members: Members,
    /// This conductor's current registration.
    pub(crate) tenure: ArcSwap<Tenure>,
    /// The number of that registration, for whoever wants to know when there is a new one.
    pub(crate) epochs: watch::Sender<i64>,
    /// Another process has taken this one's name.
    pub(crate) replaced: CancellationToken,
    pub(crate) stop: CancellationToken,
    pub(crate) tasks: TaskTracker,
    /// Wakes the timer when a deadline has come closer.
    pub(crate) deadlines: Alarm,
    /// Room for work that nobody waits for.
    pub(crate) background: Arc<Semaphore>,
    pub(crate) allocating: Allocating,
    /// Held while it is found out whether a machine is known.
    pub(crate) discovering: tokio::sync::Mutex<()>,
    pub(crate) gates: Gates,
    driving: Mutex<HashSet<NodeUuid>>,
    permits: Semaphore,
}

/// What an engine is made of.
pub(crate) struct Parts {
    pub(crate) db: Db,
    pub(crate) registry: Registry,
    pub(crate) options: Options,
    pub(crate) members: Members,
    pub(crate) tenure: Tenure,
    pub(crate) stop: CancellationToken,
}

/// Why a turn could not be taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TurnError {
    /// The node is gone.
    #[error("node {0} is gone")]
    Gone(NodeUuid),
    /// This conductor gave no sign of life in time: others may work on the node by now.
    #[error("this conductor lost its lease")]
    Fenced,
    /// The store failed.
    #[error("the store failed")]
    Store(#[from] DbError),
    /// The stored record of a flow cannot be read.
    #[error("the record of the flow cannot be read")]
    Record(#[source] serde_json::Error),
    /// The core refused.
    #[error(transparent)]
    Refused(#[from] RequestError),
}

/// What a flow is fed.
enum Fed {
    Input(Input),
    /// It was nobody's any more in this run, after the effect with this number.
    TakenUp(FlowId, i64),
}

impl Fed {
    fn decide(&self, node: Node, flow: Option<FlowRecord>, world: World<'_>) -> Decision {
        match self {
            Self::Input(input) => feed(node, flow, input.clone(), world),
            Self::TakenUp(run, seq) => take_up(node, flow, (*run, *seq), world),
        }
    }
}

/// The plans of a node's driver, with the switches of the configuration.
struct NodePlans<'a> {
    engine: &'a Engine,
    /// What automated cleaning runs instead of what drivers offer.
    runbook: Result<Option<Wish>, StepError>,
}

impl Plans for NodePlans<'_> {
    fn deploy(&self, node: &Node) -> Vec<PlannedStep> {
        self.engine
            .registry
            .drivers(node)
            .map(|drivers| drivers.deploy.deploy_steps(node))
            .unwrap_or_default()
    }

    fn clean(&self, node: &Node) -> Vec<PlannedStep> {
        self.engine.registry.drivers(node).map(|drivers| drivers.deploy.clean_steps(node)).unwrap_or_default()
    }

    fn service(&self, node: &Node) -> Vec<PlannedStep> {
        self.engine
            .registry
            .drivers(node)
            .map(|drivers| drivers.deploy.service_steps(node))
            .unwrap_or_default()
    }

    fn rescue(&self, node: &Node) -> Vec<PlannedStep> {
        let rescue = self.engine.registry.drivers(node).ok().and_then(|drivers| drivers.rescue);
        rescue.map(|rescue| rescue.rescue_steps(node)).unwrap_or_default()
    }

    fn unrescue(&self, node: &Node) -> Vec<PlannedStep> {
        let rescue = self.engine.registry.drivers(node).ok().and_then(|drivers| drivers.rescue);
        rescue.map(|rescue| rescue.unrescue_steps(node)).unwrap_or_default()
    }

    fn inspect(&self, node: &Node) -> Vec<PlannedStep> {
        let inspect = self.engine.registry.drivers(node).ok().and_then(|drivers| drivers.inspect);
        inspect.map(|inspect| inspect.steps(node)).unwrap_or_default()
    }

    fn cleans(&self, node: &Node) -> bool {
        self.engine.cleans(node)
    }

    fn runbook(&self, _node: &Node) -> Result<Option<Wish>, StepError> {
        self.runbook.clone()
    }

    fn offered(&self, node: &Node, list: StepList) -> Vec<OfferedStep> {
        let Ok(drivers) = self.engine.registry.drivers(node) else { return Vec::new() };
        let all = drivers.steps.values().flat_map(|steps| steps.offered(node));
        let priorities = match list {
            StepList::Clean => Some(&self.engine.options.step_priorities),
            StepList::Verify => Some(&self.engine.options.verify_step_priorities),
            StepList::Deploy | StepList::Service => None,
        };
        let priority = |step: &OfferedStep| {
            let label = format!("{}.{}", step.interface, step.step);
            priorities.and_then(|priorities| priorities.get(&label)).copied()
        };
        all.filter(|step| step.list == list)
            .map(|step| OfferedStep { priority: priority(&step).unwrap_or(step.priority), ..step })
            .collect()
    }
}

impl Engine {
    pub(crate) fn new(parts: Parts) -> Self {
        let Parts { db, registry, options, members, tenure, stop } = parts;
        Self {
            db,
            registry,
            members,
            epochs: watch::Sender::new(tenure.term.epoch),
            tenure: ArcSwap::from_pointee(tenure),
            replaced: CancellationToken::new(),
            progress: ProgressBoard::default(),
            stop,
            tasks: TaskTracker::new(),
            deadlines: Alarm::default(),
            background: Arc::new(Semaphore::new(MAX_BACKGROUND)),
            allocating: Allocating::default(),
            discovering: tokio::sync::Mutex::default(),
            gates: Gates::default(),
            driving: Mutex::default(),
            permits: Semaphore::new(options.max_effects),
            options,
        }
    }

    /// Loads the node and its flow.
    pub(crate) async fn load(&self, node: NodeUuid) -> Result<(Node, Option<FlowRecord>), TurnError> {
        self.read(node).await.map(Standing::split)
    }

    /// The same, to begin a turn with.
    pub(crate) async fn read(&self, node: NodeUuid) -> Result<Standing, TurnError> {
        let (found, flow) = self.db.get_node_with_flow(node).await?.ok_or(TurnError::Gone(node))?;
        Standing::read(found, flow).map_err(TurnError::Record)
    }

    /// The registration that work begins under now.
    pub(crate) fn tenure(&self) -> Arc<Tenure> {
        self.tenure.load_full()
    }

    /// Does what changes a machine for a caller, as long as this conductor's registration holds.
    pub(crate) async fn while_in_office<T>(
        &self,
        work: impl Future<Output = Result<T, RequestError>>,
    ) -> Result<T, RequestError> {
        let done = self.tenure().within(work).await;
        done.unwrap_or_else(|| {
            Err(RequestError::Unavailable(format!(
                "The conductor on host {} was taken for dead meanwhile, and stopped what it was doing. Look at the node before trying again.",
                self.options.hostname
            )))
        })
    }

    /// Takes one turn: loads the node, has `decision` made, stores it. Returns what is to be carried out.
    pub(crate) async fn turn<F>(
        &self,
        uuid: NodeUuid,
        decision: F,
    ) -> Result<(Node, Option<Effect>), TurnError>
    where
        F: Fn(Node, Option<FlowRecord>, World<'_>) -> Result<Decision, RequestError>,
    {
        let (standing, effect) = self.turn_on(uuid, None, decision).await?;
        Ok((standing.node, effect))
    }

    /// The same for a node that was read or written before, as `known`: it is read only if somebody else wrote it since.
    /// The answer is how it stands now.
    pub(crate) async fn turn_on<F>(
        &self,
        uuid: NodeUuid,
        known: Option<Standing>,
        decision: F,
    ) -> Result<(Standing, Option<Effect>), TurnError>
    where
        F: Fn(Node, Option<FlowRecord>, World<'_>) -> Result<Decision, RequestError>,
    {
        self.admitted_turn(uuid, None, known, decision).await
    }

    /// The same for what may not be done to any number of nodes at once.
    pub(crate) async fn admitted_turn<F>(
        &self,
        uuid: NodeUuid,
        admission: Option<Admission>,
        known: Option<Standing>,
        decision: F,
    ) -> Result<(Standing, Option<Effect>), TurnError>
    where
        F: Fn(Node, Option<FlowRecord>, World<'_>) -> Result<Decision, RequestError>,
    {
        let tenure = self.tenure();
        Box::pin(self.turn_under(&tenure, uuid, admission, known, decision)).await
    }

    /// As [`Engine::admitted_turn`], under the registration that the work began under. Nodes and records are large, and so
    /// is this: whoever waits for it boxes it.
    async fn turn_under<F>(
        &self,
        tenure: &Tenure,
        uuid: NodeUuid,
        admission: Option<Admission>,
        mut known: Option<Standing>,
        decision: F,
    ) -> Result<(Standing, Option<Effect>), TurnError>
    where
        F: Fn(Node, Option<FlowRecord>, World<'_>) -> Result<Decision, RequestError>,
    {
        let waits = tokio::time::Instant::now();
        let _gate = self.gates.pass(uuid).await;
        measure::passed(waits.elapsed());
        let mut conflicts = 0;
        loop {
            if !tenure.holds() {
                return Err(TurnError::Fenced);
            }
            let standing = match known.take() {
                Some(known) => known,
                None => self.read(uuid).await?,
            };
            let (before, flow) = (standing.node, standing.flow);
            let runbook = self.cleaning_runbook(&before, flow.as_ref().map(|flow| &flow.record)).await?;
            let plans = NodePlans { engine: self, runbook };
            let now = Timestamp::now();
            let world =
                World { now, holder: &self.options.hostname, policy: &self.options.policy, plans: &plans };
            let (flow, row) = flow.map(StoredFlow::apart).unzip();
            let step = flow.as_ref().and_then(measure::Step::of);
            let was = (before.provision_state, before.provision_updated_at);
            let decided = decision(before.clone(), flow, world)?;
            let stands = decided.flow.as_ref().map(|flow| (flow.id, flow.step));
            let (commit, flow, effect) = self.commit_of(before, decided, row, now);
            let commit = Commit { by: Some(tenure.term.clone()), admission: admission.clone(), ..commit };
            match self.db.commit(commit).await {
                Ok(node) => {
                    measure::moved(was, &node, now);
                    if let Some(step) = step {
                        step.note_end(stands, now);
                    }
                    if let Some(deadline) = flow.as_ref().and_then(StoredFlow::deadline) {
                        self.deadlines.set(deadline);
                    }
                    return Ok((Standing { node, flow }, effect));
                }
                Err(DbError::Conflict { .. }) if conflicts < MAX_CONFLICTS => conflicts += 1,
                Err(DbError::Fenced { .. }) => return Err(TurnError::Fenced),
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn commit_of(
        &self,
        before: Node,
        decided: Decision,
        row: Option<FlowRow>,
        now: Timestamp,
    ) -> (Commit, Option<StoredFlow>, Option<Effect>) {
        let takes_over = decided.takes_over();
        let journal = decided
            .journal
            .into_iter()
            .map(|(flow, entry)| match entry {
                Entry::Intent { seq, step, action, poll } => JournalWrite::Intent {
                    flow,
                    seq,
                    step,
                    effect: serde_json::json!({ "action": action, "poll": poll }).to_string(),
                    at: now,
                },
                Entry::Outcome { seq, text } => JournalWrite::Outcome { flow, seq, outcome: text, at: now },
            })
            .collect();
        let asker = decided.asked_by.unwrap_or_default();
        let history = decided
            .notes
            .into_iter()
            .map(|note| HistoryEntry {
                uuid: HistoryUuid::random(),
                event_type: note.event_type.to_owned(),
                severity: if note.error { "ERROR" } else { "INFO" }.to_owned(),
                event: note.text,
                conductor: Some(self.options.hostname.clone()),
                user: asker.user.clone(),
                project: asker.project.clone(),
                state: Some(decided.node.provision_state.as_str().to_owned()),
                target: decided.node.target_provision_state.map(|state| state.as_str().to_owned()),
                duration_seconds: None,
                created_at: now,
            })
            .collect();
        let told = decided.told.iter();
        let events =
            told.map(|told| console_event(&decided.node, told.change.as_str(), told.status, now)).collect();
        // Whoever is at an effect goes on with the flow; all others only note something beside it.
        let theirs = row.as_ref().filter(|_| !takes_over);
        let conductor = theirs.map_or_else(|| self.options.hostname.clone(), |row| row.conductor.clone());
        let (stored, flow) = standing::store(before.uuid, row, decided.flow, conductor, now);
        // What an agent said of an earlier step is not news any more.
        if stored.is_none() || decided.effect.as_ref().is_some_and(|effect| !effect.poll) {
            self.progress.forget(before.uuid);
        }
        tracing::debug!(
            node = %before.uuid,
            from = %before.provision_state,
            to = %decided.node.provision_state,
            effect = ?decided.effect.as_ref().map(|effect| &effect.action),
            "decided"
        );
        (
            Commit { flow, journal, history, events, ..Commit::new(before, decided.node) },
            stored,
            decided.effect,
        )
    }

    /// Feeds `input` to the node's flow and goes on until it rests. Returns at once; the work is a task.
    pub(crate) fn drive(self: &Arc<Self>, node: NodeUuid, input: Input) {
        self.drive_with(node, Fed::Input(input));
    }

    /// Goes on with a flow that is nobody's any more, as this row says. A caller or an agent may be faster: then somebody is at
    /// work on it already, and what is under way must not be begun a second time.
    pub(crate) fn go_on_with(self: &Arc<Self>, row: &FlowRow) {
        match serde_json::from_str::<FlowRecord>(&row.record) {
            Ok(record) => self.drive_with(row.node, Fed::TakenUp(record.id, record.seq)),
            Err(error) => {
                let error = TurnError::Record(error);
                tracing::error!(node = %row.node, error = &error as &dyn std::error::Error, "the flow cannot go on");
            }
        }
    }

    fn drive_with(self: &Arc<Self>, node: NodeUuid, input: Fed) {
        let engine = Arc::clone(self);
        let span = tracing::info_span!(parent: None, "drive", node = %node);
        self.tasks.spawn(async move { engine.drive_on(node, Some(input), None).await }.instrument(span));
    }

    /// Carries out an effect that a turn has just recorded, and goes on until the flow rests.
    pub(crate) fn follow(self: &Arc<Self>, standing: Standing, effect: Option<Effect>) {
        let Some(effect) = effect else { return };
        let engine = Arc::clone(self);
        let uuid = standing.node.uuid;
        let span = tracing::info_span!(parent: None, "drive", node = %uuid);
        self.tasks.spawn(
            async move { engine.drive_on(uuid, None, Some((standing, effect))).await }.instrument(span),
        );
    }

    /// Whether this conductor is in charge of the node.
    pub(crate) fn is_in_charge(&self, node: &Node) -> bool {
        self.tenure().holds() && self.members.owner(node).as_deref() == Some(&self.options.hostname)
    }

    /// Whether a task carries out something for the node now.
    pub(crate) fn is_driven(&self, node: NodeUuid) -> bool {
        self.driving.lock().unwrap_or_else(PoisonError::into_inner).contains(&node)
    }

    async fn drive_on(
        self: Arc<Self>,
        uuid: NodeUuid,
        mut input: Option<Fed>,
        mut todo: Option<(Standing, Effect)>,
    ) {
        // Whatever comes of this is said under the registration that it began under, or not at all.
        let tenure = self.tenure();
        let mut known = None;
        loop {
            if let Some(input) = input.take() {
                todo = match self.step(&tenure, uuid, known.take(), input).await {
                    Some((standing, Some(effect))) => Some((standing, effect)),
                    Some((_, None)) | None => return,
                };
            }
            let Some((standing, effect)) = todo.take() else { return };
            let (run, seq) = (effect.run, effect.seq);
            let node = standing.node.clone();
            known = Some(standing);
            self.driving.lock().unwrap_or_else(PoisonError::into_inner).insert(uuid);
            let outcome = tokio::select! {
                outcome = self.guarded(&tenure, node, effect) => outcome,
                // Whatever was begun is in the journal: the next start goes on from there.
                () = self.stop.cancelled() => None,
            };
            self.driving.lock().unwrap_or_else(PoisonError::into_inner).remove(&uuid);
            let Some(outcome) = outcome else { return };
            input = Some(Fed::Input(Input::Ended { run, seq, outcome }));
        }
    }

    /// Records an input. An outcome must not be lost, so a failing store is tried again until the service stops.
    async fn step(
        &self,
        tenure: &Tenure,
        uuid: NodeUuid,
        mut known: Option<Standing>,
        input: Fed,
    ) -> Option<(Standing, Option<Effect>)> {
        let mut pause = Duration::from_millis(200);
        loop {
            let again = |node, flow, world: World<'_>| Ok(input.decide(node, flow, world));
            let turn = Box::pin(self.turn_under(tenure, uuid, None, known.take(), again)).await;
            match turn {
                Ok(turn) => return Some(turn),
                Err(TurnError::Fenced) => {
                    tracing::warn!("the lease was lost: whoever takes the node over goes on");
                    return None;
                }
                Err(error @ (TurnError::Gone(_) | TurnError::Record(_) | TurnError::Refused(_))) => {
                    tracing::error!(error = &error as &dyn std::error::Error, "the flow cannot go on");
                    return None;
                }
                Err(error) => {
                    tracing::error!(
                        error = &error as &dyn std::error::Error,
                        ?pause,
                        "cannot record, will try again"
                    );
                    tokio::select! {
                        () = tokio::time::sleep(pause) => pause = (pause * 2).min(Duration::from_secs(10)),
                        () = tenure.ended() => return None,
                        () = self.stop.cancelled() => return None,
                    }
                }
            }
        }
    }

    /// Waits until there is room for an effect. The node is held for as long as that takes, and for the effect from then on:
    /// its limit counts from its beginning. `None` when it is not to be begun any more.
    async fn room(&self, tenure: &Tenure, node: NodeUuid, effect: &Effect) -> Option<SemaphorePermit<'_>> {
        let mut room = pin!(self.permits.acquire());
        loop {
            tokio::select! {
                biased;
                permit = &mut room => return permit.ok(),
                () = tenure.ended() => return None,
                () = tokio::time::sleep(self.options.hold_on_every) => {}
            }
            let hold = |node, flow, world: World<'_>| {
                let superseded = || RequestError::Conflict("the action is not open any more".to_owned());
                hold_on(node, flow, (effect.run, effect.seq), world).ok_or_else(superseded)
            };
            match Box::pin(self.turn_under(tenure, node, None, None, hold)).await {
                Ok(_) => {}
                Err(error @ TurnError::Store(_)) => {
                    tracing::warn!(error = &error as &dyn std::error::Error, "cannot hold the node on");
                }
                Err(error) => {
                    tracing::warn!(error = &error as &dyn std::error::Error, "not begun");
                    return None;
                }
            }
        }
    }

    /// Carries out an effect within its limit; a panic in a driver is its failure, not the node's end. `None` when the
    /// tenure ended meanwhile.
    async fn guarded(self: &Arc<Self>, tenure: &Arc<Tenure>, node: Node, effect: Effect) -> Option<Outcome> {
        let waits = measure::EFFECTS.enter(&["waiting"]);
        let _permit = self.room(tenure, node.uuid, &effect).await?;
        drop(waits);
        let _runs = measure::EFFECTS.enter(&["under way"]);
        let limit = effect.action.limit();
        let label = effect.action.to_string();
        let flow = effect.flow.flow().name;
        let step = effect.step.as_ref().map(PlannedStep::label);
        let (engine, held) = (Arc::clone(self), Arc::clone(tenure));
        let began = tokio::time::Instant::now();
        let span = tracing::info_span!("effect", flow, step, seq = effect.seq, action = label);
        let task = tokio::spawn(
            async move { Box::pin(held.within(engine.carry_out(&node, effect))).await }.instrument(span),
        );
        let abort = AbortOnDrop(task.abort_handle());
        let outcome = match tokio::time::timeout(limit, task).await {
            Ok(Ok(outcome)) => outcome?,
            Ok(Err(panic)) => {
                tracing::error!(error = %panic, "a driver panicked");
                Outcome::Failed(StepError::new(
                    ErrorCode::Internal,
                    format!("{label} broke: see the service's log."),
                ))
            }
            Err(_) => {
                drop(abort);
                Outcome::Failed(StepError::new(
                    ErrorCode::StepTimeout,
                    format!("{label} did not end within {} s.", limit.as_secs()),
                ))
            }
        };
        measure::acted(flow, &label, &outcome, began.elapsed());
        tracing::info!(flow, step, action = label, outcome = outcome.summary(), "carried out");
        Some(outcome)
    }
}

/// Ends a task with whoever waits for it.
struct AbortOnDrop(tokio::task::AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}
