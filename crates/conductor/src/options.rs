//! Settings of a conductor.

use std::collections::BTreeMap;
use std::time::Duration;

use db::EventRetention;
use provision::Policy;

use crate::{AutomatedCleaning, DisallowedSteps, Inspection, Limits, PowerSync};

/// Settings of a conductor.
#[derive(Debug, Clone)]
pub struct Options {
    /// Its name: shown in `reservation`, unique in a cluster.
    pub hostname: String,
    /// The group whose nodes it takes; empty is the default group.
    pub conductor_group: String,
    /// Between two signs of life to the other conductors.
    pub sign_of_life: Duration,
    /// A conductor that gave none for so long is taken for dead; its own work ends by then.
    pub lease: Duration,
    /// Time limits of flows.
    pub policy: Policy,
    /// Told to agents: they call at least this often.
    pub heartbeat_timeout: Duration,
    /// Refuse agents that do not serve HTTPS.
    pub require_agent_tls: bool,
    /// Whether nodes are cleaned when they become available, where the node itself does not say.
    pub automated_clean: bool,
    /// What cleans them.
    pub cleaning: AutomatedCleaning,
    /// Steps that callers may not ask for.
    pub disallowed_steps: DisallowedSteps,
    /// Priorities in automated cleaning that replace those of drivers, by `interface.step`; 0 switches a step off.
    pub step_priorities: BTreeMap<String, i64>,
    /// The same of steps of a verification.
    pub verify_step_priorities: BTreeMap<String, i64>,
    /// How long events are kept.
    pub events: EventRetention,
    /// What is made of what ramdisks report.
    pub inspection: Inspection,
    /// How many nodes may be worked on at once.
    pub limits: Limits,
    /// A conductor that gave no sign of life for so long is forgotten.
    pub conductor_retention: Duration,
    /// How long an allocation rests before it looks at locked nodes again.
    pub lock_retry: Duration,
    /// When and how the power of all machines is compared with what is stored.
    pub power: PowerSync,
    /// How many effects may be under way at once.
    pub max_effects: usize,
    /// How often a node is held on whose effect waits for room among those: less than it is held beyond an effect's limit, a
    /// minute.
    pub hold_on_every: Duration,
    /// What of booting this site serves, for the diagnosis of machines that do not arrive.
    pub hears: boot_trace::Hears,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            hostname: "localhost".to_owned(),
            conductor_group: String::new(),
            sign_of_life: Duration::from_secs(10),
            lease: Duration::from_mins(1),
            policy: Policy::default(),
            heartbeat_timeout: Duration::from_mins(5),
            require_agent_tls: true,
            automated_clean: true,
            cleaning: AutomatedCleaning::default(),
            disallowed_steps: DisallowedSteps::default(),
            step_priorities: BTreeMap::new(),
            verify_step_priorities: BTreeMap::new(),
            events: EventRetention { age: Duration::from_hours(7 * 24), count: 100_000 },
            inspection: Inspection::default(),
            limits: Limits::default(),
            conductor_retention: Duration::from_hours(14 * 24),
            lock_retry: Duration::from_secs(1),
            power: PowerSync::default(),
            max_effects: 1000,
            hold_on_every: Duration::from_secs(20),
            hears: boot_trace::Hears::default(),
        }
    }
}
