//! Which disk gets the operating system: by root device hints, or by the rule for when there are none.
//! Works on the listing alone and opens no disk.

use model::root_device::{Attribute, Disk, Hints, InvalidHints};
use thiserror::Error;

use crate::list::DiskInfo;

/// Without hints, the smallest disk of at least this many bytes is taken.
pub const MINIMUM_ROOT_SIZE: u64 = 4 << 30;

/// Why no root disk was chosen.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum HintError {
    /// `root_device` is not an object of known hints.
    #[error(transparent)]
    Invalid(#[from] InvalidHints),
    /// No disk satisfies the hints (or, without hints, is large enough).
    #[error("no disk satisfies {wanted}; disks seen: {seen}")]
    NoMatch {
        /// The hints, or the default rule.
        wanted: String,
        /// Every disk with its attributes.
        seen: String,
    },
}

impl Disk for DiskInfo {
    fn text(&self, attribute: Attribute) -> Option<&str> {
        match attribute {
            Attribute::Model => self.model.as_deref(),
            Attribute::Vendor => self.vendor.as_deref(),
            Attribute::Serial => self.serial.as_deref(),
            Attribute::Wwn => self.wwn.as_deref(),
            Attribute::WwnWithExtension => self.wwn_with_extension.as_deref(),
            Attribute::WwnVendorExtension => self.wwn_vendor_extension.as_deref(),
            Attribute::Hctl => self.hctl.as_deref(),
            Attribute::ByPath => self.by_path.as_deref(),
            Attribute::Tran => self.tran.as_deref(),
            Attribute::Name => Some(&self.name),
            Attribute::Size | Attribute::Rotational => None,
        }
    }

    fn size(&self) -> u64 {
        self.size
    }

    fn rotational(&self) -> bool {
        self.rotational
    }
}

/// The root disk among `disks`: the first that satisfies the hints, or without hints the smallest of at least
/// [`MINIMUM_ROOT_SIZE`] bytes (the first by name among equals).
pub fn select<'a>(hints: &Hints, disks: &'a [DiskInfo]) -> Result<&'a DiskInfo, HintError> {
    let chosen = if hints.is_empty() {
        disks
            .iter()
            .filter(|disk| disk.size >= MINIMUM_ROOT_SIZE)
            .min_by(|a, b| a.size.cmp(&b.size).then_with(|| a.name.cmp(&b.name)))
    } else {
        disks.iter().find(|disk| hints.accepts(*disk))
    };
    chosen.ok_or_else(|| HintError::NoMatch {
        wanted: if hints.is_empty() {
            "the default rule (smallest disk of at least 4 GiB)".into()
        } else {
            format!("root device hints {hints}")
        },
        seen: describe(disks),
    })
}

fn describe(disks: &[DiskInfo]) -> String {
    if disks.is_empty() {
        return "none".into();
    }
    let lines: Vec<String> = disks
        .iter()
        .map(|disk| {
            let mut line = format!("{} ({} bytes", disk.name, disk.size);
            let texts = [
                ("model", &disk.model),
                ("vendor", &disk.vendor),
                ("serial", &disk.serial),
                ("wwn", &disk.wwn),
                ("hctl", &disk.hctl),
                ("by_path", &disk.by_path),
            ];
            for (key, value) in texts.into_iter().filter_map(|(key, value)| Some((key, value.as_ref()?))) {
                line.extend([", ", key, " ", &format!("{value:?}")]);
            }
            line.push_str(if disk.rotational { ", rotational)" } else { ", not rotational)" });
            line
        })
        .collect();
    lines.join("; ")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn disk(name: &str, gib: u64) -> DiskInfo {
        DiskInfo {
            name: name.into(),
            size: (gib << 30) + 4096,
            model: Some("Fast Disk 3000".into()),
            ..DiskInfo::default()
        }
    }

    #[test]
    fn default_is_the_smallest_that_is_large_enough() {
        let disks = [disk("/dev/sda", 500), disk("/dev/sdb", 3), disk("/dev/sdd", 20), disk("/dev/sdc", 20)];
        let none = Hints::parse(&Value::Null).unwrap();
        assert_eq!(select(&none, &disks).unwrap().name, "/dev/sdc");
        let error = select(&none, &disks[1..2]).unwrap_err().to_string();
        assert!(error.contains("/dev/sdb (3221229568 bytes") && error.contains("4 GiB"), "{error}");
        let hints = Hints::parse(&json!({"model": "other"})).unwrap();
        let error = select(&hints, &disks).unwrap_err().to_string();
        assert!(error.contains("other") && error.contains("\"Fast Disk 3000\""), "{error}");
        assert!(select(&none, &[]).unwrap_err().to_string().ends_with("disks seen: none"));
    }
}
