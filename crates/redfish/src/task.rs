//! Tasks (DSP0266 section 12.2): what an answer 202 leads to.

use crate::document::text;
use crate::fault::{Fault, messages};
use crate::path::ResourcePath;
use serde_json::Value;

/// How far a task is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TaskProgress {
    /// It runs, or waits for its turn.
    Running,
    /// It waits for the next boot of the machine: as done as it can be now.
    Staged,
    /// It ended well.
    Done,
    /// It ended otherwise.
    Failed,
}

/// A task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task {
    /// Where to ask again.
    pub path: Option<ResourcePath>,
    /// How far it is.
    pub progress: TaskProgress,
    /// It ended, with a warning: it did what it was to do, and has something to say about it.
    pub warned: bool,
    /// What it says.
    pub fault: Fault,
}

impl Task {
    /// Reads a task or a task monitor's answer. `status` is that of HTTP: a monitor answers 202 while the task runs and
    /// with the outcome after, with or without a task in the body.
    pub fn from_value(status: u16, value: &Value) -> Self {
        let state = text(value, "TaskState");
        let ill = matches!(text(value, "TaskStatus").as_deref(), Some("Critical" | "Warning"));
        let progress = match state.as_deref() {
            Some("Completed") if ill => TaskProgress::Failed,
            Some("Completed") => TaskProgress::Done,
            Some("Exception" | "Killed" | "Cancelled" | "Interrupted") => TaskProgress::Failed,
            Some("Pending" | "Suspended") => TaskProgress::Staged,
            Some(_) => TaskProgress::Running,
            None if status == 202 => TaskProgress::Running,
            None if status < 400 => TaskProgress::Done,
            None => TaskProgress::Failed,
        };
        let warned =
            state.as_deref() == Some("Completed") && text(value, "TaskStatus").as_deref() == Some("Warning");
        let fault = match value.get("Messages") {
            Some(said) => Fault { status, messages: messages(said) },
            None => Fault::from_value(status, value),
        };
        Self { path: ResourcePath::of_link(value), progress, warned, fault }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn progress_is_read_from_state_or_status() {
        let progress = |status, value: Value| Task::from_value(status, &value).progress;
        assert_eq!(progress(202, json!({})), TaskProgress::Running);
        assert_eq!(progress(204, json!({})), TaskProgress::Done);
        // A state that came with a newer firmware than the schema.
        assert_eq!(progress(202, json!({"TaskState": "New"})), TaskProgress::Running);
        assert_eq!(progress(200, json!({"TaskState": "Completed", "TaskStatus": "OK"})), TaskProgress::Done);
        assert_eq!(
            progress(200, json!({"TaskState": "Completed", "TaskStatus": "Critical"})),
            TaskProgress::Failed
        );
        let task = Task::from_value(
            200,
            &json!({"TaskState": "Exception", "Messages": [{"MessageId": "Base.1.0.InternalError", "Message": "No."}]}),
        );
        assert_eq!(task.progress, TaskProgress::Failed);
        assert!(task.fault.to_string().contains("No (Base.1.0.InternalError)"));
    }
}
