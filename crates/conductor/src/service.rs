//! A conductor as the rest of the process sees it: start, stop, and the requests of the API.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use conductor_api::{
    AgentProgress, Conductors, CurrentBootDevice, Heartbeat, InspectionReport, InterfaceVerdict, Lookup,
    LookupReply, NodeProgress, ProvisionArgs, Reply,
};
use db::{Db, DbError, Registration};
use driver::Registry;
use model::{
    AllocationUuid, BootDevice, BootMode, HardwareType, InterfaceKind, Node, NodeUuid, PowerTarget, Secret,
};
use provision::{Input, Verb};
use serde_json::Value;

use crate::Options;
use crate::engine::Engine;

/// How often a conductor gives a sign of life.
const SIGN_OF_LIFE: Duration = Duration::from_secs(10);

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
    /// Registers it, takes up every flow where its record says, and starts its timers.
    pub async fn start(db: Db, registry: Registry, options: Options) -> Result<Self, StartError> {
        let hardware_types: Arc<[HardwareType]> = registry.hardware_types.clone().into();
        let engine = Arc::new(Engine::new(db, registry, options));
        let conductor = Self { engine, hardware_types };
        conductor.register().await.map_err(StartError::Register)?;
        let flows = conductor.engine.db.list_flows().await.map_err(StartError::Flows)?;
        tracing::info!(
            flows = flows.len(),
            hostname = conductor.engine.options.hostname,
            "conductor started"
        );
        let driven: HashSet<NodeUuid> = flows.iter().map(|row| row.node).collect();
        conductor.engine.fail_orphans(&driven).await.map_err(StartError::Flows)?;
        for row in flows {
            conductor.engine.drive(row.node, Input::Restarted);
        }
        conductor.engine.tasks.spawn(Arc::clone(&conductor.engine).keep_time());
        conductor.engine.tasks.spawn(Arc::clone(&conductor.engine).keep_house());
        conductor.engine.tasks.spawn(Arc::clone(&conductor.engine).take_up_allocations());
        conductor.engine.tasks.spawn(give_signs_of_life(Arc::clone(&conductor.engine)));
        Ok(conductor)
    }

    async fn register(&self) -> Result<(), DbError> {
        let options = &self.engine.options;
        let registration = Registration {
            hostname: options.hostname.clone(),
            conductor_group: options.conductor_group.clone(),
            hardware_types: self.hardware_types.to_vec(),
        };
        self.engine.db.register_conductor(registration).await.map(drop)
    }

    /// Stops: no new effect begins, those under way are left to the journal.
    pub async fn stop(&self) {
        self.engine.stop.cancel();
        self.engine.tasks.close();
        if tokio::time::timeout(STOP_LIMIT, self.engine.tasks.wait()).await.is_err() {
            tracing::warn!("some work did not end in time; it goes on from the journal at the next start");
        }
        if let Err(error) = self.engine.db.set_conductor_offline(&self.engine.options.hostname).await {
            tracing::warn!(error = &error as &dyn std::error::Error, "cannot sign off");
        }
    }
}

async fn give_signs_of_life(engine: Arc<Engine>) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(SIGN_OF_LIFE) => {}
            () = engine.stop.cancelled() => return,
        }
        if let Err(error) = engine.db.touch_conductor(&engine.options.hostname).await {
            tracing::warn!(error = &error as &dyn std::error::Error, "cannot give a sign of life");
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

    fn set_power(&self, node: NodeUuid, target: PowerTarget, timeout: Option<Duration>) -> Reply<'_, ()> {
        Box::pin(self.engine.request_power(node, target, timeout))
    }

    fn validate(&self, node: NodeUuid) -> Reply<'_, BTreeMap<InterfaceKind, InterfaceVerdict>> {
        Box::pin(self.engine.verdicts(node))
    }

    fn boot_device(&self, node: NodeUuid) -> Reply<'_, CurrentBootDevice> {
        Box::pin(self.engine.read_boot_device(node))
    }

    fn set_boot_device(&self, node: NodeUuid, device: BootDevice, persistent: bool) -> Reply<'_, ()> {
        Box::pin(self.engine.write_boot_device(node, device, persistent))
    }

    fn supported_boot_devices(&self, node: NodeUuid) -> Reply<'_, Vec<BootDevice>> {
        Box::pin(self.engine.boot_devices(node))
    }

    fn set_boot_mode(&self, node: NodeUuid, mode: BootMode) -> Reply<'_, ()> {
        Box::pin(self.engine.write_boot_mode(node, mode))
    }

    fn set_secure_boot(&self, node: NodeUuid, on: bool) -> Reply<'_, ()> {
        Box::pin(self.engine.write_secure_boot(node, on))
    }

    fn inject_nmi(&self, node: NodeUuid) -> Reply<'_, ()> {
        Box::pin(self.engine.raise_nmi(node))
    }

    fn vifs(&self, node: NodeUuid) -> Reply<'_, Vec<Value>> {
        Box::pin(self.engine.list_vifs(node))
    }

    fn attach_vif(&self, node: NodeUuid, vif: Value) -> Reply<'_, ()> {
        Box::pin(self.engine.attach(node, vif))
    }

    fn detach_vif(&self, node: NodeUuid, vif: String) -> Reply<'_, ()> {
        Box::pin(self.engine.detach(node, vif))
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
