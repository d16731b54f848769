//! Virtual media: images that a BMC shows to its machine as disks.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A kind of device that an image can be shown as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MediaDevice {
    /// A hard disk or memory stick.
    Disk,
    /// A CD or DVD.
    Cdrom,
    /// A floppy disk.
    Floppy,
}

impl MediaDevice {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Disk, Self::Cdrom, Self::Floppy];

    /// The name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Disk => "disk",
            Self::Cdrom => "cdrom",
            Self::Floppy => "floppy",
        }
    }
}

impl fmt::Display for MediaDevice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for MediaDevice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|device| device.as_str() == text).ok_or_else(|| {
            let shown: String = text.chars().take(64).collect();
            format!("'{shown}' is not one of {}", Self::ALL.map(Self::as_str).join(", "))
        })
    }
}

/// How an image gets to the BMC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MediaSource {
    /// The BMC is given the address that the caller named.
    Http,
    /// The service fetches the image and gives it out.
    #[default]
    Local,
    /// The image goes through an object store.
    Swift,
}

impl FromStr for MediaSource {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "http" => Ok(Self::Http),
            "local" => Ok(Self::Local),
            "swift" => Ok(Self::Swift),
            _ => {
                let shown: String = text.chars().take(64).collect();
                Err(format!("'{shown}' is not one of http, local, swift"))
            }
        }
    }
}

/// An image to show to a machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MediaImage {
    /// As what.
    pub device: MediaDevice,
    /// Its address. May carry a password, so it is not for logs.
    pub url: String,
    /// How it gets there.
    pub source: MediaSource,
}

/// A drive that a machine's BMC has, and what is in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MediaDrive {
    /// The kinds of images that it takes, in the words of Redfish, as `CD` and `DVD`.
    pub media_types: Vec<String>,
    /// Whether an image is in it.
    pub inserted: bool,
    /// The address of the image.
    pub image: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words() {
        assert!(MediaDevice::ALL.iter().all(|device| device.as_str().parse() == Ok(*device)));
        assert!("CDROM".parse::<MediaDevice>().is_err());
        assert_eq!("swift".parse(), Ok(MediaSource::Swift));
        assert!("ftp".parse::<MediaSource>().is_err());
    }
}
