//! iPXE scripts, made of checked parts only.
//!
//! Works with the iPXE of 2019 that Debian 12 ships and with later ones.

use std::fmt::{self, Write as _};

use crate::{CmdlineError, KernelCmdline, Target, Unrepresentable, Url};

/// A file that the kernel gets as (part of) its initial ramdisk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Initrd {
    /// Its name in the boot loader: letters, digits, dot, dash, underscore.
    pub name: String,
    /// Where it is.
    pub url: Url,
}

/// A kernel to fetch and start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkBoot {
    /// The kernel.
    pub kernel: Url,
    /// Ramdisks, in order.
    pub initrds: Vec<Initrd>,
    /// The kernel's parameters, without `initrd=` and `BOOTIF=`, which the script adds.
    pub cmdline: KernelCmdline,
    /// Where to fetch the script again when the boot fails: by then the machine may be meant to do something else.
    pub again: Option<Url>,
}

/// Why there is no script.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScriptError {
    /// iPXE would change a kernel parameter.
    #[error(transparent)]
    Cmdline(#[from] Unrepresentable),
    /// With what the script adds, the kernel's line is too long.
    #[error("the kernel command line with initrd= and BOOTIF= is too long")]
    TooLong(#[source] CmdlineError),
    /// A ramdisk's name could be taken for something else.
    #[error("{0:?} is not a name for a ramdisk")]
    InitrdName(String),
}

/// A finished script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Script(String);

impl Script {
    /// Fetches kernel and ramdisks and starts the kernel. Each fetch is tried again; then the whole script is fetched
    /// anew, and a machine that cannot even do that starts from power-on. `BOOTIF=` carries the address of the
    /// interface that the machine booted from.
    pub fn network_boot(boot: &NetworkBoot) -> Result<Self, ScriptError> {
        let mut added = boot.cmdline.clone();
        for initrd in &boot.initrds {
            let good = |character: char| character.is_ascii_alphanumeric() || "._-".contains(character);
            if initrd.name.is_empty() || initrd.name.starts_with('-') || !initrd.name.chars().all(good) {
                return Err(ScriptError::InitrdName(initrd.name.clone()));
            }
            added.set("initrd", initrd.name.as_str()).map_err(ScriptError::TooLong)?;
        }
        // Stands for its final length; the variable itself is the one thing here that iPXE is to expand.
        added.clone().set("BOOTIF", "00:00:00:00:00:00").map_err(ScriptError::TooLong)?;
        let line = added.serialize(Target::Ipxe)?;
        let space = if line.is_empty() { "" } else { " " };

        let mut text = String::from("#!ipxe\nset attempt:int32 0\n:fetch\nimgfree\n");
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "kernel --name kernel {} {line}{space}BOOTIF=${{mac}} || goto failed",
            boot.kernel
        );
        for Initrd { name, url } in &boot.initrds {
            let _ = writeln!(text, "initrd --name {name} {url} || goto failed");
        }
        text.push_str("boot || goto failed\n:failed\necho Boot failed, trying again\nsleep 3\ninc attempt\n");
        text.push_str("iseq ${attempt} 3 || goto fetch\n");
        if let Some(again) = &boot.again {
            let _ = writeln!(text, "imgfree\nchain --replace {again} ||");
        }
        text.push_str("sleep 10\nreboot\n");
        Ok(Self(text))
    }

    /// Goes on to the local disk. UEFI firmware takes an exit with an error as "next boot option", one without as "done:
    /// show the menu". A BIOS is told to boot its first disk, for many stop at the end of a network boot; where that fails,
    /// the exit takes it to the next device.
    pub fn local_disk() -> Self {
        let text = "#!ipxe\niseq ${platform} efi && goto exit ||\n\
                    sanboot --no-describe --drive 0x80 ||\n:exit\nexit 1\n";
        Self(text.to_owned())
    }

    /// Leaves iPXE: firmware goes on with its next boot device.
    pub fn leave() -> Self {
        Self("#!ipxe\nexit 1\n".to_owned())
    }

    /// The script's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The script's text.
    pub fn into_string(self) -> String {
        self.0
    }
}

impl fmt::Display for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
