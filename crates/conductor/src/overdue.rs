//! Machines that do not arrive in time: why, by the trace of the machine's boot.

use std::sync::Arc;

use boot_trace::{attempts, judge};
use model::NodeUuid;
use provision::{Input, StepError};
use tracing::Instrument as _;

use crate::engine::Engine;

impl Engine {
    /// Ends the wait of a node for what runs in its ramdisk, with what is known of the reason.
    pub(crate) fn drive_overdue(self: &Arc<Self>, node: NodeUuid) {
        let engine = Arc::clone(self);
        let span = tracing::info_span!(parent: None, "overdue", node = %node);
        let work = async move {
            let why = engine.why_silent(node).await;
            engine.drive(node, why.map_or(Input::Timer, Input::Overdue));
        };
        self.tasks.spawn(work.instrument(span));
    }

    /// Why the machine did not arrive; none when nothing is known.
    async fn why_silent(&self, node: NodeUuid) -> Option<StepError> {
        let entries = match self.db.boot_trace(node).await {
            Ok(entries) => entries,
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "cannot read the boot trace");
                return None;
            }
        };
        let judgement = judge(attempts(&entries).last()?, self.options.hears);
        judgement.diagnosis.map(StepError::from)
    }
}
