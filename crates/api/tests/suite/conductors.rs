//! Conductors with knobs, at the seam between API and conductors; the real ones are tested with their own crate.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use conductor_api::{
    AgentProgress, Conductors, CurrentBootDevice, Heartbeat, InspectionReport, InterfaceVerdict, Lookup,
    LookupReply, NodeProgress, ProvisionArgs, Reply, RequestError,
};
use model::{
    AllocationUuid, BootDevice, BootMode, HardwareType, InterfaceKind, JsonObject, Node, NodeUuid,
    PowerTarget, Secret, Timestamp,
};
use provision::Verb;
use serde_json::{Value, json};

pub(crate) const HOST: &str = "conductor-1";

/// Answers everything with success, unless told otherwise, and writes down what it was asked.
pub(crate) struct Fake {
    /// Nobody is in charge of anything.
    pub(crate) absent: AtomicBool,
    /// Nothing is ever answered.
    pub(crate) stalled: AtomicBool,
    /// What every request is refused with.
    pub(crate) refusal: Mutex<Option<RequestError>>,
    /// What was asked, in order.
    pub(crate) calls: Mutex<Vec<String>>,
    /// The node that lookups find.
    pub(crate) found: Mutex<Option<Node>>,
    types: Arc<[HardwareType]>,
}

impl Fake {
    pub(crate) fn new() -> Self {
        Self {
            absent: AtomicBool::new(false),
            stalled: AtomicBool::new(false),
            refusal: Mutex::default(),
            calls: Mutex::default(),
            found: Mutex::default(),
            types: Arc::new([
                hardware("fake-hardware", &["fake", "other"]),
                hardware("ipmi", &["ipmitool", "other"]),
            ]),
        }
    }

    pub(crate) fn taken(&self) -> Vec<String> {
        std::mem::take(&mut self.calls.lock().unwrap())
    }

    pub(crate) fn answer<T: Send + 'static>(&self, call: String, value: T) -> Reply<'_, T> {
        self.calls.lock().unwrap().push(call);
        let refusal = self.refusal.lock().unwrap().clone();
        let is_stalled = self.stalled.load(Ordering::Relaxed);
        Box::pin(async move {
            if is_stalled {
                std::future::pending::<()>().await;
            }
            refusal.map_or(Ok(value), Err)
        })
    }
}

fn hardware(name: &str, implementations: &[&str]) -> HardwareType {
    let names: Vec<String> = implementations.iter().map(|&name| name.to_owned()).collect();
    HardwareType {
        name: name.to_owned(),
        interfaces: InterfaceKind::ALL.into_iter().map(|kind| (kind, names.clone())).collect(),
        properties: BTreeMap::from([(format!("{name}_address"), "Address of the BMC. Required.".to_owned())]),
    }
}

impl Conductors for Fake {
    fn conductor_of(&self, _: &Node) -> Option<String> {
        (!self.absent.load(Ordering::Relaxed)).then(|| HOST.to_owned())
    }

    fn hardware_types(&self) -> Arc<[HardwareType]> {
        Arc::clone(&self.types)
    }

    fn hosts_of(&self, _: &str) -> Vec<String> {
        vec![HOST.to_owned()]
    }

    fn provision(&self, _: NodeUuid, verb: Verb, args: ProvisionArgs) -> Reply<'_, ()> {
        let steps =
            args.clean_steps.or(args.deploy_steps).or(args.service_steps).map_or(0, |steps| steps.len());
        let drive = args.configdrive.map(|drive| drive.to_string()).unwrap_or_default();
        let password = args.rescue_password.map(|password| password.expose().to_owned()).unwrap_or_default();
        self.answer(format!("provision {verb} steps={steps} drive={drive} password={password}"), ())
    }

    fn set_power(
        &self,
        _: NodeUuid,
        target: PowerTarget,
        timeout: Option<Duration>,
        asker: provision::Asker,
    ) -> Reply<'_, ()> {
        let asker = asker.user.map_or(String::new(), |user| format!(" for {user}"));
        self.answer(format!("set_power {target} {timeout:?}{asker}"), ())
    }

    fn validate(&self, _: NodeUuid) -> Reply<'_, BTreeMap<InterfaceKind, InterfaceVerdict>> {
        let good = InterfaceVerdict { result: Some(true), reason: None };
        let mut verdicts: BTreeMap<_, _> =
            InterfaceKind::ALL.into_iter().map(|kind| (kind, good.clone())).collect();
        let bad = InterfaceVerdict { result: Some(false), reason: Some("address is missing".to_owned()) };
        verdicts.insert(InterfaceKind::Power, bad);
        self.answer("validate".to_owned(), verdicts)
    }

    fn boot_device(&self, _: NodeUuid) -> Reply<'_, CurrentBootDevice> {
        let current = CurrentBootDevice { boot_device: Some(BootDevice::Pxe), persistent: Some(false) };
        self.answer("boot_device".to_owned(), current)
    }

    fn set_boot_device(&self, _: NodeUuid, device: BootDevice, persistent: bool) -> Reply<'_, ()> {
        self.answer(format!("set_boot_device {device} {persistent}"), ())
    }

    fn supported_boot_devices(&self, _: NodeUuid) -> Reply<'_, Vec<BootDevice>> {
        self.answer("supported_boot_devices".to_owned(), vec![BootDevice::Pxe, BootDevice::Disk])
    }

    fn set_boot_mode(&self, _: NodeUuid, mode: BootMode) -> Reply<'_, ()> {
        self.answer(format!("set_boot_mode {mode}"), ())
    }

    fn set_secure_boot(&self, _: NodeUuid, on: bool) -> Reply<'_, ()> {
        self.answer(format!("set_secure_boot {on}"), ())
    }

    fn inject_nmi(&self, _: NodeUuid) -> Reply<'_, ()> {
        self.answer("inject_nmi".to_owned(), ())
    }

    fn vifs(&self, _: NodeUuid) -> Reply<'_, Vec<Value>> {
        self.answer("vifs".to_owned(), vec![json!({"id": "vif-1"})])
    }

    fn attach_vif(&self, _: NodeUuid, vif: Value) -> Reply<'_, ()> {
        self.answer(format!("attach_vif {vif}"), ())
    }

    fn detach_vif(&self, _: NodeUuid, vif: String) -> Reply<'_, ()> {
        self.answer(format!("detach_vif {vif}"), ())
    }

    fn lookup(&self, lookup: Lookup) -> Reply<'_, LookupReply> {
        let call = format!(
            "lookup {} {:?} {}",
            lookup.addresses.len(),
            lookup.node_uuid.is_some(),
            lookup.wants_token
        );
        let node = self.found.lock().unwrap().clone();
        self.calls.lock().unwrap().push(call);
        Box::pin(async move {
            let node = Arc::new(node.ok_or(RequestError::LookupNotFound)?);
            let config = JsonObject::parse(r#"{"heartbeat_timeout": 300, "agent_token": "t"}"#).unwrap();
            Ok(LookupReply { node, config })
        })
    }

    fn inspected(&self, report: InspectionReport) -> Reply<'_, LookupReply> {
        let InspectionReport { node_uuid, addresses, bmc_addresses, data, wants_token } = report;
        let (node_uuid, data) = (node_uuid.is_some(), data.plugin_data);
        let call =
            format!("inspected {node_uuid} {addresses:?} {bmc_addresses:?} {} {wants_token}", data.as_str());
        let found = self.lookup(Lookup::default());
        self.calls.lock().unwrap().pop();
        self.calls.lock().unwrap().push(call);
        found
    }

    fn heartbeat(&self, _: NodeUuid, heartbeat: Heartbeat) -> Reply<'_, ()> {
        let token = heartbeat.agent_token.map(|token| token.expose().to_owned()).unwrap_or_default();
        self.answer(format!("heartbeat {} {token} {:?}", heartbeat.callback_url, heartbeat.agent_version), ())
    }

    fn allocate(&self, _: AllocationUuid) -> Reply<'_, ()> {
        self.answer("allocate".to_owned(), ())
    }

    fn agent_progress(&self, _: NodeUuid, token: Secret, progress: AgentProgress) -> Reply<'_, ()> {
        let AgentProgress { command, phase, bytes_done, bytes_total } = progress;
        self.answer(format!("progress {} {command} {phase} {bytes_done} {bytes_total:?}", token.expose()), ())
    }

    fn progress(&self, _: NodeUuid) -> Reply<'_, NodeProgress> {
        let progress = NodeProgress {
            flow: Some("deploy".to_owned()),
            step: Some("deploy.write_image".to_owned()),
            phase: Some("writing".to_owned()),
            bytes_done: Some(1),
            bytes_total: None,
            since: Some(Timestamp::from_micros(0).to_string()),
            ..NodeProgress::default()
        };
        self.answer("progress".to_owned(), progress)
    }
}
