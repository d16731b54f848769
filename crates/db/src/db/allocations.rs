//! The operations on allocations.

use model::{Allocation, AllocationUuid, Node, NodeUuid};

use super::{Db, Size};
use crate::{AllocationKey, AllocationQuery, Candidate, DbError, Scope, Term, allocation};

impl Db {
    /// One allocation; `None` when it is not there or not visible to `scope`.
    pub async fn get_allocation(
        &self,
        key: &AllocationKey,
        scope: &Scope,
    ) -> Result<Option<Allocation>, DbError> {
        let (key, scope) = (key.clone(), scope.clone());
        self.read(Size::Point, move |session| allocation::get(session, &key, &scope)).await
    }

    /// A page of allocations.
    ///
    /// # Errors
    /// `MarkerNotFound`.
    pub async fn list_allocations(&self, query: &AllocationQuery) -> Result<Vec<Allocation>, DbError> {
        let query = query.clone();
        self.read(Size::of(query.paging.limit), move |session| allocation::list(session, &query)).await
    }

    /// Allocations that look for a node, and that no living conductor but `host` works on, oldest first.
    pub async fn unsettled_allocations(&self, host: &str) -> Result<Vec<AllocationUuid>, DbError> {
        let host = host.to_owned();
        self.read(Size::Scan, move |session| allocation::unsettled(session, &host)).await
    }

    /// Makes an allocation the one that this conductor works on; `None` when it is gone or settled, or when another
    /// conductor that lives works on it.
    ///
    /// # Errors
    /// `Fenced`.
    pub async fn begin_allocation(
        &self,
        uuid: AllocationUuid,
        by: &Term,
    ) -> Result<Option<Allocation>, DbError> {
        let by = by.clone();
        self.write(move |session| allocation::begin(session, uuid, &by)).await
    }

    /// The nodes that an allocation might get, as they are now.
    ///
    /// # Errors
    /// `TooManyValues`.
    pub async fn allocation_candidates(&self, wanted: &Allocation) -> Result<Vec<Candidate>, DbError> {
        let wanted = wanted.clone();
        self.read(Size::Scan, move |session| allocation::candidates(session, &wanted)).await
    }

    /// The nodes visible to `scope` that are called by one of `idents`, by UUID or by name: UUID and name of each, in
    /// no order.
    ///
    /// # Errors
    /// `TooManyValues`.
    pub async fn nodes_called(
        &self,
        idents: Vec<String>,
        scope: &Scope,
    ) -> Result<Vec<(NodeUuid, Option<String>)>, DbError> {
        let scope = scope.clone();
        self.read(Size::Scan, move |session| allocation::named(session, &idents, &scope)).await
    }

    /// Stores a new allocation; the answer has its `id`.
    ///
    /// # Errors
    /// `Duplicate` names `uuid` or `name`.
    pub async fn create_allocation(&self, item: Allocation) -> Result<Allocation, DbError> {
        self.write(move |session| allocation::create(session, item)).await
    }

    /// Stores a new allocation that has its node already, together with the change of that node: both or neither.
    ///
    /// # Errors
    /// As [`Db::create_allocation`] and [`Db::update_node`].
    pub async fn create_allocation_for(
        &self,
        item: Allocation,
        before: &Node,
        after: Node,
    ) -> Result<Allocation, DbError> {
        let before = before.clone();
        self.write(move |session| allocation::create_for(session, item, &before, after)).await
    }

    /// Writes what differs between `before` and `after`. The answer has the new `updated_at`.
    ///
    /// # Errors
    /// `Conflict` when somebody wrote it since `before` was read, `NotFound`, `Duplicate`.
    pub async fn update_allocation(
        &self,
        before: &Allocation,
        after: Allocation,
    ) -> Result<Allocation, DbError> {
        let before = before.clone();
        self.write(move |session| allocation::update(session, &before, after)).await
    }

    /// Gives a node to an allocation, together with the change of the node: both or neither.
    ///
    /// # Errors
    /// `NotFound` of a node, or of an allocation that does not look for one any more; `Conflict` when somebody wrote
    /// the node since `before` was read; `Duplicate` when another node has the `instance_uuid`; `Fenced`.
    pub async fn claim_node(
        &self,
        uuid: AllocationUuid,
        before: &Node,
        after: Node,
        by: &Term,
    ) -> Result<Allocation, DbError> {
        let (before, by) = (before.clone(), by.clone());
        self.write(move |session| allocation::claim(session, uuid, (&before, after), &by)).await
    }

    /// Notes that no node was found.
    ///
    /// # Errors
    /// `NotFound` when the allocation does not look for one any more; `Fenced`.
    pub async fn fail_allocation(
        &self,
        uuid: AllocationUuid,
        reason: &str,
        by: &Term,
    ) -> Result<Allocation, DbError> {
        let (reason, by) = (reason.to_owned(), by.clone());
        self.write(move |session| allocation::fail(session, uuid, &reason, &by)).await
    }

    /// Removes an allocation that has no node. One that has a node goes when the node gives it up.
    ///
    /// # Errors
    /// `InUse` while it has a node, `NotFound`.
    pub async fn delete_allocation(&self, uuid: AllocationUuid) -> Result<(), DbError> {
        self.write(move |session| allocation::delete(session, uuid)).await
    }
}
