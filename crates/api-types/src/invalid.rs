//! Why a request's body is refused.

/// A value that does not fit: where it is and what was expected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {problem}")]
pub struct Invalid {
    /// JSON pointer of the value, as `/properties/cpus`; `body` for the whole.
    pub path: String,
    /// What is wrong and what is expected.
    pub problem: String,
}

impl Invalid {
    /// Says what is wrong at `path`.
    pub fn at(path: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { path: path.into(), problem: problem.into() }
    }
}

/// Why a body or a patch is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// It does not fit: 400.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// It uses what the requested version does not have: 406.
    #[error("{what} needs API version 1.{min}; this request asks for {asked}")]
    TooNew {
        /// What was used.
        what: String,
        /// The first minor version that has it.
        min: u16,
        /// The version asked for.
        asked: microversion::Version,
    },
    /// It uses what the requested version does not have any more: 406.
    #[error("'{what}' is gone: it was there up to API version 1.{last}; this request asks for {asked}")]
    Gone {
        /// What was used.
        what: String,
        /// The last minor version that had it.
        last: u16,
        /// The version asked for.
        asked: microversion::Version,
    },
}

impl BodyError {
    pub(crate) fn too_new(name: &str, min: u16, asked: microversion::Version) -> Self {
        Self::TooNew { what: format!("'{name}'"), min, asked }
    }
}
