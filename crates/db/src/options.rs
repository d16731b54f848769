//! Where the store is and how it is opened.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

/// How a store is opened.
#[derive(Debug, Clone)]
pub struct Options {
    /// Which store.
    pub url: DatabaseUrl,
    /// How much of each node's history is kept.
    pub history: HistoryRetention,
}

/// How much of each node's history is kept; what is more goes in the write that adds to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HistoryRetention {
    /// The newest entries.
    pub count: u32,
    /// Beside those, whatever is younger than this.
    pub age: Duration,
}

impl Default for HistoryRetention {
    fn default() -> Self {
        Self { count: 300, age: Duration::ZERO }
    }
}

impl Options {
    /// Opens `url`.
    pub fn new(url: DatabaseUrl) -> Self {
        Self { url, history: HistoryRetention::default() }
    }
}

/// The address of a store: `sqlite:<path>` or `postgres://user:password@host/database`.
#[derive(Clone, PartialEq, Eq)]
pub enum DatabaseUrl {
    /// A file of this machine; made when it is not there.
    Sqlite {
        /// The file. Its directory has to exist.
        path: PathBuf,
        /// Whether each commit waits for the disk (`?synchronous=full`). Without it a commit survives the death of
        /// the process, but the last ones before a power failure may be undone.
        full_sync: bool,
    },
    /// A PostgreSQL server, as a connection string of its client library.
    Postgres(String),
}

/// The text is not the address of a store.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "not a database address: expected sqlite:<path>, sqlite:<path>?synchronous=full or postgres://user@host/database"
)]
pub struct InvalidDatabaseUrl;

impl DatabaseUrl {
    /// A file of this machine.
    pub fn sqlite(path: impl Into<PathBuf>) -> Self {
        Self::Sqlite { path: path.into(), full_sync: false }
    }
}

impl FromStr for DatabaseUrl {
    type Err = InvalidDatabaseUrl;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            return Ok(Self::Postgres(text.to_owned()));
        }
        let rest = text.strip_prefix("sqlite:").ok_or(InvalidDatabaseUrl)?;
        let (path, full_sync) = match rest.split_once('?') {
            None => (rest, false),
            Some((path, "synchronous=full")) => (path, true),
            Some((path, "synchronous=normal")) => (path, false),
            Some(_) => return Err(InvalidDatabaseUrl),
        };
        // `sqlite:///var/lib/x` is what other programs call the absolute path.
        let path = path.strip_prefix("//").unwrap_or(path);
        if path.is_empty() {
            return Err(InvalidDatabaseUrl);
        }
        Ok(Self::Sqlite { path: path.into(), full_sync })
    }
}

/// Without user, password and parameters.
impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite { path, .. } => write!(f, "sqlite:{}", path.display()),
            Self::Postgres(url) => {
                let rest = url.split_once("://").map_or("", |(_, rest)| rest);
                let rest = rest.split('?').next().unwrap_or_default();
                let host = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
                write!(f, "postgres://{host}")
            }
        }
    }
}

/// As `Display`: a password never shows.
impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read() {
        let sqlite = |path: &str, full_sync| DatabaseUrl::Sqlite { path: path.into(), full_sync };
        assert_eq!("sqlite:/var/lib/w.db".parse(), Ok(sqlite("/var/lib/w.db", false)));
        assert_eq!("sqlite:///var/lib/w.db".parse(), Ok(sqlite("/var/lib/w.db", false)));
        assert_eq!("sqlite:w.db?synchronous=full".parse(), Ok(sqlite("w.db", true)));
        for wrong in ["", "sqlite:", "sqlite:x?mode=ro", "mysql://host/x", "/var/lib/w.db"] {
            assert_eq!(wrong.parse::<DatabaseUrl>(), Err(InvalidDatabaseUrl), "{wrong}");
        }
    }

    #[test]
    fn a_password_never_shows() {
        let url: DatabaseUrl = "postgres://wrought:hush@db.example/site?password=hush2".parse().unwrap();
        assert_eq!(url.to_string(), "postgres://db.example/site");
        assert!(!format!("{:?}", Options::new(url)).contains("hush"));
    }
}
