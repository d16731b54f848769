//! How long BMCs take to answer.

use metrics::{Exposed, Histogram};
use tokio::time::Instant;

static REQUESTS: Histogram = Histogram::new(
    "wrought_bmc_request_seconds",
    "Time that requests to BMCs took, waiting for their turn and repetitions included.",
    &["protocol", "outcome"],
);

/// The families, to be shown.
pub const METRICS: &[&dyn Exposed] = &[&REQUESTS];

/// Takes note of a request that began then and ended now.
pub(crate) fn asked<T, E>(protocol: &str, began: Instant, outcome: &Result<T, E>) {
    let word = if outcome.is_ok() { "ok" } else { "failed" };
    REQUESTS.observe(&[protocol, word], began.elapsed());
}
