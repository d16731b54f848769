//! A thread that stands still, as SIGSTOP stops a process.

use std::sync::{Condvar, Mutex};

/// Stops a thread with everything that runs on it, as SIGSTOP stops a process.
#[derive(Default)]
pub(crate) struct Freeze {
    state: Mutex<Frozen>,
    changed: Condvar,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Frozen {
    #[default]
    NotYet,
    Now,
    NoMore,
}

impl Freeze {
    pub(super) fn wait(&self) {
        self.set(Frozen::Now);
        self.until(Frozen::NoMore);
    }

    fn set(&self, state: Frozen) {
        *self.state.lock().unwrap() = state;
        self.changed.notify_all();
    }

    fn until(&self, wanted: Frozen) {
        let state = self.state.lock().unwrap();
        drop(self.changed.wait_while(state, |state| *state != wanted).unwrap());
    }

    /// Blocks until the thread stands still.
    pub(crate) fn until_frozen(&self) {
        self.until(Frozen::Now);
    }

    pub(crate) fn thaw(&self) {
        self.set(Frozen::NoMore);
    }
}
