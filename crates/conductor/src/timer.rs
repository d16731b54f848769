//! Durable timers: the nearest deadline of all flows is the only thing that is slept on.

use std::sync::Arc;
use std::time::Duration;

use model::Timestamp;
use provision::{Due, FlowRecord, Input};

use crate::engine::Engine;

/// How many overdue flows are looked at in one go.
const BATCH: usize = 500;

/// Longest sleep: the wall clock may be set while we sleep.
const LONGEST: Duration = Duration::from_mins(1);

impl Engine {
    /// Looks at every flow when its deadline has come, until the service stops.
    pub(crate) async fn keep_time(self: Arc<Self>) {
        loop {
            self.deadlines.looks();
            let sleep = match self.fire().await {
                Ok(sleep) => sleep,
                Err(error) => {
                    tracing::error!(error = &error as &dyn std::error::Error, "cannot read deadlines");
                    Duration::from_secs(5)
                }
            };
            self.deadlines.sleeps(Timestamp::now().plus(sleep));
            tokio::select! {
                () = tokio::time::sleep(sleep) => {}
                () = self.deadlines.rung() => {}
                () = self.stop.cancelled() => return,
            }
        }
    }

    /// Wakes what is due and says how long to sleep.
    async fn fire(self: &Arc<Self>) -> Result<Duration, db::DbError> {
        let now = Timestamp::now();
        let due = self.db.due_flows(&self.options.hostname, now, BATCH).await?;
        let mut woken = false;
        for row in due {
            // What is being carried out has its own limit and will report.
            if self.is_driven(row.node) {
                continue;
            }
            woken = true;
            let record = serde_json::from_str::<FlowRecord>(&row.record).ok();
            let due = record.map_or(Due::Timer, |flow| flow.due());
            tracing::warn!(node = %row.node, flow = row.kind, ?due, "deadline passed");
            match due {
                Due::Restarted => self.go_on_with(&row),
                Due::Overdue => self.drive_overdue(row.node),
                Due::Timer => self.drive(row.node, Input::Timer),
            }
        }
        if woken {
            // They have to be stored with a new deadline before it makes sense to look again.
            return Ok(Duration::from_secs(1));
        }
        let next = self.db.next_deadline(&self.options.hostname).await?;
        let wait = next.map_or(LONGEST, |at| at.since(Timestamp::now()).max(Duration::from_millis(10)));
        Ok(if next.is_some_and(|at| at <= now) { Duration::from_secs(1) } else { wait.min(LONGEST) })
    }
}
