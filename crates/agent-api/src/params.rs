//! Parameters of the commands, and the results that are objects of their own.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::fmt;

/// `image.install_bootloader`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct InstallBootloader {
    /// UUID of the root file system, or a disk identifier, or `null` for a whole-disk image.
    #[serde(default)]
    pub root_uuid: Option<String>,
    /// UUID of the EFI system partition, when known.
    #[serde(default)]
    pub efi_system_part_uuid: Option<String>,
    /// UUID of the `PReP` partition, when there is one.
    #[serde(default)]
    pub prep_boot_part_uuid: Option<String>,
    /// `bios` or `uefi`. Very old agents do not take it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_boot_mode: Option<String>,
}

/// Result of `standby.get_partition_uuids`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PartitionUuids {
    /// UUID of the root file system of a partition image, or the disk identifier of a whole-disk image.
    #[serde(default, rename = "root uuid")]
    pub root_uuid: Option<String>,
    /// UUID of the EFI system partition.
    #[serde(default, rename = "efi system partition uuid")]
    pub efi_system_partition_uuid: Option<String>,
    /// UUID of the `PReP` partition.
    #[serde(default, rename = "PReP Boot partition uuid")]
    pub prep_boot_partition_uuid: Option<String>,
    /// Device paths by role.
    #[serde(default)]
    pub partitions: Map<String, Value>,
}

/// `rescue.finalize_rescue`. `Debug` masks the password.
#[derive(Clone, Serialize, Deserialize)]
pub struct FinalizeRescue {
    /// A crypt(3) hash when `hashed`, else the password itself.
    pub rescue_password: String,
    /// Whether it is a hash.
    #[serde(default)]
    pub hashed: bool,
}

impl fmt::Debug for FinalizeRescue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FinalizeRescue").field("hashed", &self.hashed).finish_non_exhaustive()
    }
}

/// Result of `log.collect_system_logs`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SystemLogs {
    /// Base64 of a gzipped tar.
    pub system_logs: String,
}

/// Arguments of the deploy step `write_image`.
#[derive(Clone, Serialize, Deserialize)]
pub struct WriteImage {
    /// What to write.
    pub image_info: crate::ImageInfo,
    /// URL, or base64 of a gzipped ISO 9660 image. May hold secrets: `Debug` masks it.
    #[serde(default)]
    pub configdrive: Option<String>,
}

impl fmt::Debug for WriteImage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WriteImage")
            .field("image_info", &self.image_info)
            .field("configdrive", &self.configdrive.as_ref().map(|_| "masked"))
            .finish()
    }
}
