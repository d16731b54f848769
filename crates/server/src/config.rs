//! The configuration: one TOML file, every key known, every mistake named with its place.

mod built_in_rules;
mod cleaning;
mod identity;
mod inspection;
mod messaging;
mod power;
mod redfish;
mod reference;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use model::InterfaceKind;
use serde::Deserialize;

pub use cleaning::StepSource;
pub use identity::{Keystone, Policy};
pub use inspection::Inspection;
pub use messaging::Messaging;
pub use redfish::Redfish;
pub use reference::{FIELDS, Field, reference_page, sample};

/// The service's configuration.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Where everything is kept: database, images, logs of agents.
    pub data_dir: PathBuf,
    /// The service's own log.
    pub log: Log,
    /// The store.
    pub database: Database,
    /// The HTTP API.
    pub api: Api,
    /// Metrics and readiness of processes that serve no API.
    pub monitoring: Monitoring,
    /// The identity service that callers come from.
    pub keystone: Keystone,
    /// What callers may do.
    pub policy: Policy,
    /// The conductor.
    pub conductor: Conductor,
    /// How BMCs with Redfish are dealt with.
    pub redfish: Redfish,
    /// Network boot; none of it runs when the section is missing.
    pub netboot: Option<netboot::Options>,
    /// What is booted and written.
    pub deploy: Deploy,
    /// How long events are kept.
    pub events: Events,
    /// The message bus of a cloud.
    pub messaging: Messaging,
    /// What is made of what ramdisks report.
    pub inspection: Inspection,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            data_dir: PathBuf::from("/var/lib/wrought"),
            log: Log::default(),
            database: Database::default(),
            api: Api::default(),
            monitoring: Monitoring::default(),
            keystone: Keystone::default(),
            policy: Policy::default(),
            conductor: Conductor::default(),
            redfish: Redfish::default(),
            netboot: None,
            deploy: Deploy::default(),
            events: Events::default(),
            messaging: Messaging::default(),
            inspection: Inspection::default(),
        }
    }
}

/// The service's own log.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Log {
    /// How lines look.
    pub format: LogFormat,
    /// Which lines, in the syntax of tracing's filters.
    pub filter: Option<String>,
}

/// How lines of the log look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// For machines: one JSON object a line.
    Json,
}

/// The store.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Database {
    /// `sqlite:PATH` or `postgres://…`; by default `wrought.db` in the data directory.
    pub url: Option<String>,
}

/// Who may use the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Auth {
    /// Users with passwords; an administrator is made at the first start.
    #[default]
    HttpBasic,
    /// Tokens of OpenStack's identity service.
    Keystone,
    /// Everybody may do everything.
    Noauth,
}

/// The HTTP API.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Api {
    /// Addresses to listen on.
    pub listen: Vec<SocketAddr>,
    /// Who may use it.
    pub auth: Auth,
    /// The base URL shown in links, where a proxy makes it another one than that of the request.
    pub public_endpoint: Option<String>,
    /// The base URL that agents in the ramdisk are told; by default the listening address on the provisioning network.
    pub agent_endpoint: Option<String>,
    /// Whether `/metrics` is served, to everybody.
    pub metrics: bool,
}

impl Default for Api {
    fn default() -> Self {
        Self {
            listen: vec![SocketAddr::from(([127, 0, 0, 1], 6385))],
            auth: Auth::default(),
            public_endpoint: None,
            agent_endpoint: None,
            metrics: true,
        }
    }
}

/// Where `/metrics` and `/readyz` are served without the API beside them.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Monitoring {
    /// Addresses to listen on.
    pub listen: Vec<SocketAddr>,
}

/// The conductor.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Conductor {
    /// Its name; by default the host's.
    pub hostname: Option<String>,
    /// The group whose nodes it takes; empty is the default group.
    pub group: String,
    /// Seconds between its signs of life.
    pub sign_of_life: u64,
    /// Seconds without one after which others take its work over.
    pub lease: u64,
    /// Hardware types to offer.
    pub enabled_hardware_types: Vec<String>,
    /// The implementations that are offered, of the kinds of interfaces that are named.
    pub enabled_interfaces: BTreeMap<InterfaceKind, Vec<String>>,
    /// The implementations of nodes that name none, where their hardware type has them.
    pub default_interfaces: BTreeMap<InterfaceKind, String>,
    /// Whether nodes are cleaned when they become available, where the node itself does not say.
    pub automated_clean: bool,
    /// Where the steps of an automated cleaning come from.
    pub automated_cleaning_step_source: StepSource,
    /// Name or UUID of the runbook that cleans nodes for which nothing else names one.
    pub automated_cleaning_runbook: Option<String>,
    /// Names or UUIDs of runbooks that clean nodes, by resource class.
    pub automated_cleaning_runbook_by_resource_class: BTreeMap<String, String>,
    /// Whether `cleaning_runbook` in a node's `driver_info` counts.
    pub automated_cleaning_runbook_from_node: bool,
    /// Whether a node needs one of the traits of the runbook that cleans it.
    pub automated_cleaning_runbook_validate_traits: bool,
    /// Steps of cleanings that callers may not ask for, by `interface.step`.
    pub disallow_clean_steps: Vec<String>,
    /// Steps of deployments that callers may not ask for.
    pub disallow_deploy_steps: Vec<String>,
    /// Steps of servicing that callers may not ask for.
    pub disallow_service_steps: Vec<String>,
    /// Priorities in automated cleaning that replace those of drivers and agents, by `interface.step`; 0 switches a step off.
    pub clean_step_priorities: BTreeMap<String, i64>,
    /// Priorities of steps of a verification that replace those of drivers, by `interface.step`; 0 switches a step off.
    pub verify_step_priorities: BTreeMap<String, i64>,
    /// Seconds from power on to the agent's first call.
    pub callback_timeout: u64,
    /// Seconds from power on to the agent's first call, for one boot: past it the machine is booted again.
    pub boot_timeout: u64,
    /// Seconds from the answer to an agent's lookup to its first call: an answer that was lost is not given twice.
    pub token_timeout: u64,
    /// How often a boot that nobody answered is tried again within `callback_timeout`.
    pub boot_retries: u32,
    /// Seconds from power on to the data of an inspection.
    pub inspect_timeout: u64,
    /// Leave the ramdisk running after a cleaning, and take a running one as it is for the next cleaning or deployment.
    pub fast_track: bool,
    /// Seconds after its last call for which an agent counts as running.
    pub fast_track_timeout: u64,
    /// Seconds of silence after which a working agent is asked, and given up when it does not answer.
    pub agent_silence: u64,
    /// Seconds within which agents must call.
    pub heartbeat_timeout: u64,
    /// Refuse agents that do not serve HTTPS.
    pub require_agent_tls: bool,
    /// Seconds between two looks at the power of all machines; 0 never looks.
    pub sync_power_state_interval: u64,
    /// Whether a machine is switched to the state that is stored, where it is found in another one.
    pub force_power_state_during_sync: bool,
    /// Looks in a row that may fail before a node goes into maintenance.
    pub power_state_sync_max_retries: u32,
    /// BMCs that are asked at once.
    pub sync_power_state_workers: usize,
    /// Seconds between two looks at the machines that could not be read; 0 never looks.
    pub power_failure_recovery_interval: u64,
    /// Whether the health that BMCs tell is kept.
    pub enable_health_monitoring: bool,
    /// How many nodes may be in deployment at once.
    pub max_concurrent_deploy: u32,
    /// How many nodes may be in cleaning, or on their way there, at once.
    pub max_concurrent_clean: u32,
    /// Whether only the nodes of the conductor's own group count for the two.
    pub max_concurrent_per_conductor_group: bool,
    /// The newest entries of each node's history that are kept.
    pub node_history_max_entries: u32,
    /// Days for which entries are kept beside those.
    pub node_history_minimum_days: u32,
    /// Seconds without a sign of life after which another conductor is forgotten.
    pub conductor_cleanup_timeout: u64,
}

impl Default for Conductor {
    fn default() -> Self {
        let disallowed = conductor::DisallowedSteps::default();
        Self {
            hostname: None,
            group: String::new(),
            sign_of_life: 10,
            lease: 60,
            enabled_hardware_types: vec!["ipmi".to_owned(), "redfish".to_owned()],
            enabled_interfaces: BTreeMap::new(),
            default_interfaces: BTreeMap::new(),
            automated_clean: true,
            automated_cleaning_step_source: StepSource::default(),
            automated_cleaning_runbook: None,
            automated_cleaning_runbook_by_resource_class: BTreeMap::new(),
            automated_cleaning_runbook_from_node: false,
            automated_cleaning_runbook_validate_traits: true,
            disallow_clean_steps: disallowed.clean,
            disallow_deploy_steps: disallowed.deploy,
            disallow_service_steps: disallowed.service,
            clean_step_priorities: BTreeMap::new(),
            verify_step_priorities: BTreeMap::new(),
            callback_timeout: 1800,
            boot_timeout: 840,
            token_timeout: 240,
            boot_retries: 2,
            inspect_timeout: 1800,
            fast_track: false,
            fast_track_timeout: 300,
            agent_silence: 360,
            heartbeat_timeout: 300,
            require_agent_tls: true,
            sync_power_state_interval: 120,
            force_power_state_during_sync: true,
            power_state_sync_max_retries: 3,
            sync_power_state_workers: 1024,
            power_failure_recovery_interval: 300,
            enable_health_monitoring: true,
            max_concurrent_deploy: 250,
            max_concurrent_clean: 50,
            max_concurrent_per_conductor_group: false,
            node_history_max_entries: 300,
            node_history_minimum_days: 0,
            conductor_cleanup_timeout: 14 * 86_400,
        }
    }
}

impl Conductor {
    /// How many nodes may be worked on at once.
    pub fn limits(&self) -> conductor::Limits {
        conductor::Limits {
            deploys: Some(self.max_concurrent_deploy),
            cleans: Some(self.max_concurrent_clean),
            per_group: self.max_concurrent_per_conductor_group,
        }
    }

    fn check_problems(&self) -> Result<(), &'static str> {
        self.check_power()?;
        self.check_cleaning()?;
        self.check_limits()
    }

    fn check_limits(&self) -> Result<(), &'static str> {
        if self.max_concurrent_deploy == 0 || self.max_concurrent_clean == 0 {
            return Err("[conductor] max_concurrent_deploy and max_concurrent_clean are at least 1.");
        }
        if self.conductor_cleanup_timeout < 180 {
            return Err("[conductor] conductor_cleanup_timeout is at least 180 seconds.");
        }
        Ok(())
    }

    /// How much of each node's history is kept.
    pub fn history(&self) -> db::HistoryRetention {
        db::HistoryRetention {
            count: self.node_history_max_entries,
            age: Duration::from_hours(24 * u64::from(self.node_history_minimum_days)),
        }
    }
}

impl Conductor {
    fn check_membership(&self) -> Result<(), &'static str> {
        if self.sign_of_life == 0 || self.lease < 3 * self.sign_of_life {
            return Err(
                "[conductor] sign_of_life is at least 1 second, and lease at least three times as long.",
            );
        }
        let fits = |letter: char| letter.is_ascii() && !letter.is_ascii_uppercase();
        if self.group.len() > 255 || !self.group.chars().all(fits) {
            return Err(
                "[conductor] group: at most 255 characters, in lower case, as nodes' conductor_group.",
            );
        }
        Ok(())
    }
}

/// How long events are kept for readers that come back.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Events {
    /// Hours.
    pub keep_hours: u64,
    /// The newest ones.
    pub keep_count: u32,
}

impl Default for Events {
    fn default() -> Self {
        Self { keep_hours: 7 * 24, keep_count: 100_000 }
    }
}

/// What is booted and written.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Deploy {
    /// Kernel of the deploy ramdisk.
    pub kernel: Option<PathBuf>,
    /// The deploy ramdisk.
    pub ramdisk: Option<PathBuf>,
    /// Parameters added to the ramdisk's kernel command line.
    pub kernel_append_params: String,
    /// Priority of the agent's step `erase_devices_metadata` in automated cleaning; 0 switches it off.
    pub erase_devices_metadata_priority: i64,
    /// Priority of the agent's step `erase_devices` in automated cleaning; 0 switches it off.
    pub erase_devices_priority: i64,
    /// Bound on the image cache, in MiB.
    pub image_cache_mib: u64,
    /// Which addresses image servers may have.
    pub image_reach: ImageReach,
    /// Seconds of silence of an image server after which an attempt is given up.
    pub image_silence: u64,
}

/// Which addresses image servers may have: users name them, and the service fetches from inside the site.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ImageReach {
    /// Any, this host's own included.
    Anywhere,
    /// Any but this host and its link.
    #[default]
    BeyondThisHost,
    /// Those that are routed on the Internet.
    Public,
}

impl From<ImageReach> for images::Reach {
    fn from(reach: ImageReach) -> Self {
        match reach {
            ImageReach::Anywhere => Self::Anywhere,
            ImageReach::BeyondThisHost => Self::BeyondThisHost,
            ImageReach::Public => Self::PublicOnly,
        }
    }
}

impl Default for Deploy {
    fn default() -> Self {
        Self {
            kernel: None,
            ramdisk: None,
            kernel_append_params: "console=ttyS0".to_owned(),
            erase_devices_metadata_priority: 99,
            erase_devices_priority: 0,
            image_cache_mib: 20_480,
            image_reach: ImageReach::default(),
            image_silence: 30,
        }
    }
}

/// The configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// It is not TOML, or has a key or a value that is not known.
    #[error(
        "the configuration {path} is not right:\n{problem}\nSee docs/reference/configuration.md for every key."
    )]
    Parse {
        /// The file.
        path: PathBuf,
        /// Where and what. Part of the text above, so that it must not be told again as its cause.
        problem: Box<toml::de::Error>,
    },
    /// Values that do not go together.
    #[error("the configuration is not right: {0}")]
    Contradiction(String),
}

impl Config {
    /// Reads a file; without one, everything is at its default.
    pub fn load(path: Option<&Path>) -> Result<Self, ConfigError> {
        let Some(path) = path else { return Ok(Self::default()) };
        let text = std::fs::read_to_string(path)
            .map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
        let config: Self = toml::from_str(&text)
            .map_err(|problem| ConfigError::Parse { path: path.to_owned(), problem: Box::new(problem) })?;
        config.check()?;
        Ok(config)
    }

    fn check(&self) -> Result<(), ConfigError> {
        let wrong = |text: &str| Err(ConfigError::Contradiction(text.to_owned()));
        if self.api.listen.is_empty() {
            return wrong("[api] listen is empty: give at least one address, such as \"127.0.0.1:6385\".");
        }
        self.keystone.check(self.api.auth == Auth::Keystone)?;
        if self.deploy.kernel.is_some() != self.deploy.ramdisk.is_some() {
            return wrong("[deploy] kernel and ramdisk belong together: set both or neither.");
        }
        for (name, path) in [("kernel", &self.deploy.kernel), ("ramdisk", &self.deploy.ramdisk)] {
            if let Some(path) = path.as_ref().filter(|path| !path.is_file()) {
                return wrong(&format!("[deploy] {name}: there is no file {}.", path.display()));
            }
        }
        let seconds = [
            self.conductor.callback_timeout,
            self.conductor.boot_timeout,
            self.conductor.token_timeout,
            self.conductor.inspect_timeout,
            self.conductor.fast_track_timeout,
            self.conductor.agent_silence,
            self.conductor.heartbeat_timeout,
        ];
        if seconds.iter().any(|limit| !(10..=86_400).contains(limit)) {
            return wrong(
                "[conductor] callback_timeout, boot_timeout, token_timeout, inspect_timeout, fast_track_timeout, agent_silence and heartbeat_timeout are 10 to 86400 seconds.",
            );
        }
        if let Err(problem) = self.conductor.check_problems().and_then(|()| self.redfish.check()) {
            return wrong(problem);
        }
        if let Err(problem) = self.conductor.check_membership() {
            return wrong(problem);
        }
        if !(1..=87_600).contains(&self.events.keep_hours) || self.events.keep_count < 100 {
            return wrong("[events] keep_hours is 1 to 87600, keep_count at least 100.");
        }
        self.messaging.check().map_err(ConfigError::Contradiction)?;
        if !(1..=3600).contains(&self.deploy.image_silence) {
            return wrong("[deploy] image_silence is 1 to 3600 seconds.");
        }
        if let Err(problem) = self.inspection.settings() {
            return wrong(&format!("[inspection] {problem}."));
        }
        Ok(())
    }

    /// The store's URL.
    pub fn database_url(&self) -> String {
        self.database
            .url
            .clone()
            .unwrap_or_else(|| format!("sqlite:{}", self.data_dir.join("wrought.db").display()))
    }

    /// Time limits of flows.
    pub fn policy(&self) -> provision::Policy {
        provision::Policy {
            callback_timeout: Duration::from_secs(self.conductor.callback_timeout),
            boot_timeout: Duration::from_secs(self.conductor.boot_timeout),
            token_timeout: Duration::from_secs(self.conductor.token_timeout),
            boot_retries: self.conductor.boot_retries,
            inspect_timeout: Duration::from_secs(self.conductor.inspect_timeout),
            fast_track: self
                .conductor
                .fast_track
                .then(|| Duration::from_secs(self.conductor.fast_track_timeout)),
            agent_silence: Duration::from_secs(self.conductor.agent_silence),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Config, ConfigError> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("wrought.toml");
        std::fs::write(&path, text).unwrap();
        Config::load(Some(&path))
    }

    #[test]
    fn an_unknown_key_is_named_with_its_line() {
        let error = parse("[api]\nlisten = [\"127.0.0.1:6385\"]\nlisen = 1\n").unwrap_err().to_string();
        assert!(error.contains("lisen") && error.contains("line 3"), "{error}");
    }

    #[test]
    fn halves_of_pairs_are_refused() {
        let error = parse("[deploy]\nkernel = \"/nowhere\"\n").unwrap_err().to_string();
        assert!(error.contains("both or neither"), "{error}");
    }

    #[test]
    fn image_servers_may_be_anywhere_only_when_asked_for() {
        assert_eq!(images::Reach::from(parse("").unwrap().deploy.image_reach), images::Reach::BeyondThisHost);
        for (word, reach) in [("anywhere", images::Reach::Anywhere), ("public", images::Reach::PublicOnly)] {
            let config = parse(&format!("[deploy]\nimage_reach = \"{word}\"\n")).unwrap();
            assert_eq!(images::Reach::from(config.deploy.image_reach), reach);
        }
        let error = parse("[deploy]\nimage_silence = 0\n").unwrap_err().to_string();
        assert!(error.contains("image_silence"), "{error}");
    }

    #[test]
    fn keystone_needs_one_kind_of_credentials() {
        let base = "[api]\nauth = \"keystone\"\n[keystone]\nauth_url = \"http://127.0.0.1:5000\"\n";
        let user = "username = \"u\"\npassword_file = \"/p\"\nproject_name = \"service\"\n";
        let application = "application_credential_id = \"i\"\napplication_credential_secret_file = \"/s\"\n";
        assert!(parse(&format!("{base}{user}")).is_ok());
        assert!(parse(&format!("{base}{application}")).is_ok());
        for wrong in
            [base.to_owned(), format!("{base}{user}{application}"), format!("{base}username = \"u\"\n")]
        {
            let error = parse(&wrong).unwrap_err().to_string();
            assert!(error.contains("credentials of its own"), "{error}");
        }
        let error = parse("[api]\nauth = \"keystone\"\n").unwrap_err().to_string();
        assert!(error.contains("auth_url"), "{error}");
    }

    #[test]
    fn an_empty_file_is_the_default() {
        let config = parse("").unwrap();
        assert_eq!(config.api.listen, [SocketAddr::from(([127, 0, 0, 1], 6385))]);
        assert_eq!(config.api.auth, Auth::HttpBasic);
        assert_eq!(config.database_url(), "sqlite:/var/lib/wrought/wrought.db");
    }
}
