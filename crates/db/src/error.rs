//! What can go wrong with the store, as its callers and its operators need to know it.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

/// What the engine said; shared, because one failed commit fails a group of writes.
#[derive(Clone)]
pub struct Cause(Arc<dyn Error + Send + Sync>);

impl Cause {
    pub(crate) fn new(error: impl Error + Send + Sync + 'static) -> Self {
        Self(Arc::new(error))
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl Error for Cause {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.source()
    }
}

/// Why an operation of the store failed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum DbError {
    // ---- the caller's
    /// Another row has the same value in a unique column.
    #[error("{field} '{value}' is taken already")]
    Duplicate {
        /// The column: `uuid`, `name`, `instance_uuid`, `address` …
        field: &'static str,
        /// The value that is taken.
        value: String,
    },
    /// The row was written by somebody else since the caller read it: read it again and decide again.
    #[error("{what} {key} was changed by somebody else in the meantime")]
    Conflict {
        /// The noun.
        what: &'static str,
        /// Which one.
        key: String,
    },
    /// The row to write is not there.
    #[error("{what} {key} could not be found")]
    NotFound {
        /// The noun.
        what: &'static str,
        /// Which one.
        key: String,
    },
    /// A conductor wrote that registered again since, or was declared dead: others may work on its nodes by now.
    #[error(
        "conductor {conductor} may not write any more: its registration {epoch} was ended, by another one under this name or because it gave no sign of life"
    )]
    Fenced {
        /// Its name.
        conductor: String,
        /// The registration that it acted under.
        epoch: i64,
    },
    /// Other rows refer to the row to remove.
    #[error("{what} {key} is in use by others")]
    InUse {
        /// The noun.
        what: &'static str,
        /// Which one.
        key: String,
    },
    /// The row that a page starts after is not there, or not visible.
    #[error("the marker {marker} could not be found")]
    MarkerNotFound {
        /// The marker as given.
        marker: String,
    },
    /// The row names another one that is not there.
    #[error("the {what} refers to something that is not there")]
    MissingReference {
        /// What was written.
        what: &'static str,
        /// What the engine said.
        #[source]
        source: Cause,
    },
    /// A filter has more values than fit into one statement.
    #[error("a filter may have at most {limit} values; this one has {found}")]
    TooManyValues {
        /// The most.
        limit: usize,
        /// How many there were.
        found: usize,
    },
    /// As many nodes as may be are there already.
    #[error("no more than {most} nodes may be {what} at once: retry when some of them are done")]
    TooMany {
        /// What those nodes are doing.
        what: &'static str,
        /// The most.
        most: u32,
    },
    /// A wake-up message is too long.
    #[error("a wake-up message may have at most {limit} bytes; this one has {found}")]
    NoticeTooLong {
        /// The most.
        limit: usize,
        /// How many there were.
        found: usize,
    },

    /// A reader of events comes too late: some after the last one it saw were dropped.
    #[error(
        "events after number {after} were dropped already; the oldest number to go on from is {oldest}: read anew what you follow, then go on from there"
    )]
    EventsGone {
        /// The last one it saw.
        after: i64,
        /// The oldest number after which nothing is missing.
        oldest: i64,
    },
    /// A reader of events names one that was never there.
    #[error(
        "there is no event with number {after}, the newest has {newest}: the database is another one, or was restored; read anew what you follow, then go on from there"
    )]
    EventsAhead {
        /// The last one it claims to have seen.
        after: i64,
        /// The newest there was.
        newest: i64,
    },

    // ---- the operator's
    /// The store could not be opened.
    #[error("cannot open the database {url}; {remedy}")]
    Open {
        /// The store, without secrets.
        url: String,
        /// What to look at.
        remedy: &'static str,
        /// What the engine said.
        #[source]
        source: Cause,
    },
    /// The database was written by a newer version of this program.
    #[error(
        "the database has schema version {found}, this program knows versions up to {known}: run the newer program, or restore the backup that was made before the upgrade"
    )]
    TooNew {
        /// The version of the database.
        found: i64,
        /// The newest that this program knows.
        known: i64,
    },
    /// A migration that was applied differs from the one this program has.
    #[error(
        "migration {version} of the database is not the one of this program: the database belongs to another build; restore a backup, or run the build that made it"
    )]
    ForeignMigration {
        /// The migration.
        version: i64,
    },
    /// A migration failed; the database is as it was before.
    #[error("cannot bring the database to schema version {version}; nothing was changed")]
    Migrate {
        /// The migration.
        version: i64,
        /// What the engine said.
        #[source]
        source: Cause,
    },
    /// The server cannot be reached, or broke the connection.
    #[error("the database server does not answer: check that it runs, its address, and its log")]
    Unreachable {
        /// What the engine said.
        #[source]
        source: Cause,
    },
    /// The disk is full.
    #[error("no space is left for the database: free some on its disk; nothing was lost")]
    Full {
        /// What the engine said.
        #[source]
        source: Cause,
    },
    /// The file cannot be written.
    #[error(
        "the database is read-only: check the owner and mode of the file and its directory, and that the file system is mounted writable"
    )]
    ReadOnly {
        /// What the engine said.
        #[source]
        source: Cause,
    },
    /// The file is damaged.
    #[error("the database is damaged: stop the service, keep a copy of the file, and restore a backup")]
    Corrupt {
        /// What the engine said.
        #[source]
        source: Cause,
    },
    /// Somebody else holds the database for too long.
    #[error(
        "the database is held by another program for too long: look for a backup or a shell that has it open"
    )]
    Busy {
        /// What the engine said.
        #[source]
        source: Cause,
    },

    // ---- ours
    /// A statement failed for another reason.
    #[error("the statement {statement} failed")]
    Statement {
        /// Its name in the source, or its beginning.
        statement: String,
        /// What the engine said.
        #[source]
        source: Cause,
    },
    /// A stored value cannot be read.
    #[error("the database holds a value in column {column} that cannot be read")]
    Malformed {
        /// The column.
        column: String,
    },
    /// The store was closed, or the operation was broken off by a panic.
    #[error("the database is closed")]
    Closed,
}

impl DbError {
    /// Whether the same call may succeed later without anything being repaired in the request or the data.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Busy { .. } | Self::Full { .. } | Self::Closed)
            || matches!(self, Self::TooMany { .. })
    }

    /// Fills in the value of a [`DbError::Duplicate`] that a session reported by its column alone.
    pub(crate) fn with_value(mut self, value_of: impl FnOnce(&str) -> String) -> Self {
        if let Self::Duplicate { field, value } = &mut self {
            *value = value_of(field);
        }
        self
    }

    /// Says what a [`DbError::MissingReference`] is about.
    pub(crate) fn about(mut self, noun: &'static str) -> Self {
        if let Self::MissingReference { what, .. } = &mut self {
            *what = noun;
        }
        self
    }
}

/// The unique columns, by name, for [`DbError::Duplicate`].
///
/// PostgreSQL names a constraint over several columns by all of them; the last one says most.
pub(crate) fn field(column: &str) -> &'static str {
    const FIELDS: &[&str] = &[
        "uuid",
        "name",
        "instance_uuid",
        "address",
        "hostname",
        "hardware_type",
        "node_uuid",
        "seq",
        "connector_id",
        "boot_index",
    ];
    let is_last = |field: &&&str| column.strip_suffix(**field).is_some_and(|rest| rest.ends_with('_'));
    let found = FIELDS.iter().find(|field| **field == column).or_else(|| FIELDS.iter().find(is_last));
    found.copied().unwrap_or("key")
}
