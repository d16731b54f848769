//! Who may see a row. Part of every query for nodes and ports, without a default, so that it cannot be forgotten.

/// Which nodes, and what belongs to them, a query may return.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// All of them: the service itself, and callers whose policy says so.
    All,
    /// Those that the project owns or leases.
    Project(String),
}
