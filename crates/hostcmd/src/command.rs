//! The builder and the two ways to run a program to its end.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::future::Future;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::io::AsyncWriteExt as _;

use crate::capture::{self, Head};
use crate::child::Group;
use crate::{Child, CommandError};

/// Standard output kept unless [`Command::stdout_limit`] says otherwise.
const DEFAULT_STDOUT_LIMIT: usize = 1024 * 1024;
/// Standard error kept in [`Output::stderr`].
const STDERR_LIMIT: usize = 64 * 1024;
/// Standard error quoted in an error.
const STDERR_QUOTED: usize = 2 * 1024;
/// How long a pipe may stay open after the program itself has ended (a grandchild inherited it).
const PIPE_GRACE: Duration = Duration::from_secs(2);
/// Without a `PATH` of our own the children still need one.
const FALLBACK_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A program, its arguments and its surroundings. Cheap to clone; may be run any number of times.
#[derive(Clone)]
pub struct Command {
    program: OsString,
    args: Vec<Arg>,
    env: Vec<(OsString, OsString)>,
    cwd: Option<PathBuf>,
    netns: Option<String>,
    stdin: Option<Vec<u8>>,
    stdout_limit: usize,
}

#[derive(Clone)]
struct Arg {
    value: OsString,
    secret: bool,
}

/// How a program ended and what it wrote.
#[derive(Debug, Clone)]
pub struct Output {
    /// Exit status or signal.
    pub status: ExitStatus,
    /// All of standard output (bounded by [`Command::stdout_limit`], longer is an error).
    pub stdout: Vec<u8>,
    /// The last 64 KiB of standard error.
    pub stderr: Vec<u8>,
}

impl Output {
    /// Standard output as text; bytes that are not UTF-8 become U+FFFD.
    pub fn stdout_text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// Standard error as text; bytes that are not UTF-8 become U+FFFD.
    pub fn stderr_text(&self) -> String {
        String::from_utf8_lossy(&self.stderr).into_owned()
    }
}

impl Command {
    /// A command for `program`: a name looked up on `PATH`, or a path.
    pub fn new(program: impl AsRef<OsStr>) -> Self {
        Self {
            program: program.as_ref().to_owned(),
            args: Vec::new(),
            env: Vec::new(),
            cwd: None,
            netns: None,
            stdin: None,
            stdout_limit: DEFAULT_STDOUT_LIMIT,
        }
    }

    /// Appends one argument, passed as it is: nothing expands or splits it.
    #[must_use]
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.args.push(Arg { value: arg.as_ref().to_owned(), secret: false });
        self
    }

    /// Appends arguments.
    #[must_use]
    pub fn args<I, S>(mut self, args: I) -> Self
    where
        I: IntoIterator<Item = S>,
        S: AsRef<OsStr>,
    {
        self.args.extend(args.into_iter().map(|arg| Arg { value: arg.as_ref().to_owned(), secret: false }));
        self
    }

    /// Appends an argument that logs and `Debug` show as `***`. Other users of the machine can still see it in
    /// the process list: prefer [`Command::stdin`] or a variable where the program knows one.
    #[must_use]
    pub fn secret_arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.args.push(Arg { value: arg.as_ref().to_owned(), secret: true });
        self
    }

    /// Adds a variable to the otherwise empty environment (`PATH` and `LANG` are always there). Values are
    /// never logged.
    #[must_use]
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.env.push((name.as_ref().to_owned(), value.as_ref().to_owned()));
        self
    }

    /// Sets the working directory.
    #[must_use]
    pub fn cwd(mut self, dir: impl AsRef<Path>) -> Self {
        self.cwd = Some(dir.as_ref().to_owned());
        self
    }

    /// Runs the program in a named network namespace, by prefixing `ip netns exec NAME` (needs root).
    #[must_use]
    pub fn netns(mut self, name: impl Into<String>) -> Self {
        self.netns = Some(name.into());
        self
    }

    /// Bytes the program finds on standard input; without them it finds end of file at once. [`Command::spawn`]
    /// ignores them.
    #[must_use]
    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = Some(bytes.into());
        self
    }

    /// The most standard output that is accepted, in bytes (1 MiB without this call).
    #[must_use]
    pub fn stdout_limit(mut self, bytes: usize) -> Self {
        self.stdout_limit = bytes;
        self
    }

    /// The program as given, for messages.
    pub fn program(&self) -> String {
        self.program.to_string_lossy().into_owned()
    }

    /// Runs to the end and wants exit status 0.
    ///
    /// # Errors
    /// All of [`CommandError`] but `OpenLog`. Dropping the future kills the process group.
    pub async fn run(&self, deadline: Duration) -> Result<Output, CommandError> {
        let output = self.output(deadline).await?;
        if output.status.success() {
            return Ok(output);
        }
        Err(CommandError::Failed {
            program: self.program(),
            status: output.status,
            stderr: capture::tail_text(&output.stderr, STDERR_QUOTED),
        })
    }

    /// Runs to the end, whatever the exit status.
    ///
    /// # Errors
    /// As [`Command::run`], without `Failed`. Dropping the future kills the process group.
    pub async fn output(&self, deadline: Duration) -> Result<Output, CommandError> {
        tracing::debug!(command = ?self, "running");
        let mut command = self.prepare();
        command.stdin(if self.stdin.is_some() { Stdio::piped() } else { Stdio::null() });
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut group = Group::start(command).map_err(|source| self.start_error(source))?;
        let mut stdout = Vec::new();
        let mut stderr = Vec::new();
        let conversation = self.converse(&mut group, &mut stdout, &mut stderr);
        let ended = tokio::time::timeout(deadline, conversation).await;
        match ended {
            Ok(Ok(Some(status))) => Ok(Output { status, stdout, stderr }),
            Ok(Ok(None)) => {
                group.kill_and_reap().await;
                Err(CommandError::OutputTooLong { program: self.program(), limit: self.stdout_limit })
            }
            Ok(Err(source)) => {
                group.kill_and_reap().await;
                Err(CommandError::Pipe { program: self.program(), source })
            }
            Err(_elapsed) => {
                group.kill_and_reap().await;
                Err(CommandError::TimedOut {
                    program: self.program(),
                    after: deadline,
                    stderr: capture::tail_text(&stderr, STDERR_QUOTED),
                })
            }
        }
    }

    /// Feeds standard input, gathers output and waits. `None` when standard output passed its limit.
    async fn converse(
        &self,
        group: &mut Group,
        stdout: &mut Vec<u8>,
        stderr: &mut Vec<u8>,
    ) -> io::Result<Option<ExitStatus>> {
        let (stdin_pipe, stdout_pipe, stderr_pipe) = group.take_pipes();
        let feed = async {
            if let (Some(mut pipe), Some(bytes)) = (stdin_pipe, self.stdin.as_deref()) {
                // A program may end without reading its input: that is for its exit status to say.
                let _ = pipe.write_all(bytes).await;
                let _ = pipe.shutdown().await;
            }
        };
        let read_stdout = async {
            match stdout_pipe {
                Some(pipe) => capture::read_head(pipe, stdout, self.stdout_limit).await,
                None => Ok(Head::Whole),
            }
        };
        let read_stderr = async {
            match stderr_pipe {
                Some(pipe) => capture::read_tail(pipe, stderr, STDERR_LIMIT).await,
                None => Ok(()),
            }
        };
        let reading = async { tokio::try_join!(read_stdout, read_stderr).map(|(head, ())| head) };
        tokio::pin!(feed);
        tokio::pin!(reading);
        let mut fed = false;
        loop {
            tokio::select! {
                () = &mut feed, if !fed => fed = true,
                head = &mut reading => return match head? {
                    Head::Whole => group.wait().await.map(Some),
                    Head::TooLong => Ok(None),
                },
                status = group.wait() => {
                    let status = status?;
                    return after_exit(group, status, reading).await;
                }
            }
        }
    }

    /// Starts a long-running program; standard output and error are appended to `log`, which is created.
    ///
    /// # Errors
    /// `NotFound`, `Start`, `OpenLog`.
    pub fn spawn(&self, log: impl AsRef<Path>) -> Result<Child, CommandError> {
        let path = log.as_ref().to_owned();
        let open_log = |source| CommandError::OpenLog { program: self.program(), path: path.clone(), source };
        let out = std::fs::File::options().create(true).append(true).open(&path).map_err(open_log)?;
        let err = out.try_clone().map_err(open_log)?;
        tracing::debug!(command = ?self, log = %path.display(), "starting");
        let mut command = self.prepare();
        command.stdin(Stdio::null()).stdout(out).stderr(err);
        let group = Group::start(command).map_err(|source| self.start_error(source))?;
        Ok(Child::new(self.program(), group, path))
    }

    fn start_error(&self, source: io::Error) -> CommandError {
        let program = self.program();
        // A missing working directory gives the same code as a missing program.
        let directory_there = self.cwd.as_ref().is_none_or(|dir| dir.is_dir());
        if source.kind() == io::ErrorKind::NotFound && directory_there {
            CommandError::NotFound { program, source }
        } else {
            CommandError::Start { program, source }
        }
    }

    fn prepare(&self) -> tokio::process::Command {
        let mut command = match &self.netns {
            None => tokio::process::Command::new(&self.program),
            Some(name) => {
                let mut command = tokio::process::Command::new("ip");
                command.args(["netns", "exec", name]).arg(&self.program);
                command
            }
        };
        command.args(self.args.iter().map(|arg| &arg.value));
        command.env_clear();
        command.env("PATH", std::env::var_os("PATH").unwrap_or_else(|| FALLBACK_PATH.into()));
        // Messages are parsed and quoted: they are wanted in one language, in UTF-8.
        command.env("LANG", std::env::var_os("LANG").unwrap_or_else(|| "C.UTF-8".into()));
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        if let Some(dir) = &self.cwd {
            command.current_dir(dir);
        }
        command
    }
}

/// The program has ended: read what is left in its pipes. A grandchild that keeps them open is killed with its
/// group, and one that left the group is not waited for.
async fn after_exit(
    group: &Group,
    status: ExitStatus,
    reading: impl Future<Output = io::Result<Head>>,
) -> io::Result<Option<ExitStatus>> {
    tokio::pin!(reading);
    for last in [false, true] {
        match tokio::time::timeout(PIPE_GRACE, &mut reading).await {
            Ok(Ok(Head::Whole)) => break,
            Ok(Ok(Head::TooLong)) => return Ok(None),
            Ok(Err(error)) => return Err(error),
            Err(_elapsed) if last => break,
            Err(_elapsed) => group.kill(),
        }
    }
    Ok(Some(status))
}

impl fmt::Debug for Command {
    /// One line as an operator would type it, secrets masked; for reading, not for pasting into a shell.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(name) = &self.netns {
            write!(f, "ip netns exec {name} ")?;
        }
        f.write_str(&self.program.to_string_lossy())?;
        for arg in &self.args {
            if arg.secret {
                f.write_str(" ***")?;
                continue;
            }
            let text = arg.value.to_string_lossy();
            if text.is_empty() || text.contains(|c: char| c.is_whitespace() || c.is_control()) {
                write!(f, " {text:?}")?;
            } else {
                write!(f, " {text}")?;
            }
        }
        Ok(())
    }
}
