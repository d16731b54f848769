//! Everything that one decision about a node changes, in one transaction.

use model::Node;

use crate::session::Session;
use crate::{
    Admission, DbError, FlowChange, HistoryEntry, HistoryRetention, JournalWrite, NewEvent, Term, admission,
    conductor, flow, history, node,
};

/// A decision to record.
#[derive(Debug, Clone)]
pub struct Commit {
    /// The node that the decision was made on.
    pub before: Node,
    /// The node as decided. Recorded only if nobody wrote the node since `before` was read.
    pub after: Node,
    /// The conductor that decided. Recorded only while its registration is the current one.
    pub by: Option<Term>,
    /// What becomes of its flow.
    pub flow: FlowChange,
    /// Lines for the journal, in order.
    pub journal: Vec<JournalWrite>,
    /// Entries for its history.
    pub history: Vec<HistoryEntry>,
    /// Events to tell others, beside those that the change of the node is told by.
    pub events: Vec<NewEvent>,
    /// Channels and payloads of wake-ups, sent when the decision is recorded. At most 7,000 bytes each.
    pub notices: Vec<(String, String)>,
    /// A limit on how many nodes may be where this one goes.
    pub admission: Option<Admission>,
}

impl Commit {
    /// A decision that changes the node alone.
    pub fn new(before: Node, after: Node) -> Self {
        Self {
            before,
            after,
            by: None,
            flow: FlowChange::Keep,
            journal: Vec::new(),
            history: Vec::new(),
            events: Vec::new(),
            notices: Vec::new(),
            admission: None,
        }
    }
}

/// Records a decision. The node's row comes first (its lock orders the writers of a node).
pub(crate) fn record(
    session: &mut dyn Session,
    commit: Commit,
    kept: HistoryRetention,
) -> Result<Node, DbError> {
    if let Some(by) = &commit.by {
        conductor::check(session, by)?;
    }
    if let Some(admission) = &commit.admission {
        admission::check(session, admission)?;
    }
    let node = node::write::update(session, &commit.before, commit.after)?;
    flow::change(session, node.uuid, &commit.flow)?;
    for line in &commit.journal {
        flow::note(session, node.uuid, commit.by.as_ref(), line)?;
    }
    history::add(session, node.uuid, &commit.history, kept)?;
    for (channel, payload) in &commit.notices {
        session.notify(channel, payload)?;
    }
    commit.events.into_iter().for_each(|event| session.tell(event));
    Ok(node)
}
