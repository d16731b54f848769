//! A node with its flow as the store has them: as read, or as this conductor wrote them last. A turn that begins with what
//! the last one wrote reads nothing; if somebody else wrote the node since, the store says so and it is read anew.

use db::{FlowChange, FlowRow};
use model::{Node, NodeUuid, Timestamp};
use provision::FlowRecord;

/// A node with its flow.
#[derive(Debug)]
pub(crate) struct Standing {
    pub(crate) node: Node,
    pub(crate) flow: Option<StoredFlow>,
}

/// A flow with its row.
#[derive(Debug)]
pub(crate) struct StoredFlow {
    pub(crate) record: FlowRecord,
    row: FlowRow,
}

impl Standing {
    /// As read.
    pub(crate) fn read(node: Node, row: Option<FlowRow>) -> Result<Self, serde_json::Error> {
        let read = |row: FlowRow| Ok(StoredFlow { record: serde_json::from_str(&row.record)?, row });
        Ok(Self { node, flow: row.map(read).transpose()? })
    }

    /// The node and the record of its flow.
    pub(crate) fn split(self) -> (Node, Option<FlowRecord>) {
        (self.node, self.flow.map(|flow| flow.record))
    }
}

/// What becomes of a flow that was stored as `before`: how it is stored then, and what has to be written for it. A record
/// that says the same as before, worked on by the same `conductor`, is not written.
pub(crate) fn store(
    node: NodeUuid,
    before: Option<FlowRow>,
    record: Option<FlowRecord>,
    conductor: String,
    now: Timestamp,
) -> (Option<StoredFlow>, FlowChange) {
    let Some(record) = record else {
        return (None, if before.is_some() { FlowChange::Remove } else { FlowChange::Keep });
    };
    let row = FlowRow {
        node,
        flow: record.id,
        kind: record.kind.flow().name.to_owned(),
        record: serde_json::to_string(&record).unwrap_or_default(),
        deadline_at: record.wake_at(),
        updated_at: now,
        conductor,
    };
    if let Some(before) = before
        && before == (FlowRow { updated_at: before.updated_at, ..row.clone() })
    {
        return (Some(StoredFlow { record, row: before }), FlowChange::Keep);
    }
    (Some(StoredFlow { record, row: row.clone() }), FlowChange::Put(row))
}

impl StoredFlow {
    /// The record, and the row apart from it.
    pub(crate) fn apart(self) -> (FlowRecord, FlowRow) {
        (self.record, self.row)
    }

    /// When it has to be looked at.
    pub(crate) fn deadline(&self) -> Option<Timestamp> {
        self.row.deadline_at
    }
}

#[cfg(test)]
mod tests {
    use provision::{FlowKind, Plan};

    use super::*;

    #[test]
    fn a_flow_that_says_the_same_is_not_written() {
        let (node, at) = (NodeUuid::random(), Timestamp::from_micros);
        let store = |before, record, at| store(node, before, record, "us".to_owned(), at);
        let record = FlowRecord::of_plan(FlowKind::Clean, Plan::default(), at(1));
        let (stored, change) = store(None, Some(record.clone()), at(1));
        assert!(matches!(&change, FlowChange::Put(row) if row.updated_at == at(1)));
        let (_, row) = stored.unwrap().apart();

        let (same, change) = store(Some(row.clone()), Some(record.clone()), at(2));
        assert_eq!((change, same.unwrap().row.updated_at), (FlowChange::Keep, at(1)));
        let moved = FlowRecord { step: 1, ..record.clone() };
        let (_, change) = store(Some(row.clone()), Some(moved), at(3));
        assert!(matches!(change, FlowChange::Put(row) if row.updated_at == at(3)));
        let taken_over = FlowRow { conductor: "others".to_owned(), ..row.clone() };
        assert!(matches!(store(Some(taken_over), Some(record), at(3)).1, FlowChange::Put(_)));
        assert_eq!(store(Some(row), None, at(4)).1, FlowChange::Remove);
        assert_eq!(store(None, None, at(5)).1, FlowChange::Keep);
    }
}
