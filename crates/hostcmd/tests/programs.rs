//! Runs real programs of the base system.

use std::os::unix::process::ExitStatusExt as _;
use std::time::Duration;

use hostcmd::{Command, CommandError};

const SOON: Duration = Duration::from_secs(20);

/// Waits until the process `pid` is gone (or a zombie, which is as good).
async fn gone(pid: &str) -> bool {
    for _ in 0..200 {
        match std::fs::read_to_string(format!("/proc/{pid}/stat")) {
            Err(_) => return true,
            Ok(stat) if stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('Z')) => {
                return true;
            }
            Ok(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
    false
}

#[tokio::test]
async fn arguments_arrive_as_they_are() {
    let output = Command::new("printf").arg("%s|").args(["a b", "$HOME", "*", ""]).run(SOON).await.unwrap();
    assert_eq!(output.stdout_text(), "a b|$HOME|*||");
}

#[tokio::test]
async fn the_environment_holds_path_and_lang_and_what_was_added() {
    let output = Command::new("env").env("ADDED", "1").run(SOON).await.unwrap();
    let text = output.stdout_text();
    let mut names: Vec<&str> = text.lines().filter_map(|line| line.split('=').next()).collect();
    names.sort_unstable();
    assert_eq!(names, ["ADDED", "LANG", "PATH"]);
}

#[tokio::test]
async fn the_working_directory_is_used_and_a_missing_one_is_not_called_a_missing_program() {
    let dir = tempfile::tempdir().unwrap();
    let real = dir.path().canonicalize().unwrap();
    let output = Command::new("pwd").cwd(&real).run(SOON).await.unwrap();
    assert_eq!(output.stdout_text().trim(), real.to_str().unwrap());
    let error = Command::new("pwd").cwd(real.join("absent")).run(SOON).await.unwrap_err();
    assert!(matches!(error, CommandError::Start { .. }), "{error:?}");
}

#[tokio::test]
async fn a_missing_program_is_named() {
    let error = Command::new("no-such-program-here").run(SOON).await.unwrap_err();
    assert!(matches!(error, CommandError::NotFound { .. }));
    assert!(error.to_string().starts_with("no-such-program-here: not found"), "{error}");
}

#[tokio::test]
async fn failure_carries_status_and_stderr() {
    let command = Command::new("sh").args(["-c", "echo out; echo why it failed >&2; exit 3"]);
    let error = command.run(SOON).await.unwrap_err();
    assert_eq!(error.to_string(), "sh: exit status 3: why it failed");
    assert_eq!(error.stderr().map(str::trim), Some("why it failed"));
    let output = command.output(SOON).await.unwrap();
    assert_eq!(output.status.code(), Some(3));
    assert_eq!(output.stdout_text(), "out\n");
}

#[tokio::test]
async fn a_signal_is_told_from_an_exit_status() {
    let error = Command::new("sh").args(["-c", "kill -9 $$"]).run(SOON).await.unwrap_err();
    assert_eq!(error.to_string(), "sh: killed by signal 9");
}

#[tokio::test]
async fn stdin_reaches_the_program_and_its_end_too() {
    let bytes: Vec<u8> = (0..300_000_u32).map(|n| u8::try_from(n % 256).unwrap()).collect();
    let output = Command::new("cat").stdin(bytes.clone()).run(SOON).await.unwrap();
    assert_eq!(output.stdout, bytes);
    let empty = Command::new("cat").run(SOON).await.unwrap();
    assert!(empty.stdout.is_empty());
    // A program that never reads is not an error of ours.
    Command::new("true").stdin(bytes).run(SOON).await.unwrap();
}

#[tokio::test]
async fn the_deadline_kills_grandchildren_too() {
    let dir = tempfile::tempdir().unwrap();
    let script = "sleep 300 & echo $! > pid; echo before >&2; wait";
    let command = Command::new("sh").args(["-c", script]).cwd(dir.path());
    let error = command.run(Duration::from_millis(500)).await.unwrap_err();
    assert!(matches!(error, CommandError::TimedOut { .. }), "{error:?}");
    assert_eq!(error.stderr().map(str::trim), Some("before"));
    let pid = std::fs::read_to_string(dir.path().join("pid")).unwrap();
    assert!(gone(pid.trim()).await, "grandchild {pid} survived");
}

#[tokio::test]
async fn a_background_child_that_keeps_the_pipe_does_not_hold_us_up() {
    let started = tokio::time::Instant::now();
    let output = Command::new("sh").args(["-c", "sleep 300 & echo $!"]).run(SOON).await.unwrap();
    assert!(started.elapsed() < Duration::from_secs(10));
    assert!(gone(output.stdout_text().trim()).await);
}

#[tokio::test]
async fn too_much_output_is_an_error_not_a_cut() {
    let error = Command::new("yes").stdout_limit(10_000).run(SOON).await.unwrap_err();
    assert!(matches!(error, CommandError::OutputTooLong { limit: 10_000, .. }), "{error:?}");
}

#[tokio::test]
async fn stderr_keeps_its_end() {
    let script = "i=0; while [ $i -lt 9000 ]; do echo line number $i >&2; i=$((i+1)); done; exit 1";
    let error = Command::new("sh").args(["-c", script]).run(SOON).await.unwrap_err();
    let stderr = error.stderr().unwrap();
    assert!(stderr.len() <= 2048 && stderr.ends_with("line number 8999\n"), "{stderr}");
    assert!(stderr.starts_with("line number "), "begins in the middle of a line: {stderr:.40}");
}

#[tokio::test]
async fn secrets_do_not_show() {
    let command = Command::new("ipmitool").args(["-U", "admin", "-P"]).secret_arg("hunter2").arg("a b");
    assert_eq!(format!("{command:?}"), "ipmitool -U admin -P *** \"a b\"");
    let prefixed = Command::new("true").netns("blue");
    assert_eq!(format!("{prefixed:?}"), "ip netns exec blue true");
}

#[tokio::test]
async fn spawn_logs_stops_and_dies_with_its_owner() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log");
    let talker = Command::new("sh").args(["-c", "echo hello; echo world >&2; exec sleep 300"]);
    let child = talker.spawn(&log).unwrap();
    for _ in 0..200 {
        if child.log_tail().contains("world") {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(child.log_tail(), "hello\nworld\n");
    let status = child.stop(SOON).await.unwrap();
    assert_eq!(status.signal(), Some(15));

    let child = talker.spawn(&log).unwrap();
    let pid = child.id().unwrap().to_string();
    drop(child);
    assert!(gone(&pid).await);
}

#[tokio::test]
async fn stop_kills_what_ignores_sigterm() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log");
    let script = "trap '' TERM; echo ready; while :; do sleep 1; done";
    let child = Command::new("sh").args(["-c", script]).spawn(&log).unwrap();
    for _ in 0..200 {
        if child.log_tail().contains("ready") {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let status = child.stop(Duration::from_millis(200)).await.unwrap();
    assert_eq!(status.signal(), Some(9));
}

#[tokio::test]
async fn wait_tells_running_from_ended() {
    let dir = tempfile::tempdir().unwrap();
    let mut child = Command::new("sleep").arg("300").spawn(dir.path().join("log")).unwrap();
    let error = child.wait(Duration::from_millis(100)).await.unwrap_err();
    assert!(matches!(error, CommandError::TimedOut { .. }));
    assert!(child.try_wait().unwrap().is_none());
    let mut quick = Command::new("true").spawn(dir.path().join("log")).unwrap();
    assert!(quick.wait(SOON).await.unwrap().success());
    assert!(quick.try_wait().unwrap().is_some());
}

#[tokio::test]
async fn a_network_namespace_has_its_own_interfaces() {
    let name = format!("hostcmd{}", std::process::id());
    let made = Command::new("ip").args(["netns", "add", &name]).run(SOON).await;
    if let Err(error) = made {
        // Without root or namespaces there is nothing to enter; the error path is what is left to look at.
        assert!(matches!(error, CommandError::Failed { .. } | CommandError::NotFound { .. }), "{error:?}");
        return;
    }
    let inside = Command::new("cat").arg("/proc/net/dev").netns(&name).run(SOON).await;
    Command::new("ip").args(["netns", "del", &name]).run(SOON).await.unwrap();
    let text = inside.unwrap().stdout_text();
    let interfaces: Vec<&str> = text.lines().skip(2).filter_map(|line| line.split(':').next()).collect();
    assert!(interfaces.iter().all(|name| !name.trim().starts_with("eth")), "{text}");
    assert!(interfaces.iter().any(|name| name.trim() == "lo"), "{text}");
}
