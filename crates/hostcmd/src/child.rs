//! A running program in a process group of its own.
//!
//! The group is what is signalled: a program that starts others takes them with it. Dropping the owner sends
//! SIGKILL; the runtime reaps what is left.

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;

use rustix::process::{Pid, Signal};
use tokio::process::{ChildStderr, ChildStdin, ChildStdout};

use crate::{CommandError, capture};

/// How much of the log file [`Child::log_tail`] reads.
const LOG_TAIL: u64 = 4 * 1024;
/// After SIGKILL a process is gone as soon as the kernel gets to it; one in an uninterruptible sleep may not be.
const REAP_DEADLINE: Duration = Duration::from_secs(5);

/// A child that leads its own process group and takes the group with it when dropped.
#[derive(Debug)]
pub(crate) struct Group {
    child: tokio::process::Child,
    /// The group's id equals the leader's process id.
    leader: Option<Pid>,
    /// Set once the leader has been waited for: its number may then belong to somebody else.
    ended: Option<ExitStatus>,
}

impl Group {
    pub(crate) fn start(mut command: tokio::process::Command) -> io::Result<Self> {
        command.process_group(0).kill_on_drop(true);
        let child = command.spawn()?;
        let leader = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        Ok(Self { child, leader, ended: None })
    }

    pub(crate) fn take_pipes(&mut self) -> (Option<ChildStdin>, Option<ChildStdout>, Option<ChildStderr>) {
        (self.child.stdin.take(), self.child.stdout.take(), self.child.stderr.take())
    }

    pub(crate) async fn wait(&mut self) -> io::Result<ExitStatus> {
        if let Some(status) = self.ended {
            return Ok(status);
        }
        let status = self.child.wait().await?;
        self.ended = Some(status);
        Ok(status)
    }

    pub(crate) fn signal(&self, signal: Signal) {
        if let Some(leader) = self.leader {
            // "No such process" only says that the group is gone already.
            let _ = rustix::process::kill_process_group(leader, signal);
        }
    }

    pub(crate) fn kill(&self) {
        self.signal(Signal::KILL);
    }

    pub(crate) async fn kill_and_reap(&mut self) {
        self.kill();
        let _ = tokio::time::timeout(REAP_DEADLINE, self.wait()).await;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if self.ended.is_none() {
            self.kill();
        }
    }
}

/// A long-running program started by [`crate::Command::spawn`]. Dropping it kills its process group.
#[derive(Debug)]
pub struct Child {
    program: String,
    group: Group,
    log: PathBuf,
}

impl Child {
    pub(crate) fn new(program: String, group: Group, log: PathBuf) -> Self {
        Self { program, group, log }
    }

    /// The process id, which is also the id of its process group.
    pub fn id(&self) -> Option<u32> {
        self.group.leader.and_then(|pid| u32::try_from(pid.as_raw_nonzero().get()).ok())
    }

    /// The file that holds its standard output and error.
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// The last 4 KiB of the log file; empty when it cannot be read.
    pub fn log_tail(&self) -> String {
        use std::io::{Read as _, Seek as _, SeekFrom};
        let read = || -> io::Result<Vec<u8>> {
            let mut file = std::fs::File::open(&self.log)?;
            let length = file.metadata()?.len();
            file.seek(SeekFrom::Start(length.saturating_sub(LOG_TAIL)))?;
            let mut bytes = Vec::new();
            file.take(LOG_TAIL).read_to_end(&mut bytes)?;
            Ok(bytes)
        };
        read().map(|bytes| capture::tail_text(&bytes, bytes.len())).unwrap_or_default()
    }

    /// Whether the program has ended, without waiting.
    ///
    /// # Errors
    /// `Pipe` when the system cannot tell.
    pub fn try_wait(&mut self) -> Result<Option<ExitStatus>, CommandError> {
        if self.group.ended.is_some() {
            return Ok(self.group.ended);
        }
        let status = self
            .group
            .child
            .try_wait()
            .map_err(|source| CommandError::Pipe { program: self.program.clone(), source })?;
        self.group.ended = status;
        Ok(status)
    }

    /// Waits until the program ends by itself.
    ///
    /// # Errors
    /// `TimedOut` when it is still running at the deadline; it then goes on running.
    pub async fn wait(&mut self, deadline: Duration) -> Result<ExitStatus, CommandError> {
        match tokio::time::timeout(deadline, self.group.wait()).await {
            Ok(waited) => {
                waited.map_err(|source| CommandError::Pipe { program: self.program.clone(), source })
            }
            Err(_elapsed) => Err(CommandError::TimedOut {
                program: self.program.clone(),
                after: deadline,
                stderr: self.log_tail(),
            }),
        }
    }

    /// Kills the process group (SIGKILL), without waiting.
    pub fn kill(&self) {
        if self.group.ended.is_none() {
            self.group.kill();
        }
    }

    /// Asks the process group to end (SIGTERM), and kills it (SIGKILL) when the program has not ended after
    /// `grace`.
    ///
    /// # Errors
    /// `Pipe` or `TimedOut` when not even SIGKILL ended it within five seconds.
    pub async fn stop(mut self, grace: Duration) -> Result<ExitStatus, CommandError> {
        if let Some(status) = self.try_wait()? {
            return Ok(status);
        }
        self.group.signal(Signal::TERM);
        if let Ok(status) = self.wait(grace).await {
            return Ok(status);
        }
        tracing::debug!(program = %self.program, ?grace, "did not end on SIGTERM, killing");
        self.group.kill();
        self.wait(REAP_DEADLINE).await
    }
}
