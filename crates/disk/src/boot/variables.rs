//! Firmware variables through efivarfs: boot entries and their order. Knows no device paths: values are bytes.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use rustix::fs::IFlags;

use super::load_option::description;
use crate::error::DiskError;

/// The vendor GUID of the variables that UEFI itself defines.
const GLOBAL: &str = "8be4df61-93ca-11d2-aa0d-00e098032b8c";
/// Non-volatile, visible to boot services and at run time.
const ATTRIBUTES: [u8; 4] = [7, 0, 0, 0];
/// `EFIVARFS_MAGIC` of linux/magic.h.
const EFIVARFS: u64 = 0xde5e_81e4;
/// A value larger than this is not one of ours to read.
const MOST: usize = 64 * 1024;

/// A directory of firmware variables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EfiVars {
    /// Usually `/sys/firmware/efi/efivars`.
    pub directory: PathBuf,
}

impl Default for EfiVars {
    fn default() -> Self {
        Self { directory: "/sys/firmware/efi/efivars".into() }
    }
}

impl EfiVars {
    /// Whether the machine has any, that is, was booted by UEFI and has efivarfs mounted.
    pub fn exist(&self) -> bool {
        fs::read_dir(&self.directory).is_ok_and(|mut entries| entries.next().is_some())
    }

    /// Writes `value` as the boot entry `label`, puts it first in the order and removes other entries of that label.
    /// Returns the entry's number and the numbers removed. The number of an entry that is replaced is used again.
    pub fn put_first(&self, label: &str, value: &[u8]) -> Result<(u16, Vec<u16>), DiskError> {
        let entries = self.boot_entries()?;
        let mut same: Vec<u16> =
            entries.iter().filter(|(_, name)| name == label).map(|(number, _)| *number).collect();
        let number = if same.is_empty() {
            let free = (0..=u16::MAX).find(|number| entries.iter().all(|(taken, _)| taken != number));
            free.unwrap_or(0)
        } else {
            same.remove(0)
        };
        self.write(&boot_name(number), value)?;
        let mut order = vec![number];
        order
            .extend(self.boot_order()?.into_iter().filter(|other| *other != number && !same.contains(other)));
        let bytes: Vec<u8> = order.iter().flat_map(|number| number.to_le_bytes()).collect();
        self.write("BootOrder", &bytes)?;
        // Removed last: until then nothing in the order leads nowhere.
        for number in &same {
            self.remove(&boot_name(*number))?;
        }
        Ok((number, same))
    }

    /// Numbers and descriptions of all boot entries, by number.
    pub fn boot_entries(&self) -> Result<Vec<(u16, String)>, DiskError> {
        let failed = |source| failed_to("list", "Boot####", source);
        let mut entries = Vec::new();
        for entry in fs::read_dir(&self.directory).map_err(failed)? {
            let name = entry.map_err(failed)?.file_name();
            let name = name.to_string_lossy();
            let Some(number) = boot_number(&name) else { continue };
            let value = self.read(&boot_name(number))?.unwrap_or_default();
            entries.push((number, description(&value).unwrap_or_default()));
        }
        entries.sort();
        Ok(entries)
    }

    /// The boot order; empty when there is none.
    pub fn boot_order(&self) -> Result<Vec<u16>, DiskError> {
        let value = self.read("BootOrder")?.unwrap_or_default();
        Ok(value.as_chunks::<2>().0.iter().map(|number| u16::from_le_bytes(*number)).collect())
    }

    /// The value of a variable; `None` when there is no such variable.
    pub fn read(&self, name: &str) -> Result<Option<Vec<u8>>, DiskError> {
        match fs::read(self.path(name)) {
            Ok(bytes) if bytes.len() > MOST => {
                Err(failed_to("read", name, io::Error::from(io::ErrorKind::FileTooLarge)))
            }
            Ok(bytes) => Ok(Some(bytes.get(4..).unwrap_or_default().to_vec())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed_to("read", name, error)),
        }
    }

    /// Sets a variable. efivarfs wants attributes and value in one write, and marks what it has not created itself
    /// immutable.
    pub fn write(&self, name: &str, value: &[u8]) -> Result<(), DiskError> {
        let path = self.path(name);
        let failed = |source| failed_to("write", name, source);
        make_mutable(&path).map_err(failed)?;
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(!self.is_efivarfs())
            .open(&path)
            .map_err(failed)?;
        let bytes = [&ATTRIBUTES, value].concat();
        match file.write(&bytes) {
            Ok(count) if count == bytes.len() => Ok(()),
            Ok(_) => Err(failed(io::Error::from(io::ErrorKind::WriteZero))),
            Err(error) => Err(failed(error)),
        }
    }

    /// Removes a variable; no error when it is not there.
    pub fn remove(&self, name: &str) -> Result<(), DiskError> {
        let path = self.path(name);
        let removed = make_mutable(&path).and_then(|()| fs::remove_file(&path));
        match removed {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed_to("remove", name, error)),
            _ => Ok(()),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.join(format!("{name}-{GLOBAL}"))
    }

    /// Truncating a variable would delete it.
    fn is_efivarfs(&self) -> bool {
        rustix::fs::statfs(&self.directory).is_ok_and(|stat| u64::try_from(stat.f_type) == Ok(EFIVARFS))
    }
}

fn failed_to(action: &'static str, name: &str, source: io::Error) -> DiskError {
    DiskError::EfiVariable { action, name: name.to_owned(), source }
}

fn boot_name(number: u16) -> String {
    format!("Boot{number:04X}")
}

fn boot_number(file: &str) -> Option<u16> {
    let digits = file.strip_prefix("Boot")?.strip_suffix(GLOBAL)?.strip_suffix('-')?;
    let upper = digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'A'..=b'F'));
    u16::from_str_radix(digits, 16).ok().filter(|_| digits.len() == 4 && upper)
}

/// Clears the immutable flag where the file exists and its file system knows the flag.
fn make_mutable(path: &Path) -> io::Result<()> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    let Ok(flags) = rustix::fs::ioctl_getflags(&file) else { return Ok(()) };
    if flags.contains(IFlags::IMMUTABLE) {
        rustix::fs::ioctl_setflags(&file, flags - IFlags::IMMUTABLE)?;
    }
    Ok(())
}
