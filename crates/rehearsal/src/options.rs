//! What is rehearsed: how many lives, how troubled, and what is broken on purpose.

/// What is rehearsed. Equal options give equal lives, wherever and however often they are lived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Decides everything else.
    pub seed: u64,
    /// How many nodes live; node `n` lives the same life whatever the number.
    pub nodes: u32,
    /// Tenants that callers want to see come and go on each node.
    pub lives: u32,
    /// Conductors of the site, 1 to 9.
    pub conductors: u8,
    /// How many of a thousand effects see a conductor die or stand still.
    pub crashes: u32,
    /// How many of a thousand effects, calls and boots go wrong.
    pub faults: u32,
    /// What is broken on purpose, to see that it is noticed.
    pub sabotage: Option<Sabotage>,
}

impl Default for Options {
    fn default() -> Self {
        Self { seed: 1, nodes: 1000, lives: 1, conductors: 3, crashes: 15, faults: 15, sabotage: None }
    }
}

/// Ways to break the service on purpose: each must be noticed, or the invariants are worth nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sabotage {
    /// A conductor that was declared dead still writes and acts.
    Unfenced,
    /// After a crash, the agent is told its step again instead of being asked.
    SendAgain,
    /// Deadlines pass unseen.
    NoTimers,
    /// What is done is not written down before.
    NoIntent,
    /// The lease is not kept.
    NoLease,
    /// A node becomes active while its machine would still be given the ramdisk.
    KeepRamdisk,
    /// The ramdisk's agent erases nothing.
    SpareDisks,
    /// Failures lose their reason.
    NoReason,
    /// A node jumps to a state that the table does not lead to.
    Jump,
}

impl Sabotage {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Unfenced,
        Self::SendAgain,
        Self::NoTimers,
        Self::NoIntent,
        Self::NoLease,
        Self::KeepRamdisk,
        Self::SpareDisks,
        Self::NoReason,
        Self::Jump,
    ];
}
