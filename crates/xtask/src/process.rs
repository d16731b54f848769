//! Child processes of the developer's tool: cargo, apt, pip, grub. Inherits the terminal unless output is asked for.
//!
//! The product starts programs through crate `hostcmd` alone; this is the tool that builds and tests the product.

use anyhow::{Context as _, Result, bail};
use std::ffi::OsStr;
use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

/// A command of the tool. The only place in `xtask` that makes one.
#[expect(clippy::disallowed_methods, reason = "the developer's tool runs cargo, apt and qemu-img")]
pub(crate) fn command(program: impl AsRef<OsStr>) -> Command {
    Command::new(program)
}

/// Runs to the end with the terminal's own output; an exit status other than 0 is an error naming the command.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let shown = shown(command);
    let status = command.status().with_context(|| format!("start `{shown}`"))?;
    if status.success() { Ok(()) } else { bail!("`{shown}` ended with {status}") }
}

/// Runs to the end and returns standard output; on failure the error carries what the command said.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let shown = shown(command);
    let Output { status, stdout, stderr } =
        command.stdin(Stdio::null()).output().with_context(|| format!("start `{shown}`"))?;
    if !status.success() {
        bail!("`{shown}` ended with {status}:\n{}", tail(&String::from_utf8_lossy(&stderr)));
    }
    String::from_utf8(stdout).with_context(|| format!("`{shown}` printed something that is not UTF-8"))
}

/// Runs quietly: what it printed is shown only when it failed.
pub(crate) fn quiet(command: &mut Command) -> Result<()> {
    output(command).map(drop)
}

/// Tries `attempts` times with a pause in between: for package downloads, which fail now and then.
pub(crate) fn retry(attempts: u32, pause: Duration, mut make: impl FnMut() -> Command) -> Result<()> {
    let mut left = attempts;
    loop {
        left = left.saturating_sub(1);
        match quiet(&mut make()) {
            Err(error) if left > 0 => {
                crate::say(&format!("{error:#}\n... again in {} s", pause.as_secs()));
                self::pause(pause);
            }
            done => return done,
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a pause where there is no event to wait for: between downloads, for a server to listen"
)]
pub(crate) fn pause(pause: Duration) {
    std::thread::sleep(pause);
}

/// The root of the source tree.
pub(crate) fn source_root() -> &'static Path {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.ancestors().nth(2).unwrap_or(own)
}

fn shown(command: &Command) -> String {
    let mut text = command.get_program().to_string_lossy().into_owned();
    for argument in command.get_args() {
        let _ = write!(text, " {}", argument.to_string_lossy());
    }
    text
}

/// The last 30 lines: errors stand at the end.
fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(30)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_carries_what_the_command_said() {
        let error = output(command("sh").args(["-c", "echo why >&2; exit 3"])).unwrap_err();
        assert!(format!("{error}").contains("why"), "{error}");
        assert!(format!("{error}").contains('3'), "{error}");
    }

    #[test]
    fn retry_stops_after_the_last_attempt() {
        let mut tried = 0;
        let end = retry(3, Duration::ZERO, || {
            tried += 1;
            command("false")
        });
        assert!(end.is_err());
        assert_eq!(tried, 3);
    }

    #[test]
    fn the_source_root_holds_the_workspace() {
        assert!(source_root().join("Cargo.toml").is_file());
        assert!(source_root().join("crates/xtask").is_dir());
    }
}
