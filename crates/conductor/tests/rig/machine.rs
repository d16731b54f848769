//! A conductor on a store in a temporary directory, with drivers of one machine that has knobs.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use conductor::{AutomatedCleaning, Conductor, Inspection, Options, PowerSync};
use conductor_api::{Conductors, Heartbeat, Lookup, ProvisionArgs, RequestError};
use db::{Db, HistoryQuery, NodeKey, Scope};
use driver::{
    AgentCall, AgentReply, Answer, Boot, Console, Deploy, DriverError, Inspect, KnownAgent, Management,
    Network, Power, PowerChange, Registry, Rescue, Retry, StepReply, Steps,
};
use model::{
    BootDevice, BootIntent, BootMode, HardwareType, InterfaceKind, Node, NodeUuid, Port, PowerState,
    ProvisionState as S, Secret, Timestamp,
};
use provision::{
    AgentStep, ErrorCode, NetworkChange, Observed, OfferedStep, PlannedStep, Policy, SeenFacts, StepArgument,
    StepList, Verb,
};
use serde_json::{Map, Value, json};
use tempfile::TempDir;

#[path = "freeze.rs"]
mod freeze;

pub(crate) use freeze::Freeze;

/// What the machine does wrong.
#[derive(Clone)]
pub(crate) struct Knobs {
    pub(crate) hostname: &'static str,
    /// Between signs of life of the conductor, and how long it may be silent.
    pub(crate) lease: (Duration, Duration),
    /// The conductor's thread stands still in the action of this number.
    pub(crate) freeze: Option<(usize, Arc<Freeze>)>,
    pub(crate) power_error: Option<ErrorCode>,
    /// A step of the verification fails with this.
    pub(crate) clock_error: Option<ErrorCode>,
    /// Its console does not start.
    pub(crate) console_error: bool,
    pub(crate) panic_in_power: bool,
    pub(crate) silent_agent: bool,
    pub(crate) invalid_image: bool,
    /// Inspected by its ramdisk, not by its BMC.
    pub(crate) in_band: bool,
    /// Unknown machines are enrolled.
    pub(crate) discovers: bool,
    pub(crate) built_in_rules: Vec<inspection::rules::Rule>,
    /// What is made of reports.
    pub(crate) hooks: inspection::hooks::Options,
    /// Every action takes so long.
    pub(crate) slow: Duration,
    /// Actions of drivers never end once so many have: the process is about to die.
    pub(crate) die_after: Option<usize>,
    pub(crate) callback: Duration,
    /// From an answered lookup to the first heartbeat.
    pub(crate) token_timeout: Duration,
    /// Boots whose agent never gets the answer to its lookup.
    pub(crate) lost_answers: usize,
    pub(crate) hears: boot_trace::Hears,
    /// What cleans the node.
    pub(crate) cleaning: AutomatedCleaning,
    /// When the power of the machine is looked at.
    pub(crate) power: PowerSync,
    /// How long an allocation rests before it looks at locked nodes again.
    pub(crate) lock_retry: Duration,
    /// How many effects there is room for.
    pub(crate) room: usize,
    /// How often a node is held on whose effect waits for room.
    pub(crate) hold_on_every: Duration,
}

impl Default for Knobs {
    fn default() -> Self {
        Self {
            hostname: "conductor-1",
            lease: (Duration::from_secs(10), Duration::from_mins(1)),
            freeze: None,
            power_error: None,
            clock_error: None,
            console_error: false,
            panic_in_power: false,
            silent_agent: false,
            invalid_image: false,
            in_band: false,
            discovers: false,
            built_in_rules: Vec::new(),
            hooks: inspection::hooks::Options::default(),
            slow: Duration::ZERO,
            die_after: None,
            callback: Duration::from_mins(1),
            token_timeout: Duration::from_mins(1),
            lost_answers: 0,
            hears: boot_trace::Hears::default(),
            cleaning: AutomatedCleaning::default(),
            power: PowerSync { every: None, recover_every: None, ..PowerSync::default() },
            lock_retry: Duration::from_millis(1),
            room: 1000,
            hold_on_every: Duration::from_secs(20),
        }
    }
}

/// The machine's state; outlives conductors.
#[derive(Default)]
pub(crate) struct Machine {
    pub(crate) on: bool,
    /// Its BMC does not answer.
    pub(crate) dead: bool,
    /// Its BMC takes commands, and nothing happens.
    pub(crate) stuck: bool,
    /// How often its power was to be changed.
    pub(crate) switched: usize,
    pub(crate) writes: usize,
    pub(crate) erasures: usize,
    pub(crate) actions: usize,
    /// Actions that went on after the conductor's thread had stood still.
    pub(crate) late: usize,
    /// What the agent of this boot was told.
    token: Option<(String, Secret)>,
    network_boot: bool,
    agent: Option<String>,
    boots: usize,
    commands: Vec<String>,
    /// What the step `vendor.note` was told, of which node.
    pub(crate) notes: Vec<(NodeUuid, String)>,
    polls: usize,
    /// Answers to lookups so far.
    answers: usize,
    /// Which conductors started its console, and whether it runs.
    pub(crate) consoles: (Vec<&'static str>, bool),
    /// The hash that an agent was given for its user.
    pub(crate) rescued: Option<String>,
    /// How often one was.
    pub(crate) openings: usize,
    /// What its BMC tells with its power.
    pub(crate) facts: SeenFacts,
    /// It is open to its user, and its agent gone.
    opened: bool,
}

#[derive(Clone)]
struct Hardware {
    knobs: Knobs,
    machine: Arc<Mutex<Machine>>,
}

impl Hardware {
    fn lock(&self) -> MutexGuard<'_, Machine> {
        self.machine.lock().unwrap()
    }

    /// Counts an action, takes its time, and never returns when the process is about to die.
    async fn act(&self) {
        let number = {
            let mut machine = self.lock();
            machine.actions += 1;
            machine.actions
        };
        if self.knobs.die_after.is_some_and(|limit| number > limit) {
            std::future::pending::<()>().await;
        }
        if !self.knobs.slow.is_zero() {
            tokio::time::sleep(self.knobs.slow).await;
        }
        if let Some((_, freeze)) = self.knobs.freeze.as_ref().filter(|(at, _)| *at == number) {
            freeze.wait();
            // A BMC is asked over the network: between any two packets others run.
            tokio::task::yield_now().await;
            self.lock().late += 1;
        }
    }

    fn begin(&self, step: String) {
        let mut machine = self.lock();
        match step.as_str() {
            "write_image" => machine.writes += 1,
            _ => machine.erasures += 1,
        }
        machine.commands.push(step);
    }

    fn failing(&self) -> Result<(), DriverError> {
        assert!(!self.knobs.panic_in_power, "a driver that panics");
        let dead = self.lock().dead.then_some(ErrorCode::BmcUnreachable);
        match self.knobs.power_error.or(dead) {
            Some(code) => Err(DriverError::new(code, Retry::Transient, "no answer from the BMC.")),
            None => Ok(()),
        }
    }
}

impl Power for Hardware {
    fn validate(&self, _: &Node) -> Result<(), DriverError> {
        Ok(())
    }

    fn state<'a>(&'a self, _: &'a Node) -> Answer<'a, PowerState> {
        Box::pin(async {
            self.act().await;
            self.failing()?;
            Ok(if self.lock().on { PowerState::On } else { PowerState::Off })
        })
    }

    fn look<'a>(&'a self, node: &'a Node, thorough: bool) -> Answer<'a, (PowerState, SeenFacts)> {
        Box::pin(async move {
            let state = self.state(node).await?;
            let mut facts = self.lock().facts.clone();
            facts.secure_boot = facts.secure_boot.filter(|_| thorough);
            Ok((state, facts))
        })
    }

    fn change<'a>(&'a self, node: &'a Node, change: PowerChange) -> Answer<'a, PowerState> {
        Box::pin(async move {
            self.act().await;
            self.failing()?;
            let mut machine = self.lock();
            machine.switched += 1;
            if machine.stuck {
                return Err(DriverError::new(
                    ErrorCode::PowerStuck,
                    Retry::NeedsOperator,
                    "nothing happened.",
                ));
            }
            machine.opened = false;
            if change == PowerChange::Reset {
                machine.on = false;
                machine.agent = None;
            }
            if matches!(change, PowerChange::On | PowerChange::Reset) {
                if !machine.on && machine.network_boot && node.boot_intent == BootIntent::Ramdisk {
                    machine.boots += 1;
                    machine.agent = Some(format!("boot {}", machine.boots));
                    machine.commands.clear();
                }
                machine.on = true;
                return Ok(PowerState::On);
            }
            machine.on = false;
            machine.agent = None;
            Ok(PowerState::Off)
        })
    }
}

impl Management for Hardware {
    fn validate(&self, _: &Node) -> Result<(), DriverError> {
        Ok(())
    }

    fn supported_boot_devices(&self, _: &Node) -> Vec<BootDevice> {
        vec![BootDevice::Pxe, BootDevice::Disk]
    }

    fn boot_device<'a>(&'a self, _: &'a Node) -> Answer<'a, (Option<BootDevice>, Option<bool>)> {
        Box::pin(async { Ok((Some(BootDevice::Disk), Some(true))) })
    }

    fn set_boot_device<'a>(&'a self, _: &'a Node, device: BootDevice, _: bool) -> Answer<'a, ()> {
        Box::pin(async move {
            self.act().await;
            self.lock().network_boot = device == BootDevice::Pxe;
            Ok(())
        })
    }

    fn set_boot_mode<'a>(&'a self, _: &'a Node, _: BootMode) -> Option<Answer<'a, ()>> {
        None
    }

    fn set_secure_boot<'a>(&'a self, _: &'a Node, _: bool) -> Option<Answer<'a, ()>> {
        None
    }

    fn inject_nmi<'a>(&'a self, _: &'a Node) -> Option<Answer<'a, ()>> {
        None
    }

    fn facts<'a>(&'a self, _: &'a Node) -> Answer<'a, Observed> {
        Box::pin(async { Ok(Observed::default()) })
    }
}

impl Console for Hardware {
    fn validate(&self, _: &Node) -> Result<(), DriverError> {
        Ok(())
    }

    fn start<'a>(&'a self, _: &'a Node) -> Answer<'a, ()> {
        Box::pin(async {
            if self.knobs.console_error {
                return Err(DriverError::new(ErrorCode::BmcRefused, Retry::NeedsOperator, "no console."));
            }
            let mut machine = self.lock();
            machine.consoles.0.push(self.knobs.hostname);
            machine.consoles.1 = true;
            Ok(())
        })
    }

    fn stop<'a>(&'a self, _: &'a Node) -> Answer<'a, ()> {
        Box::pin(async {
            self.lock().consoles.1 = false;
            Ok(())
        })
    }

    fn info<'a>(&'a self, _: &'a Node) -> Answer<'a, Value> {
        Box::pin(async { Ok(json!({})) })
    }
}

impl Boot for Hardware {
    fn validate(&self, _: &Node) -> Result<(), DriverError> {
        Ok(())
    }
}

impl Inspect for Hardware {
    fn validate(&self, _: &Node) -> Result<(), DriverError> {
        Ok(())
    }

    fn steps(&self, _: &Node) -> Vec<PlannedStep> {
        if self.knobs.in_band {
            return provision::flow::inspect::in_band();
        }
        provision::flow::inspect::out_of_band()
    }

    fn inspect<'a>(&'a self, _: &'a Node) -> Answer<'a, Observed> {
        Box::pin(async {
            self.act().await;
            if self.knobs.in_band {
                return Ok(Observed::default());
            }
            let properties = Map::from_iter([("cpu_arch".to_owned(), json!("x86_64"))]);
            Ok(Observed { properties, ..Observed::default() })
        })
    }
}

impl Rescue for Hardware {
    fn validate(&self, _: &Node) -> Result<(), DriverError> {
        Ok(())
    }

    fn rescue_steps(&self, _: &Node) -> Vec<PlannedStep> {
        provision::flow::rescue::in_band()
    }

    fn unrescue_steps(&self, _: &Node) -> Vec<PlannedStep> {
        provision::flow::rescue::leave()
    }
}

/// A step that ends at once, and one that the hardware takes its time for.
impl Steps for Hardware {
    fn offered(&self, _: &Node) -> Vec<OfferedStep> {
        const WORD: &[StepArgument] =
            &[StepArgument { name: "word", required: true, description: "what to note" }];
        [StepList::Clean, StepList::Service, StepList::Deploy]
            .into_iter()
            .flat_map(|list| {
                let row = |name| OfferedStep {
                    requires_ramdisk: false,
                    ..OfferedStep::new(list, InterfaceKind::Vendor, name)
                };
                [OfferedStep { arguments: WORD, ..row("note") }, row("slow")]
            })
            .chain(self.knobs.clock_error.map(|_| OfferedStep {
                priority: 1,
                ..OfferedStep::new(StepList::Verify, InterfaceKind::Vendor, "verify_clock")
            }))
            .collect()
    }

    fn run<'a>(&'a self, node: &'a Node, _: StepList, step: &'a PlannedStep) -> Answer<'a, StepReply> {
        Box::pin(async move {
            self.act().await;
            if let Some(code) = self.knobs.clock_error.filter(|_| step.step == "verify_clock") {
                return Err(DriverError::new(code, Retry::NeedsOperator, "the clock is wrong."));
            }
            if step.step == "note" {
                let word = step.args.get_str("word").unwrap_or_default();
                self.lock().notes.push((node.uuid, word));
                return Ok(StepReply::done());
            }
            let mut reply = StepReply::waiting(Duration::from_secs(1), Duration::from_mins(1));
            if let StepReply::Waiting(wait) = &mut reply {
                wait.observed.internal.insert("task".to_owned(), json!("/Tasks/1"));
            }
            Ok(reply)
        })
    }

    fn poll<'a>(&'a self, node: &'a Node, _: StepList, _: &'a PlannedStep) -> Answer<'a, StepReply> {
        Box::pin(async move {
            assert_eq!(node.driver_internal_info.get_str("task").as_deref(), Some("/Tasks/1"));
            let polls = {
                let mut machine = self.lock();
                machine.polls += 1;
                machine.polls
            };
            if polls == 1 {
                let text = "the BMC is busy.";
                return Err(DriverError::new(ErrorCode::BmcUnreachable, Retry::Transient, text));
            }
            let internal = Map::from_iter([("task".to_owned(), Value::Null)]);
            Ok(StepReply::Done(Box::new(Observed { internal, ..Observed::default() })))
        })
    }
}

impl Network for Hardware {
    fn validate(&self, _: &Node) -> Result<(), DriverError> {
        Ok(())
    }

    fn change<'a>(&'a self, _: &'a Node, _: NetworkChange) -> Answer<'a, ()> {
        Box::pin(async { Ok(()) })
    }

    fn vifs<'a>(&'a self, _: &'a Node) -> Answer<'a, Vec<Value>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    fn attach_vif<'a>(&'a self, _: &'a Node, _: Value) -> Answer<'a, ()> {
        Box::pin(async { Ok(()) })
    }

    fn detach_vif<'a>(&'a self, _: &'a Node, _: String) -> Answer<'a, ()> {
        Box::pin(async { Ok(()) })
    }
}

impl Deploy for Hardware {
    fn validate(&self, _: &Node) -> Result<(), DriverError> {
        if self.knobs.invalid_image {
            return Err(DriverError::instance_info("instance_info has no image_source."));
        }
        Ok(())
    }

    fn deploy_steps(&self, _: &Node) -> Vec<PlannedStep> {
        provision::flow::deploy::direct()
    }

    fn clean_steps(&self, _: &Node) -> Vec<PlannedStep> {
        provision::flow::clean::in_band()
    }

    fn service_steps(&self, _: &Node) -> Vec<PlannedStep> {
        provision::flow::service::in_band()
    }

    fn prepare_image<'a>(&'a self, _: &'a Node) -> Answer<'a, Observed> {
        Box::pin(async {
            self.act().await;
            Ok(Observed::default())
        })
    }

    fn agent<'a>(&'a self, node: &'a Node, call: AgentCall, known: KnownAgent<'a>) -> Answer<'a, AgentReply> {
        Box::pin(async move {
            let lost = || DriverError::new(ErrorCode::AgentLost, Retry::Transient, "there is no agent.");
            if call == AgentCall::AskRescue {
                self.act().await;
                let machine = self.lock();
                return match &machine.agent {
                    _ if machine.opened => Ok(AgentReply::Done(Box::default())),
                    Some(_) => Ok(AgentReply::NotFound),
                    None => Err(lost()),
                };
            }
            let started = self.lock().agent.clone().ok_or_else(lost)?;
            match call {
                AgentCall::Steps(_) => {
                    self.act().await;
                    let cleaning = node.provision_state == S::Cleaning;
                    let step = AgentStep {
                        interface: "deploy".to_owned(),
                        step: "erase_devices_metadata".to_owned(),
                        priority: if cleaning { 99 } else { 0 },
                        abortable: true,
                        reboot_requested: false,
                    };
                    Ok(AgentReply::Done(Box::new(Observed {
                        steps: vec![step],
                        agent_started_at: Some(started),
                        agent_command: Some(self.lock().commands.len().to_string()),
                        ..Observed::default()
                    })))
                }
                AgentCall::Run(_, step) => {
                    self.begin(step.step);
                    self.act().await;
                    Ok(AgentReply::Running)
                }
                AgentCall::Ask(_, step) => {
                    self.act().await;
                    if known.started_at.is_some_and(|known| known != started) {
                        let text = "the agent started anew.";
                        return Err(DriverError::new(ErrorCode::AgentRestarted, Retry::NeedsOperator, text));
                    }
                    let ended = known.command.map_or(0, |known| known.parse().unwrap());
                    let commands = &self.lock().commands;
                    let sent = commands.iter().enumerate().skip(ended).find(|(_, sent)| **sent == step.step);
                    let Some((at, _)) = sent else { return Ok(AgentReply::NotFound) };
                    let agent_command = Some((at + 1).to_string());
                    Ok(AgentReply::Done(Box::new(Observed { agent_command, ..Observed::default() })))
                }
                AgentCall::FinalizeRescue => {
                    {
                        let mut machine = self.lock();
                        machine.rescued = node.instance_info.get_str("hashed_rescue_password");
                        machine.openings += 1;
                        // From now on it serves its user, and no conductor.
                        machine.opened = true;
                        machine.agent = None;
                    }
                    self.act().await;
                    Ok(AgentReply::Done(Box::default()))
                }
                _ => {
                    self.act().await;
                    Ok(AgentReply::Done(Box::default()))
                }
            }
        })
    }
}

/// A store and a machine that several conductors share.
pub(crate) struct Site {
    pub(crate) machine: Arc<Mutex<Machine>>,
    pub(crate) uuid: NodeUuid,
    dir: Arc<TempDir>,
}

/// The whole arrangement.
pub(crate) struct Rig {
    pub(crate) uuid: NodeUuid,
    hardware: Hardware,
    conductor: Arc<Conductor>,
    agent: tokio::task::JoinHandle<()>,
    db: Db,
    dir: Arc<TempDir>,
}

impl Rig {
    pub(crate) async fn start(knobs: Knobs) -> Self {
        let dir = Arc::new(tempfile::tempdir().unwrap());
        let db = open(&dir).await;
        let hardware = Hardware { knobs, machine: Arc::default() };
        let mut node = Node::new("test", Timestamp::now());
        for kind in InterfaceKind::ALL {
            node.interfaces.set(kind, Some("test".to_owned()));
        }
        let node = db.create_node(node).await.unwrap();
        let port = Port::new(node.uuid, "52:54:00:00:00:01".parse().unwrap(), Timestamp::now());
        db.create_port(port).await.unwrap();
        Self::with(dir, db, hardware, node.uuid).await
    }

    async fn with(dir: Arc<TempDir>, db: Db, hardware: Hardware, uuid: NodeUuid) -> Self {
        let options = Options {
            hostname: hardware.knobs.hostname.to_owned(),
            sign_of_life: hardware.knobs.lease.0,
            lease: hardware.knobs.lease.1,
            hears: hardware.knobs.hears,
            cleaning: hardware.knobs.cleaning.clone(),
            power: hardware.knobs.power.clone(),
            lock_retry: hardware.knobs.lock_retry,
            max_effects: hardware.knobs.room,
            hold_on_every: hardware.knobs.hold_on_every,
            inspection: Inspection {
                discovery: hardware.knobs.discovers.then(|| "test".to_owned()),
                built_in: hardware.knobs.built_in_rules.clone(),
                hooks: hardware.knobs.hooks.clone(),
                ..Inspection::default()
            },
            policy: Policy {
                callback_timeout: hardware.knobs.callback,
                token_timeout: hardware.knobs.token_timeout,
                ..Policy::default()
            },
            ..Options::default()
        };
        let conductor = Arc::new(Conductor::start(db.clone(), registry(&hardware), options).await.unwrap());
        let agent = tokio::spawn(call_home(Arc::clone(&conductor), hardware.clone(), uuid));
        Self { uuid, hardware, conductor, agent, db, dir }
    }

    /// What another conductor needs to work on the same node.
    pub(crate) fn site(&self) -> Site {
        let machine = Arc::clone(&self.hardware.machine);
        Site { machine, uuid: self.uuid, dir: Arc::clone(&self.dir) }
    }

    /// Another conductor on the same store, with the same machine.
    pub(crate) async fn beside(site: Site, knobs: Knobs) -> Self {
        let db = open(&site.dir).await;
        Self::with(site.dir, db, Hardware { knobs, machine: site.machine }, site.uuid).await
    }

    /// The process dies as it stands, and a new one starts on its store.
    pub(crate) async fn reborn(self) -> Self {
        let knobs = Knobs { die_after: None, ..self.hardware.knobs.clone() };
        self.reborn_with(knobs).await
    }

    /// The same, and the world has changed meanwhile.
    pub(crate) async fn reborn_with(self, knobs: Knobs) -> Self {
        let reached = |rig: &Self| {
            let machine = rig.hardware.lock();
            rig.hardware.knobs.die_after.is_none_or(|limit| machine.actions > limit)
        };
        let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
        while !reached(&self) && tokio::time::Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        self.agent.abort();
        // Stopping drops what is under way without recording its end, as a kill does.
        self.conductor.stop().await;
        let Self { uuid, mut hardware, db, dir, .. } = self;
        db.close().await;
        hardware.knobs = knobs;
        let db = open(&dir).await;
        Self::with(dir, db, hardware, uuid).await
    }

    pub(crate) fn conductor(&self) -> &Arc<Conductor> {
        &self.conductor
    }

    pub(crate) fn machine(&self) -> MutexGuard<'_, Machine> {
        self.hardware.lock()
    }

    pub(crate) async fn node(&self) -> Node {
        self.db.get_node(&NodeKey::Uuid(self.uuid), &Scope::All).await.unwrap().unwrap()
    }

    pub(crate) async fn history(&self) -> Vec<String> {
        let entries = self
            .db
            .history(&HistoryQuery { node: self.uuid, descending: false, marker: None, limit: 300 })
            .await
            .unwrap();
        entries.into_iter().map(|entry| entry.event).collect()
    }

    pub(crate) async fn set_state(&self, state: S) {
        let before = self.node().await;
        let after = Node { provision_state: state, ..before.clone() };
        self.db.update_node(&before, after).await.unwrap();
    }

    pub(crate) async fn request(&self, verb: Verb) -> Result<(), RequestError> {
        self.request_with(verb, ProvisionArgs::default()).await
    }

    pub(crate) async fn request_with(&self, verb: Verb, args: ProvisionArgs) -> Result<(), RequestError> {
        self.conductor.provision(self.uuid, verb, args).await
    }

    pub(crate) fn db(&self) -> &Db {
        &self.db
    }

    pub(crate) async fn ask(&self, verb: Verb, end: S) {
        self.request(verb).await.unwrap();
        self.until(end).await;
    }

    pub(crate) async fn until(&self, state: S) -> Node {
        self.until_true(|node| node.provision_state == state, state.as_str()).await
    }

    pub(crate) async fn until_idle(&self) -> Node {
        self.until_true(|node| node.target_power_state.is_none(), "no target power state").await
    }

    pub(crate) async fn until_noted(&self, count: usize) {
        self.until_true(|_| self.machine().notes.len() >= count, "noted").await;
    }

    pub(crate) async fn until_true(&self, fits: impl Fn(&Node) -> bool, what: &str) -> Node {
        let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
        loop {
            let node = self.node().await;
            if fits(&node) {
                return node;
            }
            let late = tokio::time::Instant::now() > deadline;
            assert!(!late, "not {what} but {}: {:?}", node.provision_state, node.last_error);
            tokio::time::sleep(Duration::from_millis(3)).await;
        }
    }

    pub(crate) async fn stop(self) {
        self.agent.abort();
        self.conductor.stop().await;
    }
}

async fn open(dir: &TempDir) -> Db {
    let url = db::DatabaseUrl::sqlite(dir.path().join("test.db"));
    Db::open(&db::Options::new(url)).await.unwrap()
}

/// The agent of whatever boot the machine is in: asks who it is, and calls again and again.
async fn call_home(conductor: Arc<Conductor>, hardware: Hardware, uuid: NodeUuid) {
    loop {
        tokio::time::sleep(Duration::from_millis(5)).await;
        let boot = hardware.lock().agent.clone();
        let Some(boot) = boot.filter(|_| !hardware.knobs.silent_agent) else { continue };
        let known = hardware.lock().token.clone();
        if known.as_ref().is_none_or(|(of, _)| *of != boot) {
            let lookup = Lookup { addresses: vec![], node_uuid: Some(uuid), wants_token: true };
            let Ok(reply) = conductor.lookup(lookup).await else { continue };
            let Some(token) = reply.config.get_str("agent_token").map(Secret::new) else { continue };
            let mut machine = hardware.lock();
            machine.answers += 1;
            let lost = machine.answers <= hardware.knobs.lost_answers;
            let token = if lost { Secret::new("the answer never came") } else { token };
            machine.token = Some((boot.clone(), token));
        }
        let Some((_, token)) = hardware.lock().token.clone().filter(|(of, _)| *of == boot) else { continue };
        let beat = Heartbeat {
            callback_url: "https://10.0.0.1:9999".to_owned(),
            agent_version: Some("1".to_owned()),
            agent_token: Some(token),
            agent_verify_ca: None,
            agent_status: None,
            agent_status_message: None,
        };
        let _ = conductor.heartbeat(uuid, beat).await;
    }
}

fn registry(hardware: &Hardware) -> Registry {
    let interfaces = InterfaceKind::ALL.into_iter().map(|kind| (kind, vec!["test".to_owned()])).collect();
    let mut registry = Registry {
        hardware_types: vec![HardwareType {
            name: "test".to_owned(),
            interfaces,
            properties: BTreeMap::new(),
        }],
        ..Registry::default()
    };
    let one = || Arc::new(hardware.clone());
    registry.power.insert("test", one());
    registry.management.insert("test", one());
    registry.boot.insert("test", one());
    registry.deploy.insert("test", one());
    registry.network.insert("test", one());
    registry.inspect.insert("test", one());
    registry.rescue.insert("test", one());
    registry.console.insert("test", one());
    registry.steps.insert((InterfaceKind::Vendor, "test"), one());
    registry
}
