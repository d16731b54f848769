//! What the store measures of itself.

use metrics::{Exposed, Histogram};

pub(crate) static WRITES: Histogram = Histogram::new(
    "wrought_store_write_seconds",
    "Time that writes took, from the call until they were committed.",
    &["outcome"],
);

/// The families, to be shown.
pub const METRICS: &[&dyn Exposed] = &[&WRITES];
