//! A machine: power, boot device, disk, faults, and the list of what was done to it. Knows neither sockets nor
//! protocols; what runs on it is in `life` and `agent`, what switches it is in `chassis`.

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ipmi::command::boot::{BootDevice, BootFlags};
use rand::RngExt as _;
use rand::rngs::SmallRng;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::fault::{Fault, FaultKind};
use crate::fleet::Shared;
use crate::identity::{Credentials, Identity};
use crate::life;
use crate::operation::{BmcCommand, BmcOrder, Operation, OperationKind, Outcome};
use crate::options::Span;

/// Operations kept per machine; more than any test makes and little enough for thousands of machines.
const MAX_OPERATIONS: usize = 1000;

/// What runs on a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Phase {
    /// Nothing: no power.
    Off,
    /// Firmware, until it has chosen what to boot.
    Firmware,
    /// The ramdisk boots.
    RamdiskBooting,
    /// The agent runs.
    Agent,
    /// The ramdisk is up and its agent is not, or no longer.
    AgentGone,
    /// The operating system on the disk.
    OwnSystem,
    /// The firmware found nothing to boot.
    NothingToBoot,
}

/// A machine at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MachineState {
    /// Whether it has power.
    pub powered: bool,
    /// What runs.
    pub phase: Phase,
    /// Times it was started or reset.
    pub boots: u32,
    /// Heartbeats that the API accepted.
    pub heartbeats: u64,
    /// Identifier of the image on the disk.
    pub image: Option<String>,
    /// Whether a config drive was written with it.
    pub config_drive: bool,
    /// The boot device that the BMC was told.
    pub boot_device: BootDevice,
    /// Whether that holds for more than one boot.
    pub boot_persistent: bool,
    /// Where the agent takes commands.
    pub agent_url: Option<String>,
    /// Why the machine or its agent could not do something, the last such text.
    pub last_problem: Option<String>,
}

/// One machine. Shared by its BMC, its agent and the tests.
#[derive(Debug)]
pub struct Machine {
    pub(crate) identity: Identity,
    pub(crate) bmc_address: SocketAddr,
    credentials: Credentials,
    pub(crate) shared: Arc<Shared>,
    inner: Mutex<Inner>,
    changed: Notify,
}

#[derive(Debug)]
struct Inner {
    state: MachineState,
    flags: BootFlags,
    faults: Vec<Fault>,
    operations: Vec<Operation>,
    /// Consoles that waited for an answer of the BMC at once, at most.
    consoles: usize,
    /// What the BMC was told.
    orders: Vec<BmcOrder>,
    random: SmallRng,
    /// Ends everything that runs on the machine.
    power: Option<CancellationToken>,
}

impl Machine {
    pub(crate) fn new(
        identity: Identity,
        bmc_address: SocketAddr,
        credentials: Credentials,
        shared: Arc<Shared>,
        faults: Vec<Fault>,
        random: SmallRng,
    ) -> Self {
        let state = MachineState {
            powered: false,
            phase: Phase::Off,
            boots: 0,
            heartbeats: 0,
            image: None,
            config_drive: false,
            boot_device: BootDevice::NoOverride,
            boot_persistent: false,
            agent_url: None,
            last_problem: None,
        };
        let inner = Inner {
            state,
            flags: BootFlags::default(),
            faults,
            operations: Vec::new(),
            consoles: 0,
            orders: Vec::new(),
            random,
            power: None,
        };
        Self { identity, bmc_address, credentials, shared, inner: Mutex::new(inner), changed: Notify::new() }
    }

    /// Its number in the fleet, from 0.
    pub fn index(&self) -> usize {
        self.identity.index
    }

    /// Its name, `sim-00042`.
    pub fn name(&self) -> &str {
        &self.identity.name
    }

    /// Its UUID, which the BMC tells as system GUID; also the node's UUID when the fleet enrols itself.
    pub fn uuid(&self) -> Uuid {
        self.identity.uuid
    }

    /// MAC address of the interface it boots from, lower-case with colons.
    pub fn mac(&self) -> &str {
        &self.identity.mac
    }

    /// Where its BMC listens (UDP).
    pub fn bmc_address(&self) -> SocketAddr {
        self.bmc_address
    }

    /// The login that works unless the machine has [`Fault::WrongPassword`].
    pub fn credentials(&self) -> &Credentials {
        &self.credentials
    }

    /// The machine now.
    pub fn state(&self) -> MachineState {
        self.inner().state.clone()
    }

    /// Waits until `wanted` holds and gives that state; `None` when it does not within `deadline`.
    pub async fn wait_for(
        &self,
        deadline: Duration,
        wanted: impl Fn(&MachineState) -> bool + Send,
    ) -> Option<MachineState> {
        let wait = async {
            loop {
                let mut changed = pin!(self.changed.notified());
                // From here on no change is missed.
                changed.as_mut().enable();
                let state = self.state();
                if wanted(&state) {
                    return state;
                }
                changed.await;
            }
        };
        tokio::time::timeout(deadline, wait).await.ok()
    }

    /// What was done to its disks, in order; the first thousand.
    pub fn operations(&self) -> Vec<Operation> {
        self.inner().operations.clone()
    }

    /// How many consoles waited for an answer of its BMC at the same moment, at most so far.
    pub fn most_consoles(&self) -> usize {
        self.inner().consoles
    }

    /// What its BMC was told and carried out, in order; the first thousand.
    pub fn bmc_orders(&self) -> Vec<BmcOrder> {
        self.inner().orders.clone()
    }

    /// Counts consoles anew, and forgets what they told the BMC.
    pub fn forget_consoles(&self) {
        let mut inner = self.inner();
        inner.consoles = 0;
        inner.orders.clear();
    }

    pub(crate) fn note_order(&self, console: SocketAddr, what: BmcCommand) {
        let at = self.shared.elapsed();
        let mut inner = self.inner();
        if inner.orders.len() < MAX_OPERATIONS {
            inner.orders.push(BmcOrder { console, what, at });
        }
    }

    pub(crate) fn note_consoles(&self, waiting: usize) {
        let mut inner = self.inner();
        inner.consoles = inner.consoles.max(waiting);
    }

    /// Its faults.
    pub fn faults(&self) -> Vec<Fault> {
        self.inner().faults.clone()
    }

    /// Breaks something, from now on. Replaces a fault of the same kind.
    pub fn inject_fault(&self, fault: Fault) {
        let mut inner = self.inner();
        inner.faults.retain(|other| other.kind() != fault.kind());
        inner.faults.push(fault);
    }

    /// Mends something.
    pub fn clear_fault(&self, kind: FaultKind) {
        self.inner().faults.retain(|fault| fault.kind() != kind);
    }

    /// Presses the power button of a machine that is off; nothing when it is on.
    pub fn power_on(self: &Arc<Self>) {
        let mut inner = self.inner();
        if !inner.state.powered {
            self.start(&mut inner);
        }
    }

    /// Pulls the plug; nothing when it is off.
    pub fn power_off(&self) {
        let mut inner = self.inner();
        inner.stop(self.shared.elapsed());
        drop(inner);
        self.changed.notify_waiters();
    }

    /// Starts it anew; nothing when it is off.
    pub fn reset(self: &Arc<Self>) {
        let mut inner = self.inner();
        if inner.state.powered {
            inner.stop(self.shared.elapsed());
            self.start(&mut inner);
        }
    }

    fn start(self: &Arc<Self>, inner: &mut Inner) {
        let power = self.shared.stop.child_token();
        inner.power = Some(power.clone());
        inner.state.powered = true;
        inner.state.phase = Phase::Firmware;
        inner.state.boots += 1;
        self.changed.notify_waiters();
        let machine = Arc::clone(self);
        self.shared.tasks.spawn(async move {
            power.run_until_cancelled(life::live(&machine, &power)).await;
        });
    }

    /// Runs `task` as long as the power that is on now stays on.
    pub(crate) fn spawn_while_powered(&self, task: impl Future<Output = ()> + Send + 'static) {
        let Some(power) = self.inner().power.clone() else { return };
        self.shared.tasks.spawn(async move {
            power.run_until_cancelled(task).await;
        });
    }

    pub(crate) fn boot_flags(&self) -> BootFlags {
        self.inner().flags
    }

    pub(crate) fn set_boot_flags(&self, flags: BootFlags) {
        self.inner().set_flags(flags);
        self.changed.notify_waiters();
    }

    /// What the firmware shall boot this time; a one-time override is used up by it.
    pub(crate) fn take_boot_device(&self) -> BootDevice {
        let mut inner = self.inner();
        let flags = inner.flags;
        if !flags.valid {
            return BootDevice::NoOverride;
        }
        if !flags.persistent {
            inner.set_flags(BootFlags::default());
        }
        flags.device
    }

    pub(crate) fn set_phase(&self, phase: Phase) {
        self.change(|state| state.phase = phase);
    }

    pub(crate) fn problem(&self, text: impl Into<String>) {
        let text = text.into();
        tracing::debug!(machine = self.name(), problem = text);
        self.change(|state| state.last_problem = Some(text));
    }

    /// Changes the state of a machine that has power. Without power whoever asks is a ghost of the last boot.
    pub(crate) fn change(&self, change: impl FnOnce(&mut MachineState)) {
        let mut inner = self.inner();
        if inner.state.powered {
            change(&mut inner.state);
        }
        drop(inner);
        self.changed.notify_waiters();
    }

    /// The fault of a kind, when it has one.
    pub(crate) fn fault(&self, kind: FaultKind) -> Option<Fault> {
        self.inner().faults.iter().copied().find(|fault| fault.kind() == kind)
    }

    pub(crate) fn has(&self, kind: FaultKind) -> bool {
        self.fault(kind).is_some()
    }

    /// A duration within `span`, from this machine's stream.
    pub(crate) fn sample(&self, span: Span) -> Duration {
        span.sample(&mut self.inner().random)
    }

    /// A number from 0 to 1, from this machine's stream.
    pub(crate) fn chance(&self) -> f64 {
        self.inner().random.random()
    }

    /// Notes that an operation begins. It counts as interrupted unless [`Running::end`] is called.
    pub(crate) fn begin(self: &Arc<Self>, kind: OperationKind, detail: impl Into<String>) -> Running {
        let mut inner = self.inner();
        let operation = Operation {
            kind,
            detail: detail.into(),
            boot: inner.state.boots,
            started: self.shared.elapsed(),
            ended: None,
            outcome: Outcome::Running,
        };
        let number = inner.operations.len();
        if number < MAX_OPERATIONS {
            inner.operations.push(operation);
        }
        drop(inner);
        self.changed.notify_waiters();
        Running { machine: Arc::clone(self), number, ended: false }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        // A panic under the lock leaves a state that is as good as any other for a simulation.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn stop(&mut self, now: Duration) {
        if let Some(power) = self.power.take() {
            power.cancel();
        }
        self.state.powered = false;
        self.state.phase = Phase::Off;
        self.state.agent_url = None;
        // What was at work may notice later: from here on it has no say.
        for operation in &mut self.operations {
            operation.end(Outcome::Interrupted, now);
        }
    }

    fn set_flags(&mut self, flags: BootFlags) {
        self.flags = flags;
        self.state.boot_device = if flags.valid { flags.device } else { BootDevice::NoOverride };
        self.state.boot_persistent = flags.valid && flags.persistent;
    }
}

/// An operation that has begun.
#[derive(Debug)]
pub(crate) struct Running {
    machine: Arc<Machine>,
    number: usize,
    ended: bool,
}

impl Running {
    /// Notes its end. What changed on the machine by it, changes now, unless power went in the meantime.
    pub(crate) fn end(mut self, outcome: Outcome, change: impl FnOnce(&mut MachineState)) {
        self.note(outcome, change);
    }

    fn note(&mut self, outcome: Outcome, change: impl FnOnce(&mut MachineState)) {
        self.ended = true;
        let now = self.machine.shared.elapsed();
        let mut inner = self.machine.inner();
        // Beyond the bound of the list nothing is noted, but it happens all the same.
        let Inner { operations, state, .. } = &mut *inner;
        if operations.get_mut(self.number).is_none_or(|operation| operation.end(outcome, now)) {
            change(state);
        }
        drop(inner);
        self.machine.changed.notify_waiters();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.ended {
            self.note(Outcome::Interrupted, |_| {});
        }
    }
}
