//! What will happen in a life, in the order of its virtual time; what is planned for the same instant keeps its order.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use model::Timestamp;
use provision::Effect;

/// What happens. Conductors are named by their index, boots of the machine by their number.
#[derive(Debug)]
pub(crate) enum Event {
    /// A caller looks at the node.
    Act,
    /// The deadline of the record may have come; the number tells old deadlines from the current one.
    Timer(u64),
    /// A conductor's action reaches the machine.
    Apply(usize, u64),
    /// An action reaches the machine whose sender has given it up or is gone; that of an agent only in the same boot.
    Stray(Box<Effect>, u32),
    /// A conductor learns how its action ended.
    Return(usize, u64),
    /// A conductor dies.
    Crash(usize),
    /// It is started again.
    Up(usize),
    /// It stands still, or is cut off from the store.
    Freeze(usize, Duration),
    /// It goes on.
    Thaw(usize),
    /// Others have seen no sign of life of it for too long; the number tells one absence from another.
    Declare(usize, u32),
    /// The firmware of this boot is done.
    Arrive(u32),
    /// The agent of this boot asks who it is, for this time.
    Lookup(u32, u8),
    /// The agent of this boot calls, and will call again.
    Heartbeat(u32),
    /// A call with this token arrives.
    Call(u32),
    /// The agent of this boot ends its command.
    CommandEnds(u32),
    /// The agent of this boot dies; its machine may start anew.
    AgentDies(u32, bool),
}

#[derive(Debug)]
struct Planned {
    at: Timestamp,
    number: u64,
    event: Event,
}

impl PartialEq for Planned {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}

impl Eq for Planned {}

impl PartialOrd for Planned {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Planned {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.number).cmp(&(other.at, other.number))
    }
}

/// What will happen.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    heap: BinaryHeap<Reverse<Planned>>,
    number: u64,
}

impl Queue {
    pub(crate) fn plan(&mut self, at: Timestamp, event: Event) {
        self.number += 1;
        self.heap.push(Reverse(Planned { at, number: self.number, event }));
    }

    pub(crate) fn next(&mut self) -> Option<(Timestamp, Event)> {
        self.heap.pop().map(|Reverse(planned)| (planned.at, planned.event))
    }
}
