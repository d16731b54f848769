//! A conductor among others: signs of life, what to do when they fail, and taking up what the dead left.

use std::sync::Arc;

use db::{Db, DbError, Registration, StrayFlow, Term};
use driver::Registry;

use crate::Options;
use crate::engine::Engine;
use crate::tenure::{Moment, Tenure};

/// How many flows are claimed in one go.
const BATCH: usize = 100;

/// Registers a conductor: a tenure begins, and any earlier one of its name ends.
pub(crate) async fn register(db: &Db, registry: &Registry, options: &Options) -> Result<Tenure, DbError> {
    let registration = Registration {
        hostname: options.hostname.clone(),
        conductor_group: options.conductor_group.clone(),
        hardware_types: registry.hardware_types.clone(),
    };
    let sent = Moment::now();
    let row = db.register_conductor(registration).await?;
    Ok(Tenure::new(Term::from(&row), options.lease, sent))
}

impl Engine {
    /// Drives every flow that this conductor had when it ended.
    pub(crate) async fn resume_flows(self: &Arc<Self>) -> Result<usize, DbError> {
        let flows = self.db.flows_of_conductor(&self.options.hostname).await?;
        for row in &flows {
            self.go_on_with(row);
        }
        Ok(flows.len())
    }

    /// Gives signs of life until the service stops, and begins anew when they came too late.
    pub(crate) async fn keep_tenure(self: Arc<Self>) {
        loop {
            tokio::select! {
                () = tokio::time::sleep(self.options.sign_of_life) => {}
                () = self.stop.cancelled() => return,
            }
            let tenure = self.tenure();
            let sent = Moment::now();
            // A connection that leads nowhere must not keep us from noticing it.
            let touched = self.db.touch_conductor(&tenure.term);
            match tokio::time::timeout(self.options.sign_of_life, touched).await {
                Ok(Ok(())) if tenure.renew(sent) => {}
                Ok(Ok(())) => self.begin_anew(&tenure).await,
                Ok(Err(error @ DbError::Fenced { .. })) => {
                    tracing::error!(error = &error as &dyn std::error::Error, "the lease was lost");
                    tenure.end();
                    if self.is_replaced().await {
                        tracing::error!(
                            hostname = self.options.hostname,
                            "another conductor runs under this name: this one stops"
                        );
                        self.replaced.cancel();
                        return;
                    }
                    self.begin_anew(&tenure).await;
                }
                Ok(Err(error)) => {
                    tracing::warn!(error = &error as &dyn std::error::Error, "cannot give a sign of life");
                }
                Err(_) => tracing::warn!("the store does not answer: cannot give a sign of life"),
            }
            if !tenure.holds() {
                tenure.end();
            }
        }
    }

    /// Whether another process registered under this conductor's name and lives.
    async fn is_replaced(&self) -> bool {
        match self.db.get_conductor(&self.options.hostname).await {
            Ok(row) => row.is_some_and(|row| row.online),
            // It will be found out at the next sign of life.
            Err(_) => false,
        }
    }

    async fn begin_anew(self: &Arc<Self>, old: &Tenure) {
        old.end();
        match register(&self.db, &self.registry, &self.options).await {
            Ok(tenure) => {
                tracing::warn!(
                    epoch = tenure.term.epoch,
                    "registered again after signs of life came too late"
                );
                let epoch = tenure.term.epoch;
                // Before anything begins under it: whatever is open now, nobody is at work on.
                let left = self.db.flows_of_conductor(&self.options.hostname).await;
                self.tenure.store(Arc::new(tenure));
                self.epochs.send_replace(epoch);
                match left {
                    Ok(left) => {
                        for row in &left {
                            self.go_on_with(row);
                        }
                    }
                    // Their deadlines bring them back.
                    Err(error) => {
                        tracing::error!(error = &error as &dyn std::error::Error, "cannot read flows");
                    }
                }
            }
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "cannot register again");
            }
        }
    }

    /// Takes up what dead conductors left, each time the conductors were looked at.
    pub(crate) async fn keep_watch(self: Arc<Self>) {
        let mut looks = self.members.looks();
        loop {
            if let Err(error) = self.take_over().await {
                tracing::warn!(error = &error as &dyn std::error::Error, "cannot take over flows");
            }
            if let Err(error) = self.take_up_allocations().await {
                tracing::warn!(error = &error as &dyn std::error::Error, "cannot take over allocations");
            }
            tokio::select! {
                changed = looks.changed() => if changed.is_err() { return },
                () = self.stop.cancelled() => return,
            }
        }
    }

    async fn take_over(self: &Arc<Self>) -> Result<(), DbError> {
        let tenure = self.tenure();
        if !tenure.holds() {
            return Ok(());
        }
        for suspect in self.members.suspects() {
            let other = suspect.hostname != self.options.hostname;
            if other && self.db.declare_conductor_dead(&suspect).await? {
                tracing::error!(
                    conductor = suspect.hostname,
                    silent_since = %suspect.updated_at.unwrap_or(suspect.created_at),
                    "declared dead: it gave no sign of life"
                );
            }
        }
        let strays = self.db.stray_flows().await?;
        let ours: Vec<StrayFlow> = strays.into_iter().filter(|stray| self.is_ours(stray)).collect();
        for batch in ours.chunks(BATCH) {
            for row in self.db.claim_flows(batch.to_vec(), &tenure.term).await? {
                tracing::warn!(node = %row.node, "taken over");
                self.go_on_with(&row);
            }
        }
        Ok(())
    }

    fn is_ours(&self, stray: &StrayFlow) -> bool {
        let owner = self.members.owner_of(stray.node, &stray.driver, &stray.conductor_group);
        owner.as_deref() == Some(&self.options.hostname)
    }
}
