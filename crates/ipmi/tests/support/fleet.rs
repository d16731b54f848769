//! A machine of memory and a network in virtual time, for tests of both ends.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    reason = "included by several test binaries, each of which uses a part"
)]

use ipmi::command::Guid;
use ipmi::command::app::DeviceId;
use ipmi::command::boot::BootFlags;
use ipmi::command::chassis::{ChassisControl, ChassisStatus};
use ipmi::server::{Chassis, Server, ServerConfig, User};
use ipmi::wire::packet::{Packet, PayloadType};
use ipmi::wire::rmcp::Rmcp;
use ipmi::{
    CipherChoice, Client, CompletionCode, Config, Event, Password, Privilege, Random, Timing, Username,
};
use rand::rngs::StdRng;
use rand::{Rng, RngExt, SeedableRng};
use std::net::SocketAddr;
use std::time::Duration;

/// A machine that remembers what was done to it.
#[derive(Debug, Clone)]
pub struct Machine {
    pub power_on: bool,
    pub resets: u32,
    pub controls: Vec<ChassisControl>,
    pub flags: BootFlags,
    pub guid: Guid,
    pub device_id: DeviceId,
}

impl Default for Machine {
    fn default() -> Self {
        Self {
            power_on: false,
            resets: 0,
            controls: Vec::new(),
            flags: BootFlags::default(),
            guid: Guid::from_uuid([0x12, 0x34, 0x56, 0x78, 1, 2, 0x41, 3, 0x84, 5, 6, 7, 8, 9, 10, 11]),
            device_id: DeviceId {
                device_id: 32,
                firmware_major: 1,
                ipmi_version: (2, 0),
                ..DeviceId::default()
            },
        }
    }
}

impl Chassis for Machine {
    fn status(&mut self) -> ChassisStatus {
        ChassisStatus { power_on: self.power_on, ..ChassisStatus::default() }
    }

    fn control(&mut self, control: ChassisControl) -> Result<(), CompletionCode> {
        self.controls.push(control);
        match control {
            ChassisControl::PowerUp => self.power_on = true,
            ChassisControl::PowerDown | ChassisControl::SoftShutdown => self.power_on = false,
            ChassisControl::HardReset => self.resets += 1,
            ChassisControl::PowerCycle | ChassisControl::DiagnosticInterrupt => {}
        }
        Ok(())
    }

    fn boot_flags(&mut self) -> BootFlags {
        self.flags
    }

    fn set_boot_flags(&mut self, flags: BootFlags) -> Result<(), CompletionCode> {
        self.flags = flags;
        Ok(())
    }

    fn guid(&self) -> Guid {
        self.guid
    }

    fn device_id(&self) -> DeviceId {
        self.device_id
    }
}

pub fn server_config() -> ServerConfig {
    let user = |name: &str, password: &str, max_privilege| User {
        name: Username::new(name).unwrap(),
        password: Password::new(password).unwrap(),
        max_privilege,
    };
    let users =
        vec![user("admin", "secret", Privilege::Administrator), user("guest", "secret", Privilege::User)];
    ServerConfig { users, ..ServerConfig::default() }
}

pub fn client_config() -> Config {
    Config {
        username: Username::new("admin").unwrap(),
        password: Password::new("secret").unwrap(),
        bmc_key: None,
        privilege: Privilege::Administrator,
        cipher: CipherChoice::Negotiate,
        timing: Timing::default(),
    }
}

pub fn seeded(seed: u64) -> impl Random + 'static {
    let mut rng = StdRng::seed_from_u64(seed);
    move |buffer: &mut [u8]| rng.fill_bytes(buffer)
}

const CONSOLE: &str = "192.0.2.1:40000";

/// One console, one BMC, and what is between them.
pub struct Network {
    pub client: Client,
    pub server: Server<Machine>,
    pub now: Duration,
    /// Chance that a datagram gets lost.
    pub loss: f64,
    /// Chance that a datagram comes twice.
    pub duplicates: f64,
    pub longest_delay: Duration,
    /// How long the BMC thinks over each datagram, one after the other.
    pub think: Duration,
    /// The datagram of this number, of those in either direction, gets lost.
    pub lose: Option<u32>,
    /// From here on the BMC is dead.
    pub dead: bool,
    pub sent: u32,
    pub lost: u32,
    pub repeated: u32,
    half_open: bool,
    busy_until: Duration,
    rng: StdRng,
    console: SocketAddr,
    /// Arrival, whether to the server, bytes.
    wire: Vec<(Duration, bool, Vec<u8>)>,
}

impl Network {
    pub fn new(seed: u64, server: Server<Machine>, config: Config) -> Self {
        Self {
            client: Client::new(config, Duration::ZERO, seeded(!seed)),
            server,
            now: Duration::ZERO,
            loss: 0.0,
            duplicates: 0.0,
            longest_delay: Duration::from_millis(1),
            think: Duration::ZERO,
            lose: None,
            dead: false,
            sent: 0,
            lost: 0,
            repeated: 0,
            half_open: false,
            busy_until: Duration::ZERO,
            rng: StdRng::seed_from_u64(seed ^ 0x5555),
            console: CONSOLE.parse().unwrap(),
            wire: Vec::new(),
        }
    }

    /// Another console takes the place of the present one, from another port; what is on its way is lost.
    pub fn reconnect(&mut self, config: Config) {
        self.wire.clear();
        self.console.set_port(self.console.port() + 1);
        let seed = self.rng.random();
        self.client = Client::new(config, self.now, seeded(seed));
    }

    /// Lets time pass in which the console asks nothing.
    pub fn pass(&mut self, time: Duration) {
        self.now += time;
        self.server.handle_timeout(self.now);
    }

    fn send(&mut self, to_server: bool, datagram: &[u8]) {
        if let Ok(Rmcp::Ipmi(rest)) = Rmcp::decode(datagram) {
            self.half_open |=
                matches!(Packet::decode(rest), Ok(Packet::Plain { kind: PayloadType::Rakp1, .. }));
        }
        let copies = 1 + u32::from(self.rng.random_bool(self.duplicates));
        self.repeated += copies - 1;
        for _ in 0..copies {
            self.sent += 1;
            let dead = self.dead && to_server;
            if dead || self.lose == Some(self.sent) || self.rng.random_bool(self.loss) {
                self.lost += 1;
                continue;
            }
            let mut arrival = self.now + self.longest_delay.mul_f64(self.rng.random());
            if to_server && !self.think.is_zero() {
                self.busy_until = self.busy_until.max(arrival) + self.think;
                arrival = self.busy_until;
            }
            self.wire.push((arrival, to_server, datagram.to_vec()));
        }
    }

    /// One arrival or one timeout.
    fn step(&mut self) {
        while let Some(datagram) = self.client.poll_transmit() {
            self.send(true, &datagram);
        }
        while let Some((to, datagram)) = self.server.poll_transmit() {
            if to == self.console {
                self.send(false, &datagram);
            }
        }
        let next = (0..self.wire.len()).min_by_key(|index| self.wire[*index].0);
        let arrival = next.map(|index| self.wire[index].0);
        let timeout = self.client.poll_timeout();
        match (next, arrival) {
            (Some(index), Some(at)) if timeout.is_none_or(|timeout| at <= timeout) => {
                let (_, to_server, datagram) = self.wire.swap_remove(index);
                self.now = self.now.max(at);
                if to_server {
                    self.server.handle(self.now, self.console, &datagram);
                } else {
                    self.client.handle(self.now, &datagram);
                }
            }
            _ => {
                self.now = self.now.max(timeout.expect("a console without a deadline would wait for ever"));
                self.client.handle_timeout(self.now);
            }
        }
    }

    /// Goes on until the console has something to say.
    pub fn run_to_event(&mut self) -> Event {
        for _ in 0..10_000 {
            if let Some(event) = self.client.poll_event() {
                return event;
            }
            self.step();
        }
        panic!("no event after 10,000 steps");
    }

    /// Goes on until so many datagrams were sent.
    pub fn step_until_sent(&mut self, datagrams: u32) {
        for _ in 0..100 {
            if self.sent >= datagrams {
                return;
            }
            self.step();
        }
        panic!("only {} datagrams", self.sent);
    }

    /// Goes on until the console has sent RAKP message 1: the BMC has a session half open.
    pub fn step_until_half_open(&mut self) {
        for _ in 0..100 {
            self.half_open = false;
            self.step();
            if self.half_open {
                return;
            }
        }
        panic!("no RAKP message 1");
    }
}
