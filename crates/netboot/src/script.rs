//! A machine's iPXE script, from what it is meant to boot.

use std::net::SocketAddrV4;

use ipxe::{Initrd, InvalidUrl, NetworkBoot, Script, ScriptError, Url};
use model::MacAddr;

use crate::source::{BootTarget, RamdiskBoot};

/// Why there is no script.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BootScriptError {
    /// A path or URL of a kernel or ramdisk cannot be told to iPXE.
    #[error("{text} cannot be fetched by iPXE")]
    Url {
        /// The path or URL.
        text: String,
        /// Why not.
        #[source]
        source: InvalidUrl,
    },
    /// The command line cannot be told to iPXE.
    #[error("the kernel cannot be started by iPXE")]
    Script(#[from] ScriptError),
}

/// The script for a machine's interface. `http` is where machines reach our HTTP server.
pub fn boot_script(mac: MacAddr, target: &BootTarget, http: SocketAddrV4) -> Result<Script, BootScriptError> {
    match target {
        BootTarget::Ramdisk(ramdisk) => ramdisk_script(mac, ramdisk, http),
        BootTarget::LocalDisk => Ok(Script::local_disk()),
        BootTarget::Nothing => Ok(Script::leave()),
    }
}

fn ramdisk_script(
    mac: MacAddr,
    ramdisk: &RamdiskBoot,
    http: SocketAddrV4,
) -> Result<Script, BootScriptError> {
    let url = |text: &str| {
        let whole = if text.starts_with('/') { format!("http://{http}{text}") } else { text.to_owned() };
        Url::new(whole).map_err(|source| BootScriptError::Url { text: text.to_owned(), source })
    };
    let named = |(index, path): (usize, &String)| {
        let name = if index == 0 { "initrd".to_owned() } else { format!("initrd{index}") };
        Ok(Initrd { name, url: url(path)? })
    };
    let initrds: Result<Vec<_>, BootScriptError> =
        ramdisk.initrd_url_paths.iter().enumerate().map(named).collect();
    let boot = NetworkBoot {
        kernel: url(&ramdisk.kernel_url_path)?,
        initrds: initrds?,
        cmdline: ramdisk.cmdline.clone(),
        again: Some(url(&format!("/boot/{mac}.ipxe"))?),
    };
    Ok(Script::network_boot(&boot)?)
}
