//! Opening the machine to a rescuer: once a conductor has sent the hash of a password (`rescue.finalize_rescue`), and never
//! before, a login server runs that lets the user `rescue` in by that password, with the rights of root.
//!
//! The server and the shell are programs that the ramdisk's builder put there; a ramdisk without them cannot rescue. Knows
//! nothing of how conductors ask.

use crate::{
    agent::Agent, command::Failure, console, extension, init, machine::Ending, modules::Modules,
    network::Network,
};
use agent_api::params::FinalizeRescue;
use hostcmd::Command;
use std::{
    fs, io,
    io::Write as _,
    net::Ipv4Addr,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    time::Duration,
};
use tokio::{
    io::AsyncReadExt as _,
    net::TcpStream,
    signal::unix::{SignalKind, signal},
    time::{sleep, timeout},
};

/// Who logs in.
pub const USER: &str = "rescue";
/// The SSH server: Dropbear.
const SERVER: &str = "/usr/sbin/dropbear";
/// What it starts.
const SHELL: &str = "/bin/sh";
/// Where it keeps the host keys that it makes when the first client asks for them.
const HOST_KEYS: &str = "/etc/dropbear";
const PORT: u16 = 22;
/// From the server's start to its greeting.
const START_LIMIT: Duration = Duration::from_secs(20);
/// Between two looks whether it greets.
const LOOK: Duration = Duration::from_millis(100);
/// Before a server that ended is started again.
const RESTART_PAUSE: Duration = Duration::from_secs(5);
/// Longest hash that is taken. Those of crypt(3) are shorter.
const LONGEST_HASH: usize = 256;
/// When the network is asked for an address again after the machine was opened: it is moved to the tenant's network
/// some time after the conductor has its answer, and no event tells when. The last one is repeated for ever.
const MOVES: [u64; 6] = [5, 10, 15, 30, 60, 300];

/// Why the machine cannot be opened to a rescuer.
#[derive(Debug, thiserror::Error)]
pub enum RescueError {
    /// The agent is an ordinary process of a machine that is not its own.
    #[error("this agent is not a machine's init: there is nothing to log in to")]
    NotOwned,
    /// The ramdisk was built without the programs.
    #[error("this ramdisk has no {0}: rescue needs a ramdisk that was built with a login server and a shell")]
    Missing(&'static str),
    /// The password itself was sent.
    #[error("the password is not hashed: this agent takes hashes of crypt(3) only")]
    NotHashed,
    /// The text would not be a hash in `/etc/shadow`.
    #[error("the password's hash is none of crypt(3)")]
    BadHash,
    /// The accounts could not be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The server does not answer.
    #[error("the login server does not greet on port {PORT}")]
    Silent,
}

/// Lets `rescue` in by the password of this hash. Returns when the login server answers; asked again, it takes the new
/// password.
pub async fn open(agent: &Agent, request: &FinalizeRescue) -> Result<(), Failure> {
    let refused = |error: RescueError| Failure::because(&error);
    if !agent.machine.is_owned() {
        return Err(refused(RescueError::NotOwned));
    }
    let hash = wanted_hash(request).map_err(refused)?.to_owned();
    extension::blocking(move || prepare(&hash).map_err(|error| Failure::because(&error))).await?;
    if greets().await {
        return Ok(());
    }
    let serving = tokio::spawn(serve());
    let greeted = timeout(START_LIMIT, async {
        while !greets().await {
            sleep(LOOK).await;
        }
    });
    if greeted.await.is_err() {
        serving.abort();
        return Err(refused(RescueError::Silent));
    }
    tracing::info!("open to the user {USER} on port {PORT}");
    Ok(())
}

/// The rest of a rescued machine's life: its network may change, and its rescuer may end it by `reboot` or `poweroff`.
pub async fn accompany(network: Option<&Network>) -> Ending {
    tokio::select! {
        ending = asked_to_end() => ending,
        never = follow(network) => match never {},
    }
}

async fn follow(network: Option<&Network>) -> std::convert::Infallible {
    let mut pauses = MOVES.iter();
    let mut pause = MOVES[0];
    loop {
        pause = pauses.next().copied().unwrap_or(pause);
        sleep(Duration::from_secs(pause)).await;
        if let Some(network) = network {
            network.ask_again();
        }
    }
}

/// The signals that busybox's commands send to init.
async fn asked_to_end() -> Ending {
    let kinds = (SignalKind::terminate(), SignalKind::user_defined1(), SignalKind::user_defined2());
    let (Ok(mut reboot), Ok(mut halt), Ok(mut power_off)) =
        (signal(kinds.0), signal(kinds.1), signal(kinds.2))
    else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = reboot.recv() => Ending::Reboot,
        _ = halt.recv() => Ending::PowerOff,
        _ = power_off.recv() => Ending::PowerOff,
    }
}

/// The hash, if it is one that can stand in `/etc/shadow`.
fn wanted_hash(request: &FinalizeRescue) -> Result<&str, RescueError> {
    if !request.hashed {
        return Err(RescueError::NotHashed);
    }
    let hash = request.rescue_password.as_str();
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"$./=,_-".contains(&byte);
    // "$5$salt$sum": what has fewer parts is no hash, and would let nobody in.
    let parts =
        hash.strip_prefix('$').map_or(0, |rest| rest.split('$').filter(|part| !part.is_empty()).count());
    if hash.len() > LONGEST_HASH || parts < 3 || !hash.bytes().all(allowed) {
        return Err(RescueError::BadHash);
    }
    Ok(hash)
}

fn prepare(hash: &str) -> Result<(), RescueError> {
    for program in [SERVER, SHELL] {
        if !Path::new(program).exists() {
            return Err(RescueError::Missing(program));
        }
    }
    write_accounts(Path::new("/"), hash)?;
    init::mount_terminals();
    Modules::from_ramdisk().load_for_rescue();
    Ok(())
}

/// Writes who there is: `root`, who cannot log in, and `rescue`, who is root by another name.
fn write_accounts(root: &Path, hash: &str) -> Result<(), RescueError> {
    let files = [
        ("etc/passwd", 0o644, format!("root:x:0:0:root:/root:{SHELL}\n{USER}:x:0:0:{USER}:/root:{SHELL}\n")),
        ("etc/group", 0o644, "root:x:0:\ntty:x:5:\n".to_owned()),
        ("etc/shells", 0o644, format!("{SHELL}\n")),
        ("etc/shadow", 0o600, format!("root:*:::::::\n{USER}:{hash}:::::::\n")),
    ];
    let keys = root.join(HOST_KEYS.trim_start_matches('/'));
    fs::create_dir_all(&keys).map_err(|source| RescueError::Write { path: keys, source })?;
    for (name, mode, text) in files {
        let path = root.join(name);
        write_new(&path, mode, &text).map_err(|source| RescueError::Write { path, source })?;
    }
    Ok(())
}

/// Beside and renamed, so that a login never reads half a file, and the mode is there before the content.
fn write_new(path: &Path, mode: u32, text: &str) -> io::Result<()> {
    let beside = path.with_extension("new");
    match fs::remove_file(&beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(&beside)?;
    file.write_all(text.as_bytes())?;
    fs::rename(&beside, path)
}

/// Runs the login server for ever. What it says of logins goes to the console: a file would grow.
async fn serve() {
    let port = PORT.to_string();
    // -F in the foreground, -E says on standard error, -R makes host keys, -T bounds tries of a connection.
    let server = Command::new(SERVER).args(["-F", "-E", "-R", "-T", "5", "-K", "60", "-p", &port]);
    loop {
        match server.spawn("/dev/console") {
            // An orphan of init is reaped by whoever is first: an error tells as well that it ended.
            Ok(mut child) => {
                while let Err(hostcmd::CommandError::TimedOut { .. }) = child.wait(LONG).await {}
            }
            Err(error) => tracing::error!("login server: {}", console::chain(&error)),
        }
        tracing::warn!("the login server ended; it is started again");
        sleep(RESTART_PAUSE).await;
    }
}

/// A wait that is begun again.
const LONG: Duration = Duration::from_hours(24);

/// Whether the login server says who it is.
async fn greets() -> bool {
    let ask = async {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, PORT)).await?;
        let mut greeting = [0; 4];
        stream.read_exact(&mut greeting).await?;
        io::Result::Ok(&greeting == b"SSH-")
    };
    matches!(timeout(Duration::from_secs(5), ask).await, Ok(Ok(true)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    fn request(password: &str, hashed: bool) -> FinalizeRescue {
        FinalizeRescue { rescue_password: password.to_owned(), hashed }
    }

    #[test]
    fn only_hashes_are_taken() {
        for good in [
            "$5$saltstring$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5",
            "$6$rounds=5000$salt$sum",
            "$y$j9T$F5Jx5fExrKuPp53xLKQ..1$X3DX6M94c7o.9agCG9G317fhZg9SqC.5i5rd.RhAtQ7",
        ] {
            assert_eq!(wanted_hash(&request(good, true)).expect(good), good);
            assert!(matches!(wanted_hash(&request(good, false)), Err(RescueError::NotHashed)));
        }
        let long = format!("$5$salt${}", "x".repeat(LONGEST_HASH));
        for bad in ["", "secret", "$5$", "$5$salt", "$5$$x", "$5$salt$a:b", "$5$salt$a\nroot::0", &long] {
            assert!(matches!(wanted_hash(&request(bad, true)), Err(RescueError::BadHash)), "{bad:?}");
        }
    }

    #[test]
    fn nobody_but_the_rescuer_has_a_password() {
        let root = tempfile::tempdir().expect("folder");
        for hash in ["$5$a$one", "$5$a$two"] {
            write_accounts(root.path(), hash).expect("written");
        }
        let read = |name: &str| fs::read_to_string(root.path().join(name)).expect("written");
        assert_eq!(read("etc/shadow"), "root:*:::::::\nrescue:$5$a$two:::::::\n");
        assert_eq!(read("etc/passwd").lines().count(), 2);
        let mode = fs::metadata(root.path().join("etc/shadow")).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[tokio::test]
    async fn a_borrowed_machine_is_not_opened() {
        let config = crate::tls::client_config(&crate::parameters::Parameters::default(), &[]).expect("TLS");
        let agent = Agent::new(
            crate::parameters::Parameters::default(),
            crate::fetch::Fetcher::new(config),
            crate::machine::Machine::borrowed(Vec::new()),
            crate::disks::Disks::Files(Vec::new()),
        );
        let failure = open(&agent, &request("$5$a$one", true)).await.expect_err("refused");
        assert!(failure.details().contains("not a machine's init"), "{}", failure.details());
    }
}
