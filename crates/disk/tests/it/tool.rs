//! Running the reference tools, and test data.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

use disk::BlockDevice;
use disk_image::Guid;
use disk_image::gpt::Gpt;

pub(crate) const MIB: u64 = 1 << 20;

/// Runs a tool and returns what it printed. A missing tool fails the test.
#[expect(clippy::disallowed_methods, reason = "the tests compare with reference tools")]
pub(crate) fn run(program: &str, args: &[&str]) -> String {
    let path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    let output = Command::new(program).args(args).env("PATH", path).output();
    let output = output.unwrap_or_else(|error| panic!("{program}: {error}: run `cargo xtask setup`"));
    let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success(), "{program} {args:?} failed:\n{text}");
    text
}

pub(crate) fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A directory with a disk in it.
pub(crate) struct Lab {
    pub(crate) dir: tempfile::TempDir,
}

impl Lab {
    /// In memory where there is such a place: every write here waits for the medium.
    pub(crate) fn new() -> Self {
        let memory = Path::new("/dev/shm");
        let dir = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
        Self { dir: dir.unwrap() }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A disk full of old data, with a partition table of its own.
    pub(crate) fn used_disk(&self, size: u64) -> PathBuf {
        let path = self.path("disk");
        let file = File::create(&path).unwrap();
        let old = vec![0xa5; 1 << 20];
        (0..size.div_ceil(MIB)).for_each(|index| file.write_all_at(&old, index * MIB).unwrap());
        file.set_len(size).unwrap();
        // Not by sgdisk, which waits for every disk of the machine.
        let mut gpt = Gpt::empty(size, 512, Guid::from_random([8; 16])).unwrap();
        gpt.add_at_end(MIB, Guid::EFI_SYSTEM, Guid::from_random([9; 16]), "old").unwrap();
        for (offset, bytes) in gpt.encode(&[0; 512]) {
            file.write_all_at(&bytes, offset).unwrap();
        }
        path
    }

    /// A whole-disk image: BIOS boot and EFI partitions and a file system that fills the rest.
    pub(crate) fn os_image(&self, size: u64) -> PathBuf {
        static MADE: Mutex<BTreeMap<u64, Vec<u8>>> = Mutex::new(BTreeMap::new());
        let path = self.path("os.raw");
        let mut made = MADE.lock().unwrap();
        if let Some(image) = made.get(&size) {
            fs::write(&path, image).unwrap();
            return path;
        }
        File::create(&path).unwrap().set_len(size).unwrap();
        run(
            "sgdisk",
            &["-n1:2048:+1M", "-t1:ef02", "-n2:0:+4M", "-t2:ef00", "-n3:0:0", "-c3:root", text(&path)],
        );
        let file = File::options().write(true).open(&path).unwrap();
        let noise = noise(usize::try_from(size / 8).unwrap(), 7);
        file.write_all_at(&noise, 8 * MIB + 4096).unwrap();
        file.write_all_at(b"boot code", 0).unwrap();
        made.insert(size, fs::read(&path).unwrap());
        path
    }
}

pub(crate) fn device(path: &Path) -> BlockDevice {
    BlockDevice::file(path).unwrap()
}

/// Bytes that do not compress (xorshift64*).
pub(crate) fn noise(len: usize, seed: u64) -> Vec<u8> {
    let mut state = seed | 1;
    let mut bytes = vec![0; len];
    for part in bytes.chunks_mut(8) {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        part.copy_from_slice(&state.wrapping_mul(0x2545_f491_4f6c_dd1d).to_le_bytes()[..part.len()]);
    }
    bytes
}
