//! The networks of a site whose conductors can be cut off: one for the store and the bus, one for the machines, and a host
//! of its own for each conductor. All of them are network namespaces that no name leads to: each lasts as long as a process
//! that does nothing else, which ends with this one, however this one ends. Knows nothing of what is sent.

use anyhow::{Context as _, Result, ensure};
use hostcmd::{Child, Command};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use std::fs::{self, File};
use std::net::Ipv4Addr;
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::runtime::Runtime;

/// The host of the store, the bus, the API and the machines, in the network of the store.
pub(super) const STORE: Ipv4Addr = Ipv4Addr::new(172, 23, 0, 1);
/// The same host in the network of the machines.
pub(super) const MACHINES: Ipv4Addr = Ipv4Addr::new(172, 24, 0, 1);
/// The last byte of the first conductor's addresses.
const FIRST_CONDUCTOR: u8 = 11;
/// How long `ip` may take.
const PATIENCE: Duration = Duration::from_secs(20);
/// How often it is looked whether a namespace is there.
const LOOKS: usize = 400;

/// A namespace, for as long as this lives.
#[derive(Debug)]
struct Held {
    _holder: Child,
    file: PathBuf,
}

impl Held {
    /// Makes one. An error where that is not permitted.
    async fn new(log: &Path) -> Result<Self> {
        let holder = Command::new("setpriv").args(["--pdeathsig", "KILL", "unshare", "--net"]);
        let mut holder = holder.args(["sleep", "infinity"]).spawn(log)?;
        let id = holder.id().context("the holder of a network namespace ended")?;
        let file = PathBuf::from(format!("/proc/{id}/ns/net"));
        let ours = fs::read_link("/proc/thread-self/ns/net")?;
        for _ in 0..LOOKS {
            if let Some(status) = holder.try_wait()? {
                anyhow::bail!("{status}: {}", holder.log_tail().trim());
            }
            // `setpriv` is there first, in our own.
            if fs::read_link(&file).is_ok_and(|theirs| theirs != ours) {
                return Ok(Self { _holder: holder, file });
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        anyhow::bail!("no network namespace was made in time")
    }

    /// `ip` with these arguments in this namespace.
    async fn ip(&self, arguments: &str) -> Result<()> {
        let inside = Command::new("nsenter").arg(self.entrance()).arg("ip").args(arguments.split(' '));
        inside.run(PATIENCE).await.with_context(|| format!("ip {arguments}"))?;
        Ok(())
    }

    /// The argument with which `nsenter` starts a program inside.
    fn entrance(&self) -> String {
        format!("--net={}", self.file.display())
    }
}

/// `ip` in the namespace of the caller's thread.
async fn ip(arguments: &str) -> Result<()> {
    let here = Command::new("ip").args(arguments.split(' '));
    here.run(PATIENCE).await.with_context(|| format!("ip {arguments}"))?;
    Ok(())
}

/// The namespace that everything but the conductors runs in.
#[derive(Debug)]
pub(super) struct Ground {
    held: Held,
    /// The holder is a child of this runtime.
    _runtime: Runtime,
}

impl Ground {
    /// Makes it. An error says why that is not permitted here.
    pub(super) fn new(folder: &Path) -> Result<Self> {
        ensure!(lab::is_root(), "only root may make network namespaces");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let held = runtime.block_on(Held::new(&folder.join("ground.log")))?;
        Ok(Self { held, _runtime: runtime })
    }

    /// Does `work` on a thread inside; whatever it starts is inside as well.
    pub(super) fn inside<T: Send>(&self, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        std::thread::scope(|scope| {
            let inside = scope.spawn(|| {
                let namespace = File::open(&self.held.file).context("open a network namespace")?;
                move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))
                    .context("enter a network namespace")?;
                work()
            });
            inside.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }
}

/// The host of one conductor.
#[derive(Debug)]
pub(super) struct Host {
    held: Held,
    number: usize,
}

/// Makes the two networks. To be called inside the [`Ground`].
pub(super) async fn lay() -> Result<()> {
    ip("link set lo up").await?;
    for (bridge, address, mac) in [("store", STORE, mac(23, 1)), ("machines", MACHINES, mac(24, 1))] {
        let plain = "type bridge forward_delay 0 stp_state 0 mcast_snooping 0";
        ip(&format!("link add {bridge} address {mac} {plain}")).await?;
        ip(&format!("addr add {address}/24 dev {bridge}")).await?;
        ip(&format!("link set {bridge} up")).await?;
    }
    Ok(())
}

impl Host {
    /// Makes the host of conductor `number`, from 0, with a cable to each of the networks.
    pub(super) async fn new(number: usize, folder: &Path) -> Result<Self> {
        let held = Held::new(&folder.join("host.log")).await?;
        let id =
            held.file.components().nth(2).context("no process")?.as_os_str().to_string_lossy().into_owned();
        let host = Self { held, number };
        host.held.ip("link set lo up").await?;
        let last = host.last_byte()?;
        for (network, there, of_there) in [("store", STORE, 23), ("machines", MACHINES, 24)] {
            let [a, b, c, _] = there.octets();
            let here = Ipv4Addr::new(a, b, c, last);
            let (near, far) = (mac(of_there, last), mac(of_there, 1));
            let port = host.port(network);
            ip(&format!("link add {port} type veth peer name {network} netns {id} address {near}")).await?;
            ip(&format!("link set {port} master {network} up")).await?;
            host.held.ip(&format!("addr add {here}/24 dev {network}")).await?;
            host.held.ip(&format!("link set {network} up")).await?;
            // Who is where is known for good: nobody notices a cut by asking for an address.
            host.held.ip(&format!("neigh replace {there} lladdr {far} nud permanent dev {network}")).await?;
            ip(&format!("neigh replace {here} lladdr {near} nud permanent dev {network}")).await?;
        }
        Ok(host)
    }

    fn last_byte(&self) -> Result<u8> {
        Ok(FIRST_CONDUCTOR + u8::try_from(self.number)?)
    }

    /// Its address in the network of the machines.
    pub(super) fn address(&self) -> Result<Ipv4Addr> {
        let [a, b, c, _] = MACHINES.octets();
        Ok(Ipv4Addr::new(a, b, c, self.last_byte()?))
    }

    /// The other end of its cable to a network.
    fn port(&self, network: &str) -> String {
        format!("{network}-{}", self.number)
    }

    /// The program, and its argument, that starts another one on this host.
    pub(super) fn entrance(&self) -> [String; 2] {
        ["nsenter".to_owned(), self.held.entrance()]
    }

    /// Pulls the cable to the store out of its switch: whatever is sent is gone, and neither end is told.
    pub(super) async fn cut(&self) -> Result<()> {
        ip(&format!("link set {} nomaster", self.port("store"))).await
    }

    /// Puts it back.
    pub(super) async fn mend(&self) -> Result<()> {
        ip(&format!("link set {} master store", self.port("store"))).await
    }
}

/// An address of this project's own making, by network and host.
fn mac(network: u8, host: u8) -> String {
    format!("02:00:00:00:{network:02x}:{host:02x}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::{TcpListener, TcpStream};

    /// Connects from the host's namespace.
    fn connect_from(host: &Host, to: u16) -> std::net::TcpStream {
        let file = File::open(&host.held.file).unwrap();
        let connecting = std::thread::spawn(move || {
            move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
            std::net::TcpStream::connect((STORE, to)).unwrap()
        });
        connecting.join().unwrap()
    }

    #[test]
    fn what_is_sent_during_a_cut_vanishes_without_a_word_and_comes_after_it() {
        let folder = tempfile::tempdir().unwrap();
        let Ok(ground) = Ground::new(folder.path()) else {
            crate::say("network namespaces are not permitted here: nothing was tried");
            return;
        };
        let tried = ground.inside(|| {
            let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
            runtime.block_on(async {
                lay().await?;
                let host = Host::new(0, folder.path()).await?;
                let server = TcpListener::bind((STORE, 0)).await?;
                let near = connect_from(&host, server.local_addr()?.port());
                near.set_nonblocking(true)?;
                let mut near = TcpStream::from_std(near)?;
                let (mut far, _) = server.accept().await?;
                let mut byte = [0];
                near.write_all(b"a").await?;
                far.read_exact(&mut byte).await?;
                host.cut().await?;
                near.write_all(b"b").await?;
                let lost = tokio::time::timeout(Duration::from_millis(500), far.read_exact(&mut byte)).await;
                assert!(lost.is_err(), "{lost:?}");
                host.mend().await?;
                far.read_exact(&mut byte).await?;
                assert_eq!(&byte, b"b");
                Ok(())
            })
        });
        tried.unwrap();
        let file = ground.held.file.clone();
        drop(ground);
        // A process that was killed is gone a moment later.
        for _ in 0..LOOKS {
            if fs::read_link(&file).is_err() {
                return;
            }
            crate::process::pause(Duration::from_millis(25));
        }
        panic!("{} is left", file.display());
    }
}
