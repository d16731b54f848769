//! The shell around the core: load, decide, store, carry out, and again with the outcome.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use cluster::Members;
use conductor_api::RequestError;
use db::{Admission, Commit, Db, DbError, FlowChange, FlowRow, HistoryEntry, JournalWrite};
use driver::Registry;
use model::{HistoryUuid, Node, NodeUuid, Timestamp};
use provision::{
    Decision, Effect, Entry, ErrorCode, FlowRecord, Input, OfferedStep, Outcome, PlannedStep, Plans,
    StepError, StepList, World, feed,
};
use tokio::sync::{Notify, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument;

use crate::Options;
use crate::agent::ProgressBoard;
use crate::allocation::Allocating;
use crate::gate::Gates;
use crate::measure;
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
    /// Another process has taken this one's name.
    pub(crate) replaced: CancellationToken,
    pub(crate) stop: CancellationToken,
    pub(crate) tasks: TaskTracker,
    /// A deadline may have come closer.
    pub(crate) deadlines: Notify,
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

/// The plans of a node's driver, with the switches of the configuration.
struct NodePlans<'a> {
    engine: &'a Engine,
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
        node.automated_clean.unwrap_or(self.engine.options.automated_clean)
    }

    fn offered(&self, node: &Node, list: StepList) -> Vec<OfferedStep> {
        let Ok(drivers) = self.engine.registry.drivers(node) else { return Vec::new() };
        let all = drivers.steps.values().flat_map(|steps| steps.offered(node));
        let priority = |step: &OfferedStep| {
            let label = format!("{}.{}", step.interface, step.step);
            self.engine.options.step_priorities.get(&label).copied().filter(|_| list == StepList::Clean)
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
            tenure: ArcSwap::from_pointee(tenure),
            replaced: CancellationToken::new(),
            progress: ProgressBoard::default(),
            stop,
            tasks: TaskTracker::new(),
            deadlines: Notify::new(),
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
        let (found, flow) = self.load_with_conductor(node).await?;
        Ok((found, flow.map(|(flow, _)| flow)))
    }

    /// As [`Engine::load`], with the conductor that works on the flow.
    async fn load_with_conductor(
        &self,
        node: NodeUuid,
    ) -> Result<(Node, Option<(FlowRecord, String)>), TurnError> {
        let (found, flow) = self.db.get_node_with_flow(node).await?.ok_or(TurnError::Gone(node))?;
        let flow = flow.map(|row| Ok((serde_json::from_str(&row.record)?, row.conductor)));
        Ok((found, flow.transpose().map_err(TurnError::Record)?))
    }

    /// The registration that work begins under now.
    pub(crate) fn tenure(&self) -> Arc<Tenure> {
        self.tenure.load_full()
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
        self.turn_under(&self.tenure(), uuid, None, decision).await
    }

    /// The same for what may not be done to any number of nodes at once.
    pub(crate) async fn admitted_turn<F>(
        &self,
        uuid: NodeUuid,
        admission: Option<Admission>,
        decision: F,
    ) -> Result<(Node, Option<Effect>), TurnError>
    where
        F: Fn(Node, Option<FlowRecord>, World<'_>) -> Result<Decision, RequestError>,
    {
        self.turn_under(&self.tenure(), uuid, admission, decision).await
    }

    /// As [`Engine::turn`], under the registration that the work began under.
    async fn turn_under<F>(
        &self,
        tenure: &Tenure,
        uuid: NodeUuid,
        admission: Option<Admission>,
        decision: F,
    ) -> Result<(Node, Option<Effect>), TurnError>
    where
        F: Fn(Node, Option<FlowRecord>, World<'_>) -> Result<Decision, RequestError>,
    {
        // Nodes and records are large: whoever waits for a turn should not be.
        Box::pin(self.turn_in_place(tenure, uuid, admission, decision)).await
    }

    async fn turn_in_place<F>(
        &self,
        tenure: &Tenure,
        uuid: NodeUuid,
        admission: Option<Admission>,
        decision: F,
    ) -> Result<(Node, Option<Effect>), TurnError>
    where
        F: Fn(Node, Option<FlowRecord>, World<'_>) -> Result<Decision, RequestError>,
    {
        let _gate = self.gates.pass(uuid).await;
        let mut conflicts = 0;
        loop {
            if !tenure.holds() {
                return Err(TurnError::Fenced);
            }
            let (before, flow) = self.load_with_conductor(uuid).await?;
            let (flow, conductor) = flow.unzip();
            let now = Timestamp::now();
            let plans = NodePlans { engine: self };
            let world =
                World { now, holder: &self.options.hostname, policy: &self.options.policy, plans: &plans };
            let step = flow.as_ref().and_then(measure::Step::of);
            let was = (before.provision_state, before.provision_updated_at);
            let decided = decision(before.clone(), flow, world)?;
            let stands = decided.flow.as_ref().map(|flow| (flow.id, flow.step));
            let (commit, effect) = self.commit_of(before, decided, conductor, now);
            let commit = Commit { by: Some(tenure.term.clone()), admission: admission.clone(), ..commit };
            match self.db.commit(commit).await {
                Ok(node) => {
                    measure::moved(was, &node, now);
                    if let Some(step) = step {
                        step.note_end(stands, now);
                    }
                    self.deadlines.notify_one();
                    return Ok((node, effect));
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
        conductor: Option<String>,
        now: Timestamp,
    ) -> (Commit, Option<Effect>) {
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
        let flow = match &decided.flow {
            Some(record) => {
                // Whoever is at an effect goes on with the flow; all others only note something beside it.
                let theirs = conductor.filter(|_| !takes_over);
                let conductor = theirs.unwrap_or_else(|| self.options.hostname.clone());
                FlowChange::Put(flow_row(before.uuid, record, conductor, now))
            }
            None if conductor.is_some() => FlowChange::Remove,
            None => FlowChange::Keep,
        };
        // What an agent said of an earlier step is not news any more.
        if decided.flow.is_none() || decided.effect.as_ref().is_some_and(|effect| !effect.poll) {
            self.progress.forget(before.uuid);
        }
        tracing::debug!(
            node = %before.uuid,
            from = %before.provision_state,
            to = %decided.node.provision_state,
            effect = ?decided.effect.as_ref().map(|effect| &effect.action),
            "decided"
        );
        (Commit { flow, journal, history, ..Commit::new(before, decided.node) }, decided.effect)
    }

    /// Feeds `input` to the node's flow and goes on until it rests. Returns at once; the work is a task.
    pub(crate) fn drive(self: &Arc<Self>, node: NodeUuid, input: Input) {
        let engine = Arc::clone(self);
        let span = tracing::info_span!(parent: None, "drive", node = %node);
        self.tasks.spawn(async move { engine.drive_on(node, Some(input), None).await }.instrument(span));
    }

    /// Carries out an effect that a turn has just recorded, and goes on until the flow rests.
    pub(crate) fn follow(self: &Arc<Self>, node: Node, effect: Option<Effect>) {
        let Some(effect) = effect else { return };
        let engine = Arc::clone(self);
        let span = tracing::info_span!(parent: None, "drive", node = %node.uuid);
        self.tasks.spawn(
            async move { engine.drive_on(node.uuid, None, Some((node, effect))).await }.instrument(span),
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
        mut input: Option<Input>,
        mut todo: Option<(Node, Effect)>,
    ) {
        // Whatever comes of this is said under the registration that it began under, or not at all.
        let tenure = self.tenure();
        loop {
            if let Some(input) = input.take() {
                todo = match self.step(&tenure, uuid, input).await {
                    Some((node, Some(effect))) => Some((node, effect)),
                    Some((_, None)) | None => return,
                };
            }
            let Some((node, effect)) = todo.take() else { return };
            let (run, seq) = (effect.run, effect.seq);
            self.driving.lock().unwrap_or_else(PoisonError::into_inner).insert(uuid);
            let outcome = tokio::select! {
                outcome = self.guarded(&tenure, node, effect) => outcome,
                // Whatever was begun is in the journal: the next start goes on from there.
                () = self.stop.cancelled() => None,
            };
            self.driving.lock().unwrap_or_else(PoisonError::into_inner).remove(&uuid);
            let Some(outcome) = outcome else { return };
            input = Some(Input::Ended { run, seq, outcome });
        }
    }

    /// Records an input. An outcome must not be lost, so a failing store is tried again until the service stops.
    async fn step(&self, tenure: &Tenure, uuid: NodeUuid, input: Input) -> Option<(Node, Option<Effect>)> {
        let mut pause = Duration::from_millis(200);
        loop {
            let turn = self
                .turn_under(tenure, uuid, None, |node, flow, world| {
                    Ok(feed(node, flow, input.clone(), world))
                })
                .await;
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

    /// Carries out an effect within its limit; a panic in a driver is its failure, not the node's end. `None` when the
    /// tenure ended meanwhile.
    async fn guarded(self: &Arc<Self>, tenure: &Arc<Tenure>, node: Node, effect: Effect) -> Option<Outcome> {
        let _permit = self.permits.acquire().await.ok()?;
        let limit = effect.action.limit();
        let label = effect.action.to_string();
        let flow = effect.flow.flow().name;
        let step = effect.step.as_ref().map(PlannedStep::label);
        let (engine, held) = (Arc::clone(self), Arc::clone(tenure));
        let began = tokio::time::Instant::now();
        let task = tokio::spawn(
            async move { Box::pin(held.within(engine.carry_out(&node, effect))).await }
                .instrument(tracing::Span::current()),
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

fn flow_row(node: NodeUuid, record: &FlowRecord, conductor: String, now: Timestamp) -> FlowRow {
    FlowRow {
        node,
        flow: record.id,
        kind: record.kind.flow().name.to_owned(),
        record: serde_json::to_string(record).unwrap_or_default(),
        deadline_at: record.wake_at(),
        updated_at: now,
        conductor,
    }
}
