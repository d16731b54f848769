//! Loads kernel modules: those the ramdisk always wants, and those the devices of this machine ask for.
//!
//! The ramdisk ships, beside the modules themselves, two generated files.
//!
//! `/etc/wrought/modules` has the sections `[always]`, `[modalias]` and `[rescue]` (what a rescuer wants, file systems
//! above all). A line is a module's name and the files to load
//! for it, in that order (its dependencies first); a path without a leading `/` is below `/lib/modules`:
//!
//! ```text
//! [always]
//! virtio_pci 6.1.0/kernel/drivers/virtio/virtio.ko 6.1.0/kernel/drivers/virtio/virtio_pci.ko
//! [modalias]
//! e1000 6.1.0/kernel/drivers/net/ethernet/intel/e1000/e1000.ko
//! ```
//!
//! `/etc/wrought/modules.alias` holds lines of depmod's `modules.alias` (`alias PATTERN MODULE`) for the modules of the
//! second section. Files are uncompressed, or compressed as the kernel itself unpacks (`.xz`, `.zst`, `.gz`).

use rustix::{io::Errno, system::finit_module};
use std::{
    collections::{BTreeMap, HashSet},
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

/// Where the ramdisk lists its modules.
pub const LIST: &str = "/etc/wrought/modules";
/// Where the ramdisk keeps the patterns of devices.
pub const ALIASES: &str = "/etc/wrought/modules.alias";
/// Levels below `/sys/devices` that are searched for devices.
const DEEPEST: usize = 24;
/// `MODULE_INIT_COMPRESSED_FILE` of `linux/module.h`.
const COMPRESSED_FILE: i32 = 4;
/// What makes a driver's device reachable and no device asks for: loaded with the driver.
const COMPANIONS: [(&str, &str); 2] = [("ipmi_si", "ipmi_devintf"), ("ipmi_ssif", "ipmi_devintf")];
/// Modules that are only loaded where a directory exists: there is nothing for them to do elsewhere.
const CONDITIONS: [(&str, &str); 1] = [("efivarfs", "/sys/firmware/efi")];

/// The modules of a ramdisk, and which of them are loaded.
#[derive(Debug, Default)]
pub struct Modules {
    always: Vec<String>,
    rescue: Vec<String>,
    by_name: BTreeMap<String, Vec<PathBuf>>,
    aliases: Vec<(String, String)>,
    seen: HashSet<String>,
    loaded: HashSet<PathBuf>,
}

impl Modules {
    /// Reads the ramdisk's lists; a ramdisk without any has all drivers built in.
    pub fn from_ramdisk() -> Self {
        let text = |path| fs::read_to_string(path).unwrap_or_default();
        Self::parse(&text(LIST), &text(ALIASES))
    }

    /// Reads the two lists.
    pub fn parse(list: &str, aliases: &str) -> Self {
        let mut modules = Self::default();
        let mut section = "[always]";
        for line in list.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
            if line.starts_with('[') {
                section = line;
                continue;
            }
            let mut words = line.split_whitespace();
            let Some(name) = words.next() else { continue };
            let files: Vec<PathBuf> = words.map(|file| Path::new("/lib/modules").join(file)).collect();
            match section {
                "[always]" => modules.always.push(plain(name)),
                "[rescue]" => modules.rescue.push(plain(name)),
                _ => {}
            }
            modules.by_name.insert(plain(name), files);
        }
        for line in aliases.lines() {
            let words: Vec<&str> = line.split_whitespace().collect();
            if let ["alias", pattern, module] = words.as_slice()
                && modules.by_name.contains_key(&plain(module))
            {
                modules.aliases.push(((*pattern).to_owned(), plain(module)));
            }
        }
        modules
    }

    /// Loads what is always wanted.
    pub fn load_always(&mut self) {
        for name in std::mem::take(&mut self.always) {
            self.load(&name);
        }
    }

    /// Loads what a rescuer wants.
    pub fn load_for_rescue(&mut self) {
        for name in std::mem::take(&mut self.rescue) {
            self.load(&name);
        }
    }

    /// Loads what all present devices ask for. Loading a bus driver brings new devices, which ask again by events.
    pub fn load_for_present(&mut self) {
        let mut wanted = Vec::new();
        collect_modaliases(Path::new("/sys/devices"), 0, &mut wanted);
        for modalias in wanted {
            self.load_for(&modalias);
        }
    }

    /// Loads what one device asks for; says whether anything was.
    pub fn load_for(&mut self, modalias: &str) -> bool {
        if !self.seen.insert(modalias.to_owned()) {
            return false;
        }
        let mut any = false;
        for name in self.matching(modalias) {
            any |= self.load(&name);
        }
        any
    }

    fn matching(&self, modalias: &str) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        for (pattern, name) in &self.aliases {
            if !names.contains(name) && glob(pattern.as_bytes(), modalias.as_bytes()) {
                names.push(name.clone());
                let companion = COMPANIONS.iter().find(|(driver, _)| driver == name);
                names.extend(companion.map(|(_, companion)| (*companion).to_owned()));
            }
        }
        names
    }

    /// Loads the files of a module, if the ramdisk has it.
    fn load(&mut self, name: &str) -> bool {
        if CONDITIONS.iter().any(|(module, needs)| *module == name && !Path::new(needs).exists()) {
            return false;
        }
        let mut any = false;
        for file in self.by_name.get(name).cloned().unwrap_or_default() {
            if !self.loaded.insert(file.clone()) {
                continue;
            }
            match insert(&file) {
                Ok(()) => any = true,
                // Drivers of what this machine does not have say so.
                Err(error) if error.raw_os_error() == Some(Errno::NODEV.raw_os_error()) => {
                    tracing::debug!("module {} finds nothing to drive", file.display());
                }
                Err(error) => tracing::warn!(%error, "module {} not loaded", file.display()),
            }
        }
        any
    }
}

/// Names with `-` and `_` are the same to the kernel.
fn plain(name: &str) -> String {
    name.replace('-', "_")
}

fn insert(path: &Path) -> io::Result<()> {
    let compressed = path.extension().is_some_and(|extension| extension != "ko");
    let file = File::open(path)?;
    match finit_module(&file, c"", if compressed { COMPRESSED_FILE } else { 0 }) {
        Ok(()) | Err(Errno::EXIST) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}

fn collect_modaliases(directory: &Path, depth: usize, found: &mut Vec<String>) {
    let Ok(entries) = fs::read_dir(directory) else { return };
    for entry in entries.flatten() {
        let Ok(kind) = entry.file_type() else { continue };
        if kind.is_dir() && depth < DEEPEST {
            collect_modaliases(&entry.path(), depth + 1, found);
        } else if entry.file_name() == "modalias" {
            let text = fs::read_to_string(entry.path()).unwrap_or_default();
            let text = text.trim();
            if !text.is_empty() && !found.iter().any(|known| known == text) {
                found.push(text.to_owned());
            }
        }
    }
}

/// Shell patterns as depmod writes them: `*`, `?` and `[…]`. Linear in time: only the last `*` is gone back to.
fn glob(pattern: &[u8], text: &[u8]) -> bool {
    let (mut at, mut reading) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while reading < text.len() {
        match step(&pattern[at..], text[reading]) {
            Step::Star => {
                star = Some((at, reading));
                at += 1;
            }
            Step::Matches(length) => {
                at += length;
                reading += 1;
            }
            Step::Differs => match star {
                Some((position, from)) => {
                    star = Some((position, from + 1));
                    (at, reading) = (position + 1, from + 1);
                }
                None => return false,
            },
        }
    }
    pattern[at..].iter().all(|byte| *byte == b'*')
}

enum Step {
    Star,
    Matches(usize),
    Differs,
}

fn step(pattern: &[u8], byte: u8) -> Step {
    match pattern.first() {
        Some(b'*') => Step::Star,
        Some(b'?') => Step::Matches(1),
        Some(b'[') => {
            let Some(end) = pattern.iter().position(|byte| *byte == b']') else { return Step::Differs };
            let set = &pattern[1..end];
            let mut at = 0;
            while at < set.len() {
                let range = set.get(at + 1) == Some(&b'-') && at + 2 < set.len();
                let high = if range { set[at + 2] } else { set[at] };
                if (set[at]..=high).contains(&byte) {
                    return Step::Matches(end + 1);
                }
                at += if range { 3 } else { 1 };
            }
            Step::Differs
        }
        Some(same) if *same == byte => Step::Matches(1),
        _ => Step::Differs,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        for (pattern, text, fits) in [
            (
                "pci:v00008086d0000100Esv*sd*bc*sc*i*",
                "pci:v00008086d0000100Esv00001AF4sd00001100bc02sc00i00",
                true,
            ),
            (
                "pci:v00008086d0000100Esv*sd*bc*sc*i*",
                "pci:v00008086d0000100Fsv00001AF4sd00001100bc02sc00i00",
                false,
            ),
            ("virtio:d00000001v*", "virtio:d00000001v00001AF4", true),
            ("usb:v*p*d*dc*dsc*dp*ic08isc06ip50in*", "usb:v1p2d3dc0dsc0dp0ic08isc06ip50in00", true),
            ("a[0-3x]c", "a2c", true),
            ("a[0-3x]c", "axc", true),
            ("a[0-3x]c", "a4c", false),
            ("a[", "ab", false),
            ("*", "", true),
            ("a?", "a", false),
            ("*b*d", "abcbd", true),
        ] {
            assert_eq!(glob(pattern.as_bytes(), text.as_bytes()), fits, "{pattern} {text}");
        }
        // No exponential search.
        assert!(!glob("*a".repeat(30).as_bytes(), "a".repeat(29).as_bytes()));
    }

    #[test]
    fn lists_are_read() {
        let list = "# made\n[always]\nvirtio_pci k/virtio.ko k/virtio_pci.ko\n[modalias]\nsd-mod /x/sd_mod.ko\n[rescue]\next4 k/ext4.ko\n";
        let aliases = "alias scsi:t-0x00* sd_mod\nalias other:* not_shipped\nrubbish\n";
        let modules = Modules::parse(list, aliases);
        assert_eq!(
            (modules.always.as_slice(), modules.rescue.as_slice()),
            (&["virtio_pci".to_owned()][..], &["ext4".to_owned()][..])
        );
        assert_eq!(
            modules.by_name["virtio_pci"],
            [PathBuf::from("/lib/modules/k/virtio.ko"), "/lib/modules/k/virtio_pci.ko".into()]
        );
        assert_eq!(modules.matching("scsi:t-0x00"), ["sd_mod"]);
        assert_eq!(modules.by_name["sd_mod"], [PathBuf::from("/x/sd_mod.ko")]);
        assert_eq!(modules.aliases.len(), 1);
    }

    #[test]
    fn the_way_to_a_bmc_is_loaded_with_its_driver() {
        let list =
            "[modalias]\nipmi-si i/ipmi_si.ko\nipmi_ssif i/ipmi_ssif.ko\nipmi_devintf i/ipmi_devintf.ko\n";
        let modules = Modules::parse(list, "alias acpi*:IPI0001:* ipmi_si\nalias platform:x ipmi_ssif\n");
        assert_eq!(modules.matching("acpi:IPI0001:"), ["ipmi_si", "ipmi_devintf"]);
        assert_eq!(modules.matching("platform:x"), ["ipmi_ssif", "ipmi_devintf"]);
    }

    #[test]
    fn a_file_that_is_not_there_is_not_fatal() {
        let mut modules = Modules::parse("[always]\nx /nowhere/x.ko\n", "");
        modules.load_always();
        assert!(!modules.load_for("pci:v1"));
    }
}
