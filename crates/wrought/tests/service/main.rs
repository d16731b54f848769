//! The service as its operators run it: the real binary with a data directory of its own, driven over its API, with a
//! fleet of simulated machines that speak real IPMI and run real agents.
//!
//! One program for all of it, so that tests that mostly wait do so at the same time.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

mod apart;
mod bad_input;
mod client_suites;
mod clients;
mod crash;
mod events;
mod go_clients;
mod graceful;
mod lives;
mod observe;
mod verbs;

mod api;
mod image_server;
mod machine;
mod site;

use std::time::Duration;

/// Longer than any phase of a life takes on a busy computer: it ends what hangs, it measures nothing.
const LONG: Duration = Duration::from_secs(90);
