//! What is measured of requests between processes.

use metrics::{Exposed, Histogram};

pub(crate) static ASKED: Histogram = Histogram::new(
    "wrought_bus_request_seconds",
    "Time that requests to conductors on other hosts took, as their askers see it.",
    &["method", "outcome"],
);

/// The families, to be shown.
pub const METRICS: &[&dyn Exposed] = &[&ASKED];
