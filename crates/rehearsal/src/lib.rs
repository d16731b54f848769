//! Whole lives of nodes under virtual time, all from one seed: BMCs that lie, agents that die, calls that are lost or come
//! twice, callers who want anything at any time, conductors that die between any two records, stand still, and come
//! back when others have taken over. It drives the real core, and the parts of the conductor that are pure.
//!
//! Equal options give equal lives, wherever they are lived: no clock, no IO, no order of a hash map, no chance but the
//! seed's. Nodes share nothing but conductors and the store, and what happens elsewhere reaches a node only as a
//! conductor's death or delay, which each life deals out itself: so every life is lived alone, and any one of them can be
//! lived again.
//!
//! What must hold at every record, whatever goes wrong (`checker.rs`):
//!
//! 1. only transitions of the table;
//! 2. the intent is recorded before the effect, and every action has one intent and at most one outcome, in order;
//! 3. the lease covers exactly what is done to the machine, belongs to who does it, and expires;
//! 4. one conductor at a time works on a machine, under its lease and its record; words and actions of one that was
//!    declared dead are refused;
//! 5. no step that must not be repeated runs twice, whatever dies in between: images are written once, disks erased once,
//!    tasks of the BMC begun once for each run of their step;
//! 6. whatever is under way is driven by an action or by a deadline, a wait is shown by its state, and every wait, every
//!    flow and every life ends;
//! 7. a state of rest has nothing under way, a state of work has its flow, and nothing of a flow outlives it: no lease, no
//!    power target, no step;
//! 8. a failure has its reason, with a code; a fault has its maintenance;
//! 9. what is active does not boot the ramdisk, and runs its user's system where nobody lied about the machine;
//! 10. what is available was cleaned after its last user, where cleaning is on;
//! 11. a record reads back as it was written.
//!
//! What it does not know: the store's own transactions, the wires of BMCs and agents, the bus between conductors. Their
//! crates test those.

mod checker;
mod dice;
mod hardware;
mod life;
mod log;
mod machine;
mod options;
mod queue;
mod run;
mod tally;

pub use checker::Breach;
pub use hardware::Hardware;
pub use machine::{Agent, Command, Machine};
pub use options::{Options, Sabotage};
pub use run::{BrokenLife, Replay, Summary, hex, replay, run};
pub use tally::Tally;
