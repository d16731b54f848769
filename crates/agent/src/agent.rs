//! What the parts of the agent share: who it is, what it was told, its commands, its machine.

use crate::{
    command::Commands, disks::Disks, fetch::Fetcher, machine::Machine, parameters::Parameters, server,
};
use agent_api::{AgentToken, LookupReply};
use std::{
    path::PathBuf,
    sync::{Mutex, OnceLock, PoisonError},
};
use tokio::sync::Notify;

/// Shared by the server, the commands and the session with the API.
#[derive(Debug)]
pub struct Agent {
    /// What it was told at boot.
    pub parameters: Parameters,
    /// HTTP client.
    pub fetcher: Fetcher,
    /// Commands of this boot.
    pub commands: Commands,
    /// The machine it runs on.
    pub machine: Machine,
    /// The disks it may touch.
    pub disks: Disks,
    /// Seconds since 1970.
    pub started_at: f64,
    /// Forces a heartbeat.
    pub beat: Notify,
    identity: OnceLock<Identity>,
    callback_url: OnceLock<String>,
    written: Mutex<Option<PathBuf>>,
}

/// What lookup told.
#[derive(Debug)]
pub struct Identity {
    /// The shared secret.
    pub token: Option<AgentToken>,
    /// The node and the configuration.
    pub lookup: LookupReply,
}

impl Agent {
    /// An agent that does not know its node yet.
    pub fn new(parameters: Parameters, fetcher: Fetcher, machine: Machine, disks: Disks) -> Self {
        Self {
            parameters,
            fetcher,
            commands: Commands::default(),
            machine,
            disks,
            started_at: server::started_at(),
            beat: Notify::new(),
            identity: OnceLock::new(),
            callback_url: OnceLock::new(),
            written: Mutex::new(None),
        }
    }

    /// Keeps what lookup told; the first time counts.
    pub fn identify(&self, identity: Identity) -> &Identity {
        self.identity.get_or_init(|| identity)
    }

    /// What lookup told.
    pub fn identity(&self) -> Option<&Identity> {
        self.identity.get()
    }

    /// Keeps where the agent's server can be reached; the first time counts, since conductors refuse a change.
    pub fn set_callback_url(&self, url: String) -> &str {
        self.callback_url.get_or_init(|| url)
    }

    /// Where the agent's server can be reached; empty before it listens.
    pub fn callback_url(&self) -> String {
        self.callback_url.get().cloned().unwrap_or_default()
    }

    /// Whether `token` is ours. Without a token of our own nobody gets in.
    pub fn token_matches(&self, token: &str) -> bool {
        self.identity().and_then(|identity| identity.token.as_ref()).is_some_and(|ours| ours.matches(token))
    }

    /// Whether the server is a Wrought server, which takes more than a stock one.
    pub fn server_is_wrought(&self) -> bool {
        self.identity().is_some_and(|identity| identity.lookup.config.wrought.is_some())
    }

    /// Where progress is posted, if anywhere.
    pub fn progress_path(&self) -> Option<&str> {
        let path = self.identity()?.lookup.config.wrought.as_ref()?.progress_path.as_deref()?;
        path.starts_with('/').then_some(path)
    }

    /// Remembers the disk that an image was written to.
    pub fn set_written(&self, disk: Option<PathBuf>) {
        *self.written.lock().unwrap_or_else(PoisonError::into_inner) = disk;
    }

    /// The disk that an image was written to in this boot.
    pub fn written(&self) -> Option<PathBuf> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
