//! Messages that wake whoever works from the rows. Nothing depends on their arrival: work is in the rows.

/// A reason to look at the rows again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wakeup {
    /// Somebody wrote and said so.
    Notice {
        /// What kind of work there is.
        channel: String,
        /// What it is about, as a node's UUID.
        payload: String,
    },
    /// The connection that carries notices was lost for a while: look at everything.
    MayHaveMissed,
}
