//! Boot devices and firmware modes.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

macro_rules! wire_enum {
    ($(#[$doc:meta])* $name:ident, $what:literal { $($(#[$vdoc:meta])* $variant:ident = $wire:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum $name {
            $($(#[$vdoc])* #[serde(rename = $wire)] $variant,)*
        }

        impl $name {
            /// Every value, in the contract's order.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The name on the wire.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $wire),* }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl FromStr for $name {
            type Err = String;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                match text {
                    $($wire => Ok(Self::$variant),)*
                    _ => Err(format!(
                        concat!("'{}' is not a ", $what, ": expected one of {}"),
                        text.chars().take(64).collect::<String>(),
                        [$($wire),*].join(", "),
                    )),
                }
            }
        }
    };
}

wire_enum! {
    /// What a machine boots from.
    BootDevice, "boot device" {
        /// The network.
        Pxe = "pxe",
        /// The first hard disk.
        Disk = "disk",
        /// CD or DVD, virtual media too.
        Cdrom = "cdrom",
        /// The firmware's set-up.
        Bios = "bios",
        /// The hard disk, in safe mode.
        Safe = "safe",
        /// The wide area network.
        Wanboot = "wanboot",
        /// An iSCSI volume.
        Iscsiboot = "iscsiboot",
        /// Floppy or USB key.
        Floppy = "floppy",
        /// UEFI HTTP boot.
        Uefihttp = "uefihttp",
    }
}

wire_enum! {
    /// The firmware's way of booting.
    BootMode, "boot mode" {
        /// UEFI.
        Uefi = "uefi",
        /// Legacy BIOS.
        Bios = "bios",
    }
}
