//! A conductor as the rest of the process sees it: start, stop, and the requests of the API.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use cluster::{Members, Watch};
use conductor_api::{
    AgentProgress, Conductors, CurrentBootDevice, Heartbeat, InspectionReport, InterfaceVerdict, Lookup,
    LookupReply, NodeProgress, ProvisionArgs, Reply,
};
use db::{Db, DbError};
use driver::Registry;
use model::{
    AllocationUuid, BootDevice, BootMode, HardwareType, InterfaceKind, Node, NodeUuid, PowerTarget, Secret,
};
use provision::{Asker, Verb};
use serde_json::Value;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::Options;
use crate::engine::{Engine, Parts};
use crate::membership::register;
use crate::power_sync::Sweep;

/// How long a stop waits for what is under way. The journal has it, so nothing is lost by not waiting longer.
const STOP_LIMIT: Duration = Duration::from_secs(10);

/// The conductor did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// It could not be registered.
    #[error("cannot register the conductor")]
    Register(#[source] DbError),
    /// The flows that were under way could not be read.
    #[error("cannot read the flows that were under way")]
    Flows(#[source] DbError),
}

/// A running conductor.
#[derive(Debug)]
pub struct Conductor {
    pub(crate) engine: Arc<Engine>,
    hardware_types: Arc<[HardwareType]>,
}

impl Conductor {
    /// Registers it, takes up every flow that it had where its record says, and starts its timers.
    pub async fn start(db: Db, registry: Registry, options: Options) -> Result<Self, StartError> {
        let hardware_types: Arc<[HardwareType]> = registry.hardware_types.clone().into();
        let tenure = register(&db, &registry, &options).await.map_err(StartError::Register)?;
        let stop = CancellationToken::new();
        let watch = Watch { every: options.sign_of_life, lease: options.lease };
        let members = Members::start(db.clone(), watch, stop.clone()).await.map_err(StartError::Register)?;
        let engine = Arc::new(Engine::new(Parts { db, registry, options, members, tenure, stop }));
        let conductor = Self { engine, hardware_types };
        conductor.take_up().await.map_err(StartError::Flows)?;
        Ok(conductor)
    }

    async fn take_up(&self) -> Result<(), DbError> {
        let engine = &self.engine;
        engine.fail_orphans().await?;
        let consoles = engine.consoles().await?;
        let resumed = engine.resume_flows().await?;
        tracing::info!(flows = resumed, hostname = engine.options.hostname, "conductor started");
        engine.tasks.spawn(Arc::clone(engine).keep_time());
        engine.tasks.spawn(Arc::clone(engine).keep_house());
        engine.tasks.spawn(Arc::clone(engine).keep_tenure());
        engine.tasks.spawn(Arc::clone(engine).keep_watch());
        engine.tasks.spawn(Arc::clone(engine).keep_consoles(consoles));
        for sweep in [Sweep::Sync, Sweep::Recovery] {
            engine.tasks.spawn(Arc::clone(engine).keep_power(sweep));
        }
        Ok(())
    }

    /// The conductors of the site, as this one sees them.
    pub fn members(&self) -> &Members {
        &self.engine.members
    }

    /// The number of its registration, now and whenever it registers anew.
    pub fn epochs(&self) -> watch::Receiver<i64> {
        self.engine.epochs.subscribe()
    }

    /// Ends when another process has registered under this conductor's name: this one does nothing any more.
    pub async fn replaced(&self) {
        self.engine.replaced.cancelled().await;
    }

    /// Does nothing more: no new effect begins, those under way are left to the journal. Others do not take over yet.
    pub async fn rest(&self) {
        self.engine.stop.cancel();
        self.engine.tasks.close();
        if tokio::time::timeout(STOP_LIMIT, self.engine.tasks.wait()).await.is_err() {
            tracing::warn!("some work did not end in time; it goes on from the journal at the next start");
        }
        self.engine.tenure().end();
    }

    /// Rests, and lets others take over at once. Connections to BMCs are to be closed in between: many BMCs serve one at
    /// a time.
    pub async fn stop(&self) {
        self.rest().await;
        let tenure = self.engine.tenure();
        if let Err(error) = self.engine.db.set_conductor_offline(&tenure.term).await {
            tracing::warn!(error = &error as &dyn std::error::Error, "cannot sign off");
        }
    }
}

impl Conductors for Conductor {
    fn conductor_of(&self, node: &Node) -> Option<String> {
        let ours = self.hardware_types.iter().any(|hardware| hardware.name == node.driver)
            && node.conductor_group == self.engine.options.conductor_group;
        ours.then(|| self.engine.options.hostname.clone())
    }

    fn hardware_types(&self) -> Arc<[HardwareType]> {
        Arc::clone(&self.hardware_types)
    }

    fn hosts_of(&self, hardware_type: &str) -> Vec<String> {
        let ours = self.hardware_types.iter().any(|hardware| hardware.name == hardware_type);
        if ours { vec![self.engine.options.hostname.clone()] } else { Vec::new() }
    }

    fn provision(&self, node: NodeUuid, verb: Verb, args: ProvisionArgs) -> Reply<'_, ()> {
        Box::pin(self.engine.request_provision(node, verb, args))
    }

    fn set_power(
        &self,
        node: NodeUuid,
        target: PowerTarget,
        timeout: Option<Duration>,
        asker: Asker,
    ) -> Reply<'_, ()> {
        Box::pin(self.engine.request_power(node, target, timeout, asker))
    }

    fn validate(&self, node: NodeUuid) -> Reply<'_, BTreeMap<InterfaceKind, InterfaceVerdict>> {
        Box::pin(self.engine.verdicts(node))
    }

    fn boot_device(&self, node: NodeUuid) -> Reply<'_, CurrentBootDevice> {
        Box::pin(self.engine.read_boot_device(node))
    }

    fn set_boot_device(&self, node: NodeUuid, device: BootDevice, persistent: bool) -> Reply<'_, ()> {
        Box::pin(self.engine.while_in_office(self.engine.write_boot_device(node, device, persistent)))
    }

    fn supported_boot_devices(&self, node: NodeUuid) -> Reply<'_, Vec<BootDevice>> {
        Box::pin(self.engine.boot_devices(node))
    }

    fn set_boot_mode(&self, node: NodeUuid, mode: BootMode) -> Reply<'_, ()> {
        Box::pin(self.engine.while_in_office(self.engine.write_boot_mode(node, mode)))
    }

    fn set_secure_boot(&self, node: NodeUuid, on: bool) -> Reply<'_, ()> {
        Box::pin(self.engine.while_in_office(self.engine.write_secure_boot(node, on)))
    }

    fn inject_nmi(&self, node: NodeUuid) -> Reply<'_, ()> {
        Box::pin(self.engine.while_in_office(self.engine.raise_nmi(node)))
    }

    fn vifs(&self, node: NodeUuid) -> Reply<'_, Vec<Value>> {
        Box::pin(self.engine.list_vifs(node))
    }

    fn attach_vif(&self, node: NodeUuid, vif: Value) -> Reply<'_, ()> {
        Box::pin(self.engine.while_in_office(self.engine.attach(node, vif)))
    }

    fn detach_vif(&self, node: NodeUuid, vif: String) -> Reply<'_, ()> {
        Box::pin(self.engine.while_in_office(self.engine.detach(node, vif)))
    }

    fn lookup(&self, lookup: Lookup) -> Reply<'_, LookupReply> {
        Box::pin(self.engine.look_up(lookup))
    }

    fn inspected(&self, report: InspectionReport) -> Reply<'_, LookupReply> {
        Box::pin(self.engine.take_inspection(report))
    }

    fn heartbeat(&self, node: NodeUuid, heartbeat: Heartbeat) -> Reply<'_, ()> {
        Box::pin(self.engine.take_heartbeat(node, heartbeat))
    }

    fn allocate(&self, allocation: AllocationUuid) -> Reply<'_, ()> {
        Box::pin(async move {
            self.engine.start_allocation(allocation);
            Ok(())
        })
    }

    fn agent_progress(&self, node: NodeUuid, token: Secret, progress: AgentProgress) -> Reply<'_, ()> {
        Box::pin(async move { self.engine.take_progress(node, &token, progress).await })
    }

    fn progress(&self, node: NodeUuid) -> Reply<'_, NodeProgress> {
        Box::pin(self.engine.standing(node))
    }
}
