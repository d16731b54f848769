//! What can go wrong with a child process. Every variant names the program; where there was standard error
//! output, its tail is part of the message, because that is what an operator needs.

use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

/// Why a child process did not do what was asked of it.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// The program is not on `PATH`, or the path given does not exist.
    #[error("{program}: not found; install the package that contains it or give its full path")]
    NotFound {
        /// Program as given to the builder.
        program: String,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
    /// The program exists and could not be started (not executable, no such working directory, no memory).
    #[error("{program}: could not be started")]
    Start {
        /// Program as given to the builder.
        program: String,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
    /// The log file of a long-running program could not be opened.
    #[error("{program}: log file {} could not be opened", path.display())]
    OpenLog {
        /// Program as given to the builder.
        program: String,
        /// The log file.
        path: PathBuf,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
    /// The program ended, but not with exit status 0.
    #[error("{program}: {}{}", describe(*status), tail(stderr))]
    Failed {
        /// Program as given to the builder.
        program: String,
        /// How it ended.
        status: ExitStatus,
        /// The end of its standard error, lossy UTF-8.
        stderr: String,
    },
    /// The deadline passed; the whole process group was killed.
    #[error("{program}: still running after {after:?}, killed{}", tail(stderr))]
    TimedOut {
        /// Program as given to the builder.
        program: String,
        /// The deadline that passed.
        after: Duration,
        /// The end of its standard error, lossy UTF-8.
        stderr: String,
    },
    /// The program wrote more to standard output than was allowed; it was killed.
    #[error("{program}: wrote more than {limit} bytes to standard output, killed")]
    OutputTooLong {
        /// Program as given to the builder.
        program: String,
        /// The limit in bytes, see [`crate::Command::stdout_limit`].
        limit: usize,
    },
    /// A pipe to the program, or waiting for it, failed.
    #[error("{program}: talking to it failed")]
    Pipe {
        /// Program as given to the builder.
        program: String,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
}

impl CommandError {
    /// The tail of standard error, where there is one.
    pub fn stderr(&self) -> Option<&str> {
        match self {
            Self::Failed { stderr, .. } | Self::TimedOut { stderr, .. } => Some(stderr),
            _ => None,
        }
    }
}

/// "exit status 3" or "killed by signal 9", in words that do not depend on the platform's formatting.
fn describe(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt;
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit status {code}"),
        (None, Some(signal)) => format!("killed by signal {signal}"),
        (None, None) => "ended in an unknown way".to_owned(),
    }
}

/// The stderr tail as the end of an error message.
fn tail(stderr: &str) -> String {
    let trimmed = stderr.trim();
    if trimmed.is_empty() { String::new() } else { format!(": {trimmed}") }
}
