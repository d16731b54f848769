//! The conductor's side of the agent's HTTP API: send commands, wait for them, read their results.
//!
//! One [`AgentClient`] per agent; it is cheap to clone and keeps its connection. Whatever an agent answers (it may be a
//! tenant's program that took the agent's address) ends in a result or an [`AgentError`], with bounded memory and time.
//! This crate knows no nodes, locks or databases, and installs no process-wide TLS provider.

mod client;
mod commands;
mod error;
mod trust;

pub use client::{AgentClient, AgentTarget, ClientOptions};
pub use error::{AgentError, TrustError};
pub use trust::Trust;
