//! Consoles of nodes: what callers ask for, and those that are started again because the process that had them is no more.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use conductor_api::RequestError;
use db::{DbError, NodeFilter, NodeQuery, Scope};
use driver::{Console, DriverError};
use futures_util::StreamExt as _;
use model::{InterfaceKind, Node, NodeUuid, Timestamp};
use provision::{Decision, ErrorCode, StepError, begin_console, end_console};
use serde_json::Value;
use tokio::time::timeout;

use crate::agent::request_error;
use crate::engine::{Engine, TurnError};
use crate::hardware::{needed, unlocked};
use crate::machine::ask;
use crate::request::driver_failed;

/// How long a console may take to start or to stop.
const PATIENCE: Duration = Duration::from_mins(1);

/// Consoles that are started at once.
const AT_ONCE: usize = 8;

/// On what it depends who has which node.
#[derive(Debug)]
pub(crate) struct Site {
    alive: Vec<String>,
    epoch: i64,
}

/// What callers ask for.
impl Engine {
    fn console_of(&self, node: &Node) -> Result<Arc<dyn Console>, RequestError> {
        let console = needed(self.registry.console(node), node, InterfaceKind::Console)?;
        console.validate(node).map_err(|error| driver_failed(&error))?;
        Ok(console)
    }

    pub(crate) async fn read_console(&self, uuid: NodeUuid) -> Result<Option<Value>, RequestError> {
        let node = self.node(uuid).await?;
        if !node.console_enabled {
            return Ok(None);
        }
        ask(self.console_of(&node)?.info(&node)).await.map(Some)
    }

    pub(crate) async fn switch_console(&self, uuid: NodeUuid, on: bool) -> Result<(), RequestError> {
        let node = self.node(uuid).await?;
        let console = self.console_of(&node)?;
        if node.console_enabled == on {
            return Ok(());
        }
        unlocked(&node)?;
        ask(if on { console.start(&node) } else { console.stop(&node) }).await?;
        let turn = self
            .turn(uuid, |mut node, flow, _| {
                node.console_enabled = on;
                Ok(Decision::rest(node, flow))
            })
            .await;
        turn.map(drop).map_err(|error| request_error(uuid, error))
    }
}

/// What the service does by itself.
impl Engine {
    /// Starts or stops the console of a node that has one.
    pub(crate) async fn switch(&self, node: &Node, on: bool) -> Result<(), StepError> {
        let found = self.registry.console(node);
        let console = found.map_err(|error| StepError::new(ErrorCode::DriverInfo, error.to_string()))?;
        let Some(console) = console else {
            // There is none that could run.
            let text = "the node has no console interface any more.";
            return if on { Err(StepError::new(ErrorCode::DriverInfo, text)) } else { Ok(()) };
        };
        let switched = timeout(PATIENCE, if on { console.start(node) } else { console.stop(node) }).await;
        let late = |_| Err(StepError::new(ErrorCode::StepTimeout, "the console did not answer in time."));
        switched.map_or_else(late, |switched| switched.map_err(DriverError::into_step_error))
    }

    /// The nodes whose consoles are on, and who lives now, for [`Engine::keep_consoles`] to begin with.
    pub(crate) async fn consoles(&self) -> Result<(Site, Vec<Node>), DbError> {
        let site = Site { alive: self.members.alive(), epoch: self.tenure().term.epoch };
        let filter =
            NodeFilter { console_enabled: Some(true), include_children: true, ..NodeFilter::default() };
        let nodes = self.db.list_nodes(&NodeQuery { filter, ..NodeQuery::new(Scope::All) }).await?;
        Ok((site, nodes))
    }

    /// Starts the consoles of the nodes that come to this conductor, when it starts and whenever others come or go: they
    /// lived in the process that had them before.
    pub(crate) async fn keep_consoles(self: Arc<Self>, first: (Site, Vec<Node>)) {
        let mut looks = self.members.looks();
        let mut ours = HashSet::new();
        let (mut known, nodes) = first;
        let mut all = self.restore_consoles(nodes, &mut ours).await;
        loop {
            tokio::select! {
                changed = looks.changed() => if changed.is_err() { return },
                () = self.stop.cancelled() => return,
            }
            // Somebody was at one of the nodes, or others may have nodes now that were ours, and the reverse.
            if all && known.alive == self.members.alive() && known.epoch == self.tenure().term.epoch {
                continue;
            }
            match self.consoles().await {
                Ok((site, nodes)) => {
                    // Whoever registers anew was away: others had its nodes meanwhile.
                    if site.epoch != known.epoch {
                        ours.clear();
                    }
                    known = site;
                    all = self.restore_consoles(nodes, &mut ours).await;
                }
                Err(error) => {
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        "cannot read which consoles are on"
                    );
                }
            }
        }
    }

    /// Starts the consoles of those of `nodes` that this conductor is in charge of and that are not among `ours` yet.
    /// Whether that were all.
    async fn restore_consoles(&self, nodes: Vec<Node>, ours: &mut HashSet<NodeUuid>) -> bool {
        let charged: Vec<Node> = nodes.into_iter().filter(|node| self.is_in_charge(node)).collect();
        let before = std::mem::take(ours);
        let mut started = futures_util::stream::iter(charged)
            .map(|node| {
                let known = before.contains(&node.uuid);
                async move { (node.uuid, known || self.restore_console(&node).await) }
            })
            .buffer_unordered(AT_ONCE);
        let mut all = true;
        while let Some((node, settled)) = started.next().await {
            if settled {
                ours.insert(node);
            }
            all &= settled;
        }
        all
    }

    /// Starts one console again. Whether that is settled, well or not; false while somebody is at the node.
    async fn restore_console(&self, node: &Node) -> bool {
        let uuid = node.uuid;
        if node.is_locked(Timestamp::now()) {
            return false;
        }
        let begun = self
            .turn(uuid, |node, flow, _| {
                Ok(begin_console(node.clone(), flow.clone()).unwrap_or_else(|| Decision::rest(node, flow)))
            })
            .await;
        let node = match begun {
            Ok((node, _)) => node,
            Err(error) => return self.cannot_restore(uuid, &error),
        };
        if !node.console_enabled {
            return true;
        }
        tracing::info!(node = %uuid, "starting its console again");
        let ended = self.switch(&node, true).await;
        match self.turn(uuid, |node, flow, _| Ok(end_console(node, flow, ended.clone()))).await {
            Ok(_) => true,
            Err(error) => self.cannot_restore(uuid, &error),
        }
    }

    fn cannot_restore(&self, node: NodeUuid, error: &TurnError) -> bool {
        let error = error as &dyn std::error::Error;
        tracing::warn!(%node, error, conductor = self.options.hostname, "cannot record that its console starts");
        matches!(error.downcast_ref(), Some(TurnError::Gone(_)))
    }
}
