//! Serves network boot to the machines named on the command line, and shows what they do:
//! `serve OPTIONS.toml FILES_DIRECTORY MAC[=disk|=nothing]… [-- KERNEL PARAMETERS]`.
//!
//! Machines boot `vmlinuz` and `initrd.gz` of the directory, or go to their disk.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use model::MacAddr;
use netboot::{BootEvent, BootSource, BootTarget, Directory, HostBoot, RamdiskBoot};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

type Failure = Box<dyn std::error::Error>;

struct Machines(HashMap<MacAddr, BootTarget>);

impl BootSource for Machines {
    fn host(&self, mac: MacAddr) -> Option<HostBoot> {
        let boot = self.0.get(&mac)?.clone();
        Some(HostBoot { node: Uuid::nil(), address: None, boot })
    }

    fn record(&self, event: BootEvent) {
        tracing::info!(mac = %event.mac, "{}", event.kind);
    }
}

fn machines(arguments: &[String]) -> Result<Machines, Failure> {
    let split = arguments.iter().position(|argument| argument == "--").unwrap_or(arguments.len());
    let (machines, cmdline) = arguments.split_at(split);
    let cmdline = cmdline.get(1..).unwrap_or_default().join(" ").parse()?;
    let ramdisk = BootTarget::Ramdisk(RamdiskBoot {
        kernel_url_path: "/files/vmlinuz".into(),
        initrd_url_paths: vec!["/files/initrd.gz".into()],
        cmdline,
    });
    let mut found = HashMap::new();
    for machine in machines {
        let (mac, target) = match machine.split_once('=') {
            None => (machine.as_str(), ramdisk.clone()),
            Some((mac, "disk")) => (mac, BootTarget::LocalDisk),
            Some((mac, "nothing")) => (mac, BootTarget::Nothing),
            Some((_, other)) => return Err(format!("{other} is neither disk nor nothing").into()),
        };
        found.insert(mac.parse()?, target);
    }
    Ok(Machines(found))
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    tracing_subscriber::fmt().with_max_level(tracing::Level::DEBUG).init();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [options, directory, rest @ ..] = arguments.as_slice() else {
        return Err("serve OPTIONS.toml FILES_DIRECTORY MAC... [-- KERNEL PARAMETERS]".into());
    };
    let options = toml::from_str(&tokio::fs::read_to_string(options).await?)?;
    let files = Directory::open(Some(Path::new(directory)), None)?;
    let stop = CancellationToken::new();
    let running = netboot::serve(options, Arc::new(machines(rest)?), Arc::new(files), stop.clone()).await?;
    tokio::signal::ctrl_c().await?;
    stop.cancel();
    running.join().await;
    Ok(())
}
