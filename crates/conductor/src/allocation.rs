//! Allocations: finding a node for each that is recorded, in any order, whatever was interrupted.
//!
//! The row is the intent: a task works from it and ends with one write, of the row and its node alike. A task that
//! never ended left the row as it was, and the next look at the rows begins it anew. The row says which conductor works on it:
//! others leave it alone until that one is gone. Which node suits is for `provision` to say.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use db::{DbError, NodeKey, Scope, Term};
use model::{Allocation, AllocationUuid, NodeUuid, Timestamp};
use provision::allocation::{claimed, suits};
use rand::seq::SliceRandom as _;
use tokio::sync::Semaphore;
use tracing::Instrument;

use crate::engine::Engine;

/// How often locked nodes are tried before the allocation fails.
const ATTEMPTS: usize = 3;

/// How many allocations are worked on at once; the others wait their turn.
const AT_ONCE: usize = 16;

/// The allocations that this process works on.
#[derive(Debug)]
pub(crate) struct Allocating {
    at_work: Mutex<HashSet<AllocationUuid>>,
    permits: Semaphore,
}

impl Default for Allocating {
    fn default() -> Self {
        Self { at_work: Mutex::default(), permits: Semaphore::new(AT_ONCE) }
    }
}

/// How the look for a node ended.
enum Found {
    /// The allocation has its node.
    Node(NodeUuid),
    /// The allocation is gone, or somebody else settled it or works on it.
    Settled,
    /// There is none.
    Nothing(String),
}

/// What came of trying one node.
enum Try {
    Claimed,
    Settled,
    Unsuitable,
    Locked,
    /// Another node lives under the identifier of the allocation.
    Clash,
}

impl Engine {
    /// Takes up every allocation that nobody works on: new ones that nobody was asked for, those of conductors that are gone,
    /// and what this one left itself.
    pub(crate) async fn take_up_allocations(self: &Arc<Self>) -> Result<(), DbError> {
        if !self.tenure().holds() {
            return Ok(());
        }
        let left = self.db.unsettled_allocations(&self.options.hostname).await?;
        for allocation in left {
            self.start_allocation(allocation);
        }
        Ok(())
    }

    /// Begins to look for a node, unless that is being done already. Returns at once.
    pub(crate) fn start_allocation(self: &Arc<Self>, uuid: AllocationUuid) {
        if !self.lock_allocating().insert(uuid) {
            return;
        }
        let (engine, tenure) = (Arc::clone(self), self.tenure());
        let span = tracing::info_span!(parent: None, "allocate", allocation = %uuid);
        let work = async move {
            if let Ok(_permit) = engine.allocating.permits.acquire().await {
                tokio::select! {
                    _ = tenure.within(engine.settle(uuid, &tenure.term)) => {}
                    // Whatever was written is whole; the next start takes up the rest.
                    () = engine.stop.cancelled() => {}
                }
            }
            engine.lock_allocating().remove(&uuid);
        };
        self.tasks.spawn(work.instrument(span));
    }

    fn lock_allocating(&self) -> std::sync::MutexGuard<'_, HashSet<AllocationUuid>> {
        self.allocating.at_work.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn settle(&self, uuid: AllocationUuid, by: &Term) {
        match self.find_and_record(uuid, by).await {
            Ok(Found::Node(node)) => tracing::info!(%node, "allocated"),
            Ok(Found::Nothing(reason)) => tracing::info!(reason, "no node was found"),
            Ok(Found::Settled) => tracing::debug!("settled elsewhere"),
            // The row still says `allocating`: the next look tries again.
            Err(error) => {
                tracing::error!(error = &error as &dyn std::error::Error, "cannot allocate, will try again");
            }
        }
    }

    async fn find_and_record(&self, uuid: AllocationUuid, by: &Term) -> Result<Found, DbError> {
        let Some(wanted) = self.db.begin_allocation(uuid, by).await? else { return Ok(Found::Settled) };
        let found = self.reserve_node(&wanted, by).await?;
        if let Found::Nothing(reason) = &found {
            let text = format!("Failed to process allocation {uuid}: {reason}.");
            match self.db.fail_allocation(uuid, &text, by).await {
                Err(DbError::NotFound { .. }) => return Ok(Found::Settled),
                done => done.map(drop)?,
            }
        }
        Ok(found)
    }

    /// Tries every candidate, and those that were locked again.
    async fn reserve_node(&self, wanted: &Allocation, by: &Term) -> Result<Found, DbError> {
        let mut nodes = match self.candidates(wanted).await? {
            Ok(nodes) => nodes,
            Err(reason) => return Ok(Found::Nothing(reason)),
        };
        for attempt in 0..ATTEMPTS {
            if attempt > 0 {
                tokio::time::sleep(self.options.lock_retry).await;
            }
            let mut locked = Vec::new();
            for node in nodes {
                match self.try_node(wanted, node, by).await? {
                    Try::Claimed => return Ok(Found::Node(node)),
                    Try::Settled => return Ok(Found::Settled),
                    Try::Locked => locked.push(node),
                    Try::Unsuitable => {}
                    Try::Clash => {
                        let text = format!("another node has the instance_uuid {} already", wanted.uuid);
                        return Ok(Found::Nothing(text));
                    }
                }
            }
            if locked.is_empty() {
                return Ok(Found::Nothing("all suitable nodes were taken by others meanwhile".to_owned()));
            }
            nodes = locked;
        }
        Ok(Found::Nothing(format!(
            "could not reserve any of {} suitable nodes: they are locked",
            nodes.len()
        )))
    }

    /// The nodes to try, in random order, so that allocations made together do not fight for the same; the one that
    /// is called as the allocation comes first. Or why there is none.
    async fn candidates(&self, wanted: &Allocation) -> Result<Result<Vec<NodeUuid>, String>, DbError> {
        let mut found = self.db.allocation_candidates(wanted).await?;
        let class = wanted.resource_class.as_deref().unwrap_or_default();
        if found.is_empty() {
            return Ok(Err(if wanted.candidate_nodes.is_empty() {
                format!("no available nodes match the resource class {class}")
            } else {
                format!("none of the requested nodes are available and match the resource class {class}")
            }));
        }
        found.retain(|node| node.has_traits);
        if found.is_empty() {
            let names: Vec<&str> = wanted.traits.iter().map(model::Trait::as_str).collect();
            return Ok(Err(format!("no suitable nodes have the requested traits {}", names.join(", "))));
        }
        found.shuffle(&mut rand::rng());
        let namesake = |node: &db::Candidate| wanted.name.is_some() && node.name == wanted.name;
        if let Some(index) = found.iter().position(namesake) {
            found.swap(0, index);
        }
        Ok(Ok(found.into_iter().map(|node| node.node).collect()))
    }

    async fn try_node(&self, wanted: &Allocation, uuid: NodeUuid, by: &Term) -> Result<Try, DbError> {
        let _gate = self.gates.pass(uuid).await;
        let Some(node) = self.db.get_node(&NodeKey::Uuid(uuid), &Scope::All).await? else {
            return Ok(Try::Unsuitable);
        };
        if !suits(&node, wanted) {
            return Ok(Try::Unsuitable);
        }
        if node.is_locked(Timestamp::now()) {
            return Ok(Try::Locked);
        }
        let after = claimed(node.clone(), wanted);
        match self.db.claim_node(wanted.uuid, &node, after, by).await {
            Ok(_) => Ok(Try::Claimed),
            // Somebody wrote the node, or the allocation, in between.
            Err(DbError::Conflict { .. }) => Ok(Try::Locked),
            Err(DbError::NotFound { what: "node", .. }) => Ok(Try::Unsuitable),
            Err(DbError::NotFound { .. }) => Ok(Try::Settled),
            Err(DbError::Duplicate { .. }) => Ok(Try::Clash),
            Err(error) => Err(error),
        }
    }
}
