//! Tokio shell of the BMC protocols: sessions, pacing, retries, deadlines.
