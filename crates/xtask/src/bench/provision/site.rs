//! A site with a simulated fleet: our service with its boot server, a server of one image, and machines in processes of
//! their own.

use crate::servers::{Ours, bound_to_us, database_section, idle_port};
use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use http::Response;
use http_body_util::Full;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::convert::Infallible;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::BufReader;
use std::net::{Ipv4Addr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// Machines of one process: each takes two open files.
const MACHINES: usize = 2500;
/// The image, in bytes. The machines do not fetch it; the service does.
const IMAGE_BYTES: usize = 1 << 20;

/// What differs between sites.
#[derive(Debug)]
pub(super) struct Settings<'s> {
    /// The URL of the store, unless it is a file in the site's folder.
    pub(super) database: Option<&'s str>,
    /// What agents are told, in seconds.
    pub(super) heartbeat_timeout: u64,
    /// Priority of erasing whole disks in cleanings; 0 as the service has it when nothing is said.
    pub(super) erase_priority: u8,
}

/// How long things take on the machines.
#[derive(Clone, Copy, Debug)]
pub(super) enum Pace {
    /// Milliseconds.
    Hurried,
    /// Disks are erased and written for hours.
    Endless,
}

/// A machine of the fleet.
#[derive(Debug, Deserialize)]
pub(super) struct Machine {
    pub(super) uuid: String,
    pub(super) mac: String,
    pub(super) bmc_address: String,
    pub(super) bmc_port: u16,
    pub(super) username: String,
    pub(super) password: String,
}

/// The service and the image. Both end with the value.
pub(super) struct Site {
    service: Ours,
    images: Images,
    binary: PathBuf,
    folder: PathBuf,
    netboot: String,
}

/// Machines. They end with the value.
#[derive(Debug)]
pub(super) struct Fleet {
    pub(super) machines: Vec<Machine>,
    processes: Vec<Child>,
}

impl Drop for Fleet {
    fn drop(&mut self) {
        for process in &mut self.processes {
            process.kill().ok();
            process.wait().ok();
        }
    }
}

impl Site {
    /// Starts the service on a store in `folder`, and waits for its first answer.
    pub(super) async fn start(binary: &Path, folder: &Path, settings: &Settings<'_>) -> Result<Self> {
        fs::create_dir_all(folder)?;
        for file in ["vmlinuz", "initramfs"] {
            fs::write(folder.join(file), file)?;
        }
        let images = Images::serve().await?;
        let (port, http, tftp) = (idle_port()?, idle_port()?, idle_udp_port()?);
        let text = configuration(folder, (port, http, tftp), settings);
        let service = Ours::start_as(binary, folder, port, &text).await?;
        let netboot = format!("http://127.0.0.1:{http}");
        Ok(Self { service, images, binary: binary.to_owned(), folder: folder.to_owned(), netboot })
    }

    /// Where the API is.
    pub(super) fn port(&self) -> u16 {
        self.service.port
    }

    /// The service's process.
    pub(super) fn pid(&self) -> u32 {
        self.service.pid()
    }

    /// What nodes are told of their instance.
    pub(super) fn instance(&self) -> Value {
        json!({
            "image_source": format!("http://127.0.0.1:{}/image.raw", self.images.port),
            "image_os_hash_algo": "sha256",
            "image_os_hash_value": self.images.digest,
            "image_disk_format": "raw",
        })
    }

    /// How often the image was fetched.
    pub(super) fn images_served(&self) -> usize {
        self.images.served.load(Ordering::Relaxed)
    }

    /// Starts machines, which boot from the site's boot server.
    pub(super) fn fleet(&self, machines: usize, pace: Pace) -> Result<Fleet> {
        let mut fleet = Fleet { machines: Vec::with_capacity(machines), processes: Vec::new() };
        for (number, first) in (1_u8..).zip((0..machines).step_by(MACHINES)) {
            let count = MACHINES.min(machines - first);
            let process = self.machines(number, count, pace)?;
            fleet.processes.push(process);
            let output = fleet.processes.last_mut().and_then(|process| process.stdout.take());
            let mut listing =
                serde_json::Deserializer::from_reader(BufReader::new(output.context("an output")?));
            let some = Vec::<Machine>::deserialize(&mut listing).context("the fleet's listing")?;
            ensure!(some.len() == count, "{} machines instead of {count}", some.len());
            fleet.machines.extend(some);
        }
        Ok(fleet)
    }

    fn machines(&self, number: u8, count: usize, pace: Pace) -> Result<Child> {
        // A network of this process's own below 127.0.0.0/8: a port on it is nobody else's.
        let [.., high, low] = std::process::id().to_be_bytes();
        let address = Ipv4Addr::new(127, 64 | (high & 63), low.max(1), 1);
        // 2,500 addresses are ten times the last number: the port tells the processes apart.
        let port = 20_000 + u16::from(number);
        let mut start = bound_to_us(&self.binary);
        start.args(["fleet", "--json", "--spread", "--netboot", &self.netboot]);
        start.args(["--timing", if matches!(pace, Pace::Hurried) { "hurried" } else { "endless" }]);
        start.args(["--nodes", &count.to_string(), "--seed", &number.to_string()]);
        start.args(["--address", &address.to_string(), "--port", &port.to_string()]);
        let log = File::create(self.folder.join(format!("fleet-{number}.log")))?;
        start.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log);
        start.spawn().context("start the fleet")
    }
}

fn idle_udp_port() -> Result<u16> {
    Ok(UdpSocket::bind("127.0.0.1:0").context("look for a free port")?.local_addr()?.port())
}

fn configuration(folder: &Path, (port, http, tftp): (u16, u16, u16), settings: &Settings<'_>) -> String {
    let path = |name| folder.join(name).display().to_string();
    let mut text = format!(
        r#"data_dir = "{data}"

[log]
filter = "warn"

[api]
listen = ["127.0.0.1:{port}"]
auth = "noauth"

[conductor]
max_concurrent_deploy = 100000
max_concurrent_clean = 100000
hostname = "our-conductor"
heartbeat_timeout = {heartbeat}

[netboot]
server_address = "127.0.0.1"
http_listen = "127.0.0.1:{http}"
tftp_listen = "127.0.0.1:{tftp}"

[deploy]
kernel = "{kernel}"
ramdisk = "{ramdisk}"
image_reach = "anywhere"
erase_devices_priority = {erase}
"#,
        data = path("data"),
        heartbeat = settings.heartbeat_timeout,
        erase = settings.erase_priority,
        kernel = path("vmlinuz"),
        ramdisk = path("initramfs"),
    );
    text.push_str(&database_section(settings.database));
    text
}

/// A server of one image. Ends with the value.
struct Images {
    port: u16,
    digest: String,
    served: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Drop for Images {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Images {
    async fn serve() -> Result<Self> {
        let image = Bytes::from(image());
        let digest = Sha256::digest(&image).iter().fold(String::new(), |mut text, byte| {
            // Writing to a String does not fail.
            let _ = write!(text, "{byte:02x}");
            text
        });
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let port = listener.local_addr()?.port();
        let served = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&served);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (image, count) = (image.clone(), Arc::clone(&count));
                let answer = service_fn(move |_| {
                    count.fetch_add(1, Ordering::Relaxed);
                    let image = image.clone();
                    async move { Ok::<_, Infallible>(Response::new(Full::new(image))) }
                });
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), answer));
            }
        });
        Ok(Self { port, digest, served, task })
    }
}

/// Bytes that look like the beginning of a disk, and like nothing else.
fn image() -> Vec<u8> {
    let mut bytes: Vec<u8> =
        (0..IMAGE_BYTES).map(|at| u8::try_from(at * 31 % 251).unwrap_or_default()).collect();
    bytes[..446].fill(0x90);
    bytes[446..510].fill(0);
    bytes[510..512].copy_from_slice(&[0x55, 0xaa]);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configuration_is_toml() {
        let settings =
            Settings { database: Some("postgres://x"), heartbeat_timeout: 300, erase_priority: 10 };
        let text = configuration(Path::new("/s"), (1, 2, 3), &settings);
        let config: toml::Table = text.parse().unwrap();
        assert_eq!(config["netboot"]["http_listen"].as_str(), Some("127.0.0.1:2"));
        assert_eq!(config["conductor"]["heartbeat_timeout"].as_integer(), Some(300));
        assert_eq!(config["deploy"]["erase_devices_priority"].as_integer(), Some(10));
        assert_eq!(config["database"]["url"].as_str(), Some("postgres://x"));
    }
}
