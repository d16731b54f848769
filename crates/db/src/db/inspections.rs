//! The operations on inspections under way.

use model::{Node, NodeInventory, NodeUuid};

use super::{Db, Size};
use crate::{DbError, Inspected, inspection};

impl Db {
    /// What a ramdisk reported of a node, as long as nobody has worked on it.
    pub async fn inspection_report(&self, node: NodeUuid) -> Result<Option<NodeInventory>, DbError> {
        self.read(Size::Point, move |session| inspection::report(session, node)).await
    }

    /// Keeps what a ramdisk reported, in place of an earlier report.
    ///
    /// # Errors
    /// `MissingReference` when there is no such node.
    pub async fn keep_inspection_report(&self, node: NodeUuid, data: NodeInventory) -> Result<(), DbError> {
        self.write(move |session| inspection::keep(session, node, &data)).await
    }

    /// Forgets what a ramdisk reported.
    pub async fn drop_inspection_report(&self, node: NodeUuid) -> Result<(), DbError> {
        self.write(move |session| inspection::drop_report(session, node)).await
    }

    /// Records what came of an inspection: node, ports and inventory together, and the report is forgotten.
    ///
    /// # Errors
    /// `Conflict` when somebody wrote the node or a port since they were read, `NotFound`, `Duplicate`.
    pub async fn finish_inspection(&self, done: Inspected) -> Result<Node, DbError> {
        self.write(move |session| inspection::finish(session, done)).await
    }
}
