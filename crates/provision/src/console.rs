//! What becomes of a node's console: told to those who watch, and what a console that does not start means.

use model::Node;

use crate::decide::{Decision, Note};
use crate::error::StepError;
use crate::step::Action;
use crate::told::Status;

/// What is done to a console.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConsoleChange {
    /// It is stopped, and started again for the next user.
    Stop,
    /// It is started as it was before.
    Restore,
}

impl ConsoleChange {
    /// Its name in events.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Stop => "console_stop",
            Self::Restore => "console_restore",
        }
    }

    /// What `action` does to the console, if it does anything.
    pub(crate) const fn of(action: &Action) -> Option<Self> {
        match action {
            Action::StopConsole => Some(Self::Stop),
            Action::StartConsole => Some(Self::Restore),
            _ => None,
        }
    }
}

/// Something to tell of a console.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConsoleTold {
    /// What is done to it.
    pub change: ConsoleChange,
    /// Whether that begins, ended or failed.
    pub status: Status,
}

/// A console is off that should be on: that is no reason to stop, and stands in the node.
pub(crate) fn lost(node: &mut Node, error: &StepError) -> Note {
    let text = format!("the console cannot be started again: {error}");
    node.console_enabled = false;
    node.last_error = Some(text.clone());
    Note { event_type: "console", error: true, text }
}

/// A node's console is about to be started again, beside whatever is done to the node; `None` when it has none.
pub fn begin_console(node: Node, flow: Option<crate::FlowRecord>) -> Option<Decision> {
    let told = ConsoleTold { change: ConsoleChange::Restore, status: Status::Start };
    node.console_enabled.then(|| Decision { told: vec![told], ..Decision::rest(node, flow) })
}

/// It was started, or could not be.
pub fn end_console(
    mut node: Node,
    flow: Option<crate::FlowRecord>,
    ended: Result<(), StepError>,
) -> Decision {
    let status = if ended.is_ok() { Status::End } else { Status::Error };
    let notes = ended.err().map(|error| lost(&mut node, &error));
    let told = vec![ConsoleTold { change: ConsoleChange::Restore, status }];
    Decision { told, notes: notes.into_iter().collect(), ..Decision::rest(node, flow) }
}
