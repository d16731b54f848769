//! Orders for all machines: a third is cleaned, the others are deployed and torn down in turns. What each must come to.

use super::site::Site;
use anyhow::{Context as _, Result, bail};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use model::{Node, ProvisionState as S, Timestamp};
use serde_json::Value;
use sim::{Machine, Operation, OperationKind};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

/// Orders given at once.
const PARALLEL: usize = 16;

/// What is done to a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Job {
    Clean,
    Deploy,
    TearDown,
}

impl Job {
    /// What a node in this state is to do next. Every third one is cleaned again and again.
    fn next(index: usize, state: S) -> Result<Self> {
        match state {
            S::Active => Ok(Self::TearDown),
            S::Available if index.is_multiple_of(3) => Ok(Self::Clean),
            S::Available => Ok(Self::Deploy),
            other => bail!("node {index} is {other} before it was ordered anything"),
        }
    }

    /// The state of a node at the very beginning.
    pub(super) fn first_state(index: usize) -> S {
        if index % 3 == 1 { S::Active } else { S::Available }
    }

    /// Where it ends.
    pub(super) const fn end(self) -> S {
        match self {
            Self::Deploy => S::Active,
            Self::Clean | Self::TearDown => S::Available,
        }
    }

    /// What is done to the machine that destroys data: exactly once.
    pub(super) const fn destroys(self) -> OperationKind {
        match self {
            Self::Deploy => OperationKind::WriteImage,
            Self::Clean | Self::TearDown => OperationKind::EraseMetadata,
        }
    }

    /// What may be done again, as it ends in the same state: a boot entry that is set once more.
    pub(super) fn may_repeat(self, kind: OperationKind) -> bool {
        self == Self::Deploy && kind == OperationKind::InstallBootloader
    }
}

/// One node's order.
#[derive(Debug)]
pub(super) struct Order {
    pub(super) machine: Arc<Machine>,
    pub(super) job: Job,
    /// Operations on its disks before the order.
    before: usize,
}

impl Order {
    /// What was done to its disks for this order.
    pub(super) fn done(&self) -> Vec<Operation> {
        self.machine.operations().split_off(self.before)
    }
}

/// A round of orders.
#[derive(Debug)]
pub(super) struct Work {
    pub(super) orders: Vec<Order>,
    pub(super) since: Timestamp,
}

impl Work {
    /// Orders something of every node.
    pub(super) async fn order(site: &Site) -> Result<Self> {
        let since = Timestamp::now();
        let nodes = site.nodes().await?;
        let states = states(&nodes);
        let mut orders = Vec::new();
        for machine in site.fleet.machines() {
            let state = states.get(machine.name()).with_context(|| format!("{} is gone", machine.name()))?;
            let job = Job::next(machine.index(), state.provision_state)?;
            machine.forget_consoles();
            orders.push(Order { machine: Arc::clone(machine), job, before: machine.operations().len() });
        }
        stream::iter(&orders)
            .map(|order| async move {
                give(site, order).await.with_context(|| format!("{:?} {}", order.job, order.machine.name()))
            })
            .buffer_unordered(PARALLEL)
            .try_collect::<Vec<()>>()
            .await?;
        Ok(Self { orders, since })
    }

    /// Whether every node is where it should be and nothing is under way. An error as soon as one has failed.
    pub(super) async fn has_ended(&self, site: &Site) -> Result<bool> {
        // The store may be away for a while: that is no answer.
        let (Ok(nodes), Ok(flows)) = (site.nodes().await, site.flows().await) else { return Ok(false) };
        let states = states(&nodes);
        let mut all = flows == 0;
        for order in &self.orders {
            let name = order.machine.name();
            let node = states.get(name).with_context(|| format!("{name} is gone"))?;
            let failed =
                node.provision_state.as_str().ends_with("failed") || node.provision_state == S::Error;
            if failed || node.maintenance {
                bail!(
                    "{name} is {}: {}",
                    node.provision_state,
                    node.last_error.as_deref().unwrap_or("no error")
                );
            }
            all &= node.provision_state == order.job.end() && node.lease.is_none();
        }
        Ok(all)
    }

    /// The nodes that have not ended, for the reader of an error.
    pub(super) async fn laggards(&self, site: &Site) -> Result<String> {
        let nodes = site.nodes().await?;
        let states = states(&nodes);
        let mut text = String::new();
        for order in &self.orders {
            let Some(node) = states.get(order.machine.name()) else { continue };
            if node.provision_state != order.job.end() || node.lease.is_some() {
                writeln!(
                    text,
                    "{} ({}): {:?}, is {}, held by {:?}, the machine: {:?}",
                    order.machine.name(),
                    node.uuid,
                    order.job,
                    node.provision_state,
                    node.lease.as_ref().map(|lease| &lease.holder),
                    order.machine.state()
                )?;
            }
        }
        Ok(text)
    }
}

fn states(nodes: &[Node]) -> BTreeMap<&str, &Node> {
    nodes.iter().filter_map(|node| Some((node.name.as_deref()?, node))).collect()
}

async fn give(site: &Site, order: &Order) -> Result<()> {
    let name = order.machine.name();
    match order.job {
        Job::Deploy => {
            site.client.set(name, &site.images.instance()).await?;
            site.client.provision(name, "active", Value::Null).await
        }
        Job::Clean => {
            site.client.provision(name, "manage", Value::Null).await?;
            site.client.provision(name, "provide", Value::Null).await
        }
        Job::TearDown => site.client.provision(name, "deleted", Value::Null).await,
    }
}
