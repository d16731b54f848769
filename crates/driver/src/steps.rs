//! Steps of hardware interfaces: any interface of a node may offer steps for cleaning, deployment and servicing.
//!
//! An implementation is registered beside its interface, under the same kind and name ([`Registry::steps`]): the engine
//! lists what it offers when it plans, records that a step is about to run, runs it, and asks for its end.
//!
//! [`Registry::steps`]: crate::Registry::steps

use std::time::Duration;

use model::Node;
use provision::{ErrorCode, Observed, OfferedStep, PlannedStep, StepList, StepPart, StepWait};

use crate::{Answer, DriverError, Retry};

/// What became of a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StepReply {
    /// It is done.
    Done(Box<Observed>),
    /// It goes on by itself, and has to be asked about.
    Waiting(Box<StepWait>),
    /// A part of it is done: the engine records what `observed` remembers, rests, and runs the step again for its next
    /// part if asked to.
    Part(Box<StepPart>),
    /// Only from [`Steps::poll`]: the hardware never heard of the step.
    NotFound,
}

impl StepReply {
    /// Done, with nothing to tell.
    pub fn done() -> Self {
        Self::Done(Box::default())
    }

    /// It goes on by itself: to be asked about every so often, and given up after `limit`.
    pub fn waiting(every: Duration, limit: Duration) -> Self {
        Self::Waiting(Box::new(StepWait { every, limit, reboot: false, observed: Observed::default() }))
    }
}

/// The steps of one implementation of a hardware interface.
pub trait Steps: Send + Sync {
    /// Every step it offers for `node`, of all lists. Touches nothing; called whenever a flow is planned.
    fn offered(&self, node: &Node) -> Vec<OfferedStep>;

    /// Runs `step` of `list`; its name and arguments are those of a row of [`Steps::offered`], checked against it.
    ///
    /// `Done` when it has ended. `Waiting` when the hardware works on it: the engine records what `observed` remembers
    /// (such as a task's path, in `driver_internal_info`), boots the machine again if asked to, waits, and then calls
    /// [`Steps::poll`]. After a crash, a row with `OnRestart::Rerun` is run again; one with `OnRestart::Poll` is asked
    /// about first.
    fn run<'a>(&'a self, node: &'a Node, list: StepList, step: &'a PlannedStep) -> Answer<'a, StepReply>;

    /// How far `step` got; must change nothing. `Waiting` when it still goes on (its times are then ignored). An error
    /// with `Retry::Transient` is asked again until the step's limit has passed; every other one fails the step.
    fn poll<'a>(&'a self, node: &'a Node, list: StepList, step: &'a PlannedStep) -> Answer<'a, StepReply> {
        let _ = (node, list);
        let text = format!("step {} has nothing to be asked about.", step.label());
        Box::pin(async move { Err(DriverError::new(ErrorCode::Internal, Retry::Permanent, text)) })
    }
}
