//! A machine's BMC: the IPMI server's view of the machine, and the socket. Sessions and packets are for crate `ipmi`.

use std::collections::{HashSet, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use ipmi::command::Guid;
use ipmi::command::app::DeviceId;
use ipmi::command::boot::BootFlags;
use ipmi::command::chassis::{ChassisControl, ChassisIdentify, ChassisStatus};
use ipmi::server::{Chassis, Server, ServerConfig, User};
use ipmi::{CompletionCode, Password, Privilege, SecretError, Username};
use rand::Rng as _;
use tokio::net::UdpSocket;

use crate::fault::{Fault, FaultKind};
use crate::identity::{Stream, stream};
use crate::machine::{Machine, Phase};
use crate::operation::BmcCommand;

/// Longest IPMI datagram that is looked at; real requests have less than 200 bytes.
const MAX_DATAGRAM: usize = 1024;
/// Datagrams that a BMC keeps until it comes to them; more are lost.
const MAX_WAITING: usize = 64;
/// How long a machine stays off in a power cycle.
const CYCLE_PAUSE: Duration = Duration::from_millis(20);

/// Answers for the machine.
#[derive(Debug)]
struct MachineChassis {
    machine: Arc<Machine>,
    /// Whose datagram is being worked on.
    console: Option<SocketAddr>,
}

impl MachineChassis {
    fn note(&self, what: BmcCommand) {
        if let Some(console) = self.console {
            self.machine.note_order(console, what);
        }
    }
}

impl Chassis for MachineChassis {
    fn status(&mut self) -> ChassisStatus {
        ChassisStatus { power_on: self.machine.state().powered, ..ChassisStatus::default() }
    }

    fn control(&mut self, control: ChassisControl) -> Result<(), CompletionCode> {
        let machine = &self.machine;
        let powered = machine.state().powered;
        if !powered && !matches!(control, ChassisControl::PowerUp | ChassisControl::PowerDown) {
            return Err(CompletionCode::NotInThisState);
        }
        self.note(BmcCommand::Control(control));
        if machine.has(FaultKind::BmcPowerStuck) {
            return Ok(());
        }
        match control {
            ChassisControl::PowerUp => machine.power_on(),
            ChassisControl::PowerDown => machine.power_off(),
            ChassisControl::HardReset => machine.reset(),
            ChassisControl::DiagnosticInterrupt => {}
            ChassisControl::PowerCycle => {
                machine.power_off();
                let off = Arc::clone(machine);
                machine.shared.spawn(async move {
                    tokio::time::sleep(CYCLE_PAUSE).await;
                    off.power_on();
                });
            }
            ChassisControl::SoftShutdown => soft_shutdown(machine),
        }
        Ok(())
    }

    fn boot_flags(&mut self) -> BootFlags {
        self.machine.boot_flags()
    }

    fn set_boot_flags(&mut self, flags: BootFlags) -> Result<(), CompletionCode> {
        self.note(BmcCommand::BootDevice(flags.device));
        self.machine.set_boot_flags(flags);
        Ok(())
    }

    fn guid(&self) -> Guid {
        Guid::from_uuid(self.machine.uuid().into_bytes())
    }

    fn device_id(&self) -> DeviceId {
        DeviceId {
            device_id: 0x20,
            device_revision: 1,
            firmware_major: 1,
            ipmi_version: (2, 0),
            // Chassis device, as in table 20-2.
            additional_support: 0x80,
            ..DeviceId::default()
        }
    }

    fn identify(&mut self, _identify: ChassisIdentify) -> Result<(), CompletionCode> {
        Ok(())
    }

    fn cold_reset(&mut self) -> Result<(), CompletionCode> {
        Ok(())
    }
}

/// Asks what runs to shut down. Firmware does not listen to the power button's interrupt, systems do.
fn soft_shutdown(machine: &Arc<Machine>) {
    if !matches!(machine.state().phase, Phase::Agent | Phase::AgentGone | Phase::OwnSystem) {
        return;
    }
    let pause = machine.sample(machine.shared.timing.shutdown);
    let stopping = Arc::clone(machine);
    machine.spawn_while_powered(async move {
        tokio::time::sleep(pause).await;
        stopping.power_off();
    });
}

/// One BMC, with what it needs to run.
#[derive(Debug)]
pub(crate) struct Bmc {
    socket: UdpSocket,
    server: Server<MachineChassis>,
    machine: Arc<Machine>,
    /// Whether the server has the wrong password at present.
    wrong_password: bool,
    /// Datagrams that came and were not looked at yet, with who sent them.
    waiting: VecDeque<(SocketAddr, Vec<u8>)>,
}

impl Bmc {
    pub(crate) fn new(socket: UdpSocket, machine: Arc<Machine>) -> Result<Self, SecretError> {
        let config = ServerConfig { users: users(&machine, false)?, ..ServerConfig::default() };
        let mut random = stream(machine.shared.seed, machine.index(), Stream::Sessions);
        let chassis = MachineChassis { machine: Arc::clone(&machine), console: None };
        let server = Server::new(config, chassis, move |buffer: &mut [u8]| random.fill_bytes(buffer));
        Ok(Self { socket, server, machine, wrong_password: false, waiting: VecDeque::new() })
    }

    /// Serves until dropped.
    pub(crate) async fn run(mut self) {
        loop {
            // The buffer lives on the stack of a call, not in this future: thousands of these wait here.
            if self.waiting.is_empty() && self.socket.readable().await.is_err() {
                continue;
            }
            if let Some(Fault::SlowBmc(delay)) = self.machine.fault(FaultKind::SlowBmc) {
                tokio::time::sleep(delay).await;
            }
            self.take_in();
            self.work_on_one();
            while let Some((to, datagram)) = self.server.poll_transmit() {
                if let Err(error) = self.socket.send_to(&datagram, to).await {
                    tracing::debug!(machine = self.machine.name(), %to, %error, "an answer could not be sent");
                }
            }
        }
    }

    /// Takes in what came, and notes how many consoles wait for an answer at once.
    fn take_in(&mut self) {
        let mut buffer = [0; MAX_DATAGRAM];
        loop {
            match self.socket.try_recv_from(&mut buffer) {
                Ok((length, from)) if self.waiting.len() < MAX_WAITING => {
                    self.waiting.push_back((from, buffer[..length].to_vec()));
                }
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => {
                    tracing::debug!(machine = self.machine.name(), %error, "receiving failed");
                    break;
                }
            }
        }
        // A console that asks again because the answer takes long still asks one thing.
        let consoles: HashSet<SocketAddr> = self.waiting.iter().map(|(from, _)| *from).collect();
        self.machine.note_consoles(consoles.len());
    }

    /// Hands one datagram to the server.
    fn work_on_one(&mut self) {
        let Some((from, datagram)) = self.waiting.pop_front() else { return };
        if self.machine.has(FaultKind::DeadBmc) {
            return;
        }
        self.heed_password_fault();
        let now = self.machine.shared.elapsed();
        self.server.chassis_mut().console = Some(from);
        self.server.handle(now, from, &datagram);
        while let Some(event) = self.server.poll_event() {
            tracing::trace!(machine = self.machine.name(), ?event, "bmc");
        }
    }

    fn heed_password_fault(&mut self) {
        let wrong = self.machine.has(FaultKind::WrongPassword);
        if wrong == self.wrong_password {
            return;
        }
        if let Ok(users) = users(&self.machine, wrong) {
            self.server.set_users(users);
            // A changed password ends what was opened with the old one.
            self.server.forget_sessions();
            self.wrong_password = wrong;
        }
    }
}

fn users(machine: &Machine, wrong: bool) -> Result<Vec<User>, SecretError> {
    let credentials = machine.credentials();
    let password = if wrong { "not what is listed" } else { credentials.password.as_str() };
    Ok(vec![User {
        name: Username::new(credentials.username.clone())?,
        password: Password::new(password)?,
        max_privilege: Privilege::Administrator,
    }])
}

/// Opens the socket of a BMC.
pub(crate) async fn bind(address: SocketAddr) -> io::Result<UdpSocket> {
    UdpSocket::bind(address).await
}
