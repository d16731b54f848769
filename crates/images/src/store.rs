//! The cache on disk: which images are there, whole and verified; how much room is left; what may go.
//! Knows nothing of URLs and transfers.
//!
//! ```text
//! DIR/lock             held by the one process that uses the folder
//! DIR/blobs/SHA256     the image
//! DIR/facts/SHA256     what is known about it (JSON); written last: without it the blob does not count
//! DIR/temp/N           being fetched; emptied on opening
//! ```
//! A crash at any moment leaves either both files or something that opening removes.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use disk_image::{Algorithm, Checksum, Format};
use serde::{Deserialize, Serialize};

use crate::error::ImageError;
use crate::request::{CachedImage, ImageFacts};

/// Keeps an image from being evicted while it lives.
pub(crate) type Pin = Arc<()>;

#[derive(Debug)]
pub(crate) struct Store {
    dir: PathBuf,
    max_bytes: u64,
    books: Mutex<Books>,
    next_temp: AtomicU64,
    /// Locked as long as the store is open.
    _lock: File,
}

#[derive(Debug, Default)]
struct Books {
    /// By SHA-256.
    entries: HashMap<String, Entry>,
    /// Bytes promised to transfers that are under way.
    reserved: u64,
    /// Counts uses; the entry with the lowest number was used longest ago. A counter needs no clock.
    last_use: u64,
}

#[derive(Debug)]
struct Entry {
    facts: Arc<ImageFacts>,
    md5: Option<String>,
    used: u64,
    pin: Pin,
}

/// The JSON of `facts/SHA256`.
#[derive(Debug, Serialize, Deserialize)]
struct Record {
    size: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sha512: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    md5: Option<String>,
    format: Format,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    compression: Option<Format>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    virtual_size: Option<u64>,
    used: u64,
}

/// A file being fetched; removed when dropped before [`Store::keep`].
#[derive(Debug)]
pub(crate) struct Temp {
    pub(crate) path: PathBuf,
}

impl Drop for Temp {
    fn drop(&mut self) {
        // After a rename there is nothing left to remove.
        let _ = fs::remove_file(&self.path);
    }
}

/// Room promised to one transfer; given back when dropped.
#[derive(Debug)]
pub(crate) struct Reservation {
    store: Arc<Store>,
    bytes: u64,
}

impl Store {
    /// Opens or creates the cache in `dir` and removes what a crash left.
    pub(crate) fn open(dir: &Path, max_bytes: u64) -> Result<Self, ImageError> {
        for folder in ["blobs", "facts"] {
            let path = dir.join(folder);
            fs::create_dir_all(&path).map_err(|error| ImageError::store("create", path, error))?;
        }
        let lock = lock(dir)?;
        let temp = dir.join("temp");
        match fs::remove_dir_all(&temp) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(ImageError::store("empty", temp, error));
            }
            _ => {}
        }
        fs::create_dir_all(&temp).map_err(|error| ImageError::store("create", temp, error))?;
        let store = Self {
            dir: dir.to_owned(),
            max_bytes,
            books: Mutex::default(),
            next_temp: AtomicU64::new(0),
            _lock: lock,
        };
        store.load()?;
        // The bound may be lower than last time.
        store.make_room(&mut store.books(), 0)?;
        Ok(store)
    }

    fn load(&self) -> Result<(), ImageError> {
        let mut books = self.books();
        for name in names(&self.dir.join("facts"))? {
            if let Some(record) = self.read_record(&name) {
                books.last_use = books.last_use.max(record.used);
                books.entries.insert(name.clone(), Entry::from_record(name, record));
            }
        }
        for folder in ["facts", "blobs"] {
            for name in names(&self.dir.join(folder))? {
                if !books.entries.contains_key(&name) {
                    let path = self.dir.join(folder).join(&name);
                    tracing::info!(path = %path.display(), "removing what an interrupted fetch left");
                    fs::remove_file(&path).map_err(|error| ImageError::store("remove", path, error))?;
                }
            }
        }
        Ok(())
    }

    /// The record of a whole entry: readable, and its blob there with the right length.
    fn read_record(&self, name: &str) -> Option<Record> {
        Checksum::new(Algorithm::Sha256.name(), name).ok().filter(|checksum| checksum.hex == name)?;
        let record: Record = serde_json::from_slice(&fs::read(self.facts_path(name)).ok()?).ok()?;
        let blob = fs::metadata(self.blob_path(name)).ok()?;
        (blob.is_file() && blob.len() == record.size).then_some(record)
    }

    /// The image with this digest, marked as used now.
    pub(crate) fn find(&self, wanted: &Checksum) -> Option<CachedImage> {
        let mut books = self.books();
        let name = match wanted.algorithm {
            Algorithm::Sha256 => wanted.hex.clone(),
            Algorithm::Sha512 | Algorithm::Md5 => {
                books.entries.iter().find(|(_, entry)| entry.has(wanted)).map(|(name, _)| name.clone())?
            }
        };
        let image = self.touch(&mut books, &name)?;
        // The order of use only decides what goes first: losing one mark in a crash is no harm.
        if let Err(error) = self.write_record(&books, &name, Durable::No) {
            tracing::warn!(error = %error.report(), "could not note the use of an image");
        }
        Some(image)
    }

    fn touch(&self, books: &mut Books, name: &str) -> Option<CachedImage> {
        let used = books.last_use + 1;
        let entry = books.entries.get_mut(name)?;
        entry.used = used;
        books.last_use = used;
        let (facts, pin) = (Arc::clone(&entry.facts), Arc::clone(&entry.pin));
        Some(CachedImage { path: self.blob_path(name), facts, _pin: pin })
    }

    /// A place for a transfer.
    pub(crate) fn temp(&self) -> Temp {
        let number = self.next_temp.fetch_add(1, Ordering::Relaxed);
        Temp { path: self.dir.join("temp").join(number.to_string()) }
    }

    /// Room for nothing yet; grows by [`Reservation::grow_to`].
    pub(crate) fn reserve(self: &Arc<Self>) -> Reservation {
        Reservation { store: Arc::clone(self), bytes: 0 }
    }

    /// Takes a verified file into the cache. `declared` is the digest it was verified with.
    pub(crate) fn keep(
        &self,
        temp: &Temp,
        mut room: Reservation,
        facts: ImageFacts,
        declared: &Checksum,
    ) -> Result<CachedImage, ImageError> {
        let name = facts.sha256.clone();
        let blob = self.blob_path(&name);
        let mut books = self.books();
        let known = books.entries.contains_key(&name);
        if !known {
            fs::rename(&temp.path, &blob).map_err(|error| ImageError::store("create", &blob, error))?;
            sync_dir(&self.dir.join("blobs"))?;
            books.entries.insert(name.clone(), Entry::new(facts));
        }
        if let Some(entry) = books.entries.get_mut(&name) {
            entry.learn(declared);
        }
        let image = self.touch(&mut books, &name);
        // What was reserved is now counted as an entry.
        books.reserved -= std::mem::take(&mut room.bytes);
        if let Err(error) = self.write_record(&books, &name, Durable::Yes) {
            if !known {
                books.entries.remove(&name);
                let _ = fs::remove_file(&blob);
            }
            return Err(error);
        }
        image.ok_or(ImageError::Closed)
    }

    /// Number of images and their bytes.
    pub(crate) fn usage(&self) -> (usize, u64) {
        let books = self.books();
        (books.entries.len(), books.stored())
    }

    /// Removes unused images, those used longest ago first, until `more` bytes fit.
    fn make_room(&self, books: &mut Books, more: u64) -> Result<(), ImageError> {
        loop {
            let taken = books.stored() + books.reserved;
            if taken.saturating_add(more) <= self.max_bytes {
                return Ok(());
            }
            let unused = books.entries.iter().filter(|(_, entry)| Arc::strong_count(&entry.pin) == 1);
            let Some(name) = unused.min_by_key(|(_, entry)| entry.used).map(|(name, _)| name.clone()) else {
                if more == 0 {
                    return Ok(());
                }
                return Err(ImageError::CacheFull { needed: more, in_use: taken, max: self.max_bytes });
            };
            self.remove(books, &name)?;
        }
    }

    /// The record goes first: a blob alone does not count.
    fn remove(&self, books: &mut Books, name: &str) -> Result<(), ImageError> {
        for path in [self.facts_path(name), self.blob_path(name)] {
            match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(ImageError::store("remove", path, error));
                }
                _ => {}
            }
        }
        if let Some(entry) = books.entries.remove(name) {
            tracing::info!(image = name, bytes = entry.facts.size, "removed from the image cache");
        }
        Ok(())
    }

    fn write_record(&self, books: &Books, name: &str, durable: Durable) -> Result<(), ImageError> {
        let Some(entry) = books.entries.get(name) else { return Ok(()) };
        let temp = self.temp();
        let write = || -> io::Result<()> {
            let json = serde_json::to_vec(&entry.record())?;
            fs::write(&temp.path, json)?;
            if durable == Durable::Yes {
                File::open(&temp.path)?.sync_all()?;
            }
            fs::rename(&temp.path, self.facts_path(name))
        };
        write().map_err(|error| self.write_error(error, &self.facts_path(name)))?;
        if durable == Durable::Yes {
            sync_dir(&self.dir.join("facts"))?;
        }
        Ok(())
    }

    /// "Disk full" is worth its own words.
    pub(crate) fn write_error(&self, error: io::Error, path: &Path) -> ImageError {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                ImageError::DiskFull { dir: self.dir.clone() }
            }
            _ => ImageError::store("write", path, error),
        }
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        // A panic under the lock leaves the books as they were before or after one change: both are usable.
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn blob_path(&self, name: &str) -> PathBuf {
        self.dir.join("blobs").join(name)
    }

    fn facts_path(&self, name: &str) -> PathBuf {
        self.dir.join("facts").join(name)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Durable {
    Yes,
    No,
}

impl Books {
    fn stored(&self) -> u64 {
        self.entries.values().map(|entry| entry.facts.size).sum()
    }
}

impl Entry {
    fn new(facts: ImageFacts) -> Self {
        Self { facts: Arc::new(facts), md5: None, used: 0, pin: Pin::default() }
    }

    fn from_record(sha256: String, record: Record) -> Self {
        let facts = ImageFacts {
            size: record.size,
            sha256,
            sha512: record.sha512,
            format: record.format,
            compression: record.compression,
            virtual_size: record.virtual_size,
        };
        Self { md5: record.md5, used: record.used, ..Self::new(facts) }
    }

    fn record(&self) -> Record {
        Record {
            size: self.facts.size,
            sha512: self.facts.sha512.clone(),
            md5: self.md5.clone(),
            format: self.facts.format,
            compression: self.facts.compression,
            virtual_size: self.facts.virtual_size,
            used: self.used,
        }
    }

    fn has(&self, wanted: &Checksum) -> bool {
        match wanted.algorithm {
            Algorithm::Sha256 => self.facts.sha256 == wanted.hex,
            Algorithm::Sha512 => self.facts.sha512.as_ref() == Some(&wanted.hex),
            Algorithm::Md5 => self.md5.as_ref() == Some(&wanted.hex),
        }
    }

    /// Notes one more digest of the same content, so that it is found by that one too.
    fn learn(&mut self, checksum: &Checksum) {
        match checksum.algorithm {
            Algorithm::Sha256 => {}
            Algorithm::Sha512 => Arc::make_mut(&mut self.facts).sha512 = Some(checksum.hex.clone()),
            Algorithm::Md5 => self.md5 = Some(checksum.hex.clone()),
        }
    }
}

impl Reservation {
    /// Enlarges the reservation to `bytes`, evicting what is unused when needed.
    pub(crate) fn grow_to(&mut self, bytes: u64) -> Result<(), ImageError> {
        let more = bytes.saturating_sub(self.bytes);
        let mut books = self.store.books();
        self.store.make_room(&mut books, more)?;
        books.reserved += more;
        drop(books);
        self.bytes += more;
        Ok(())
    }

    /// Bytes reserved.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if self.bytes > 0 {
            self.store.books().reserved -= self.bytes;
        }
    }
}

fn lock(dir: &Path) -> Result<File, ImageError> {
    let path = dir.join("lock");
    let file = File::options()
        .create(true)
        .write(true)
        .truncate(false)
        .open(&path)
        .map_err(|error| ImageError::store("open", &path, error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(fs::TryLockError::WouldBlock) => Err(ImageError::CacheTaken { dir: dir.to_owned() }),
        Err(fs::TryLockError::Error(error)) => Err(ImageError::store("lock", path, error)),
    }
}

fn names(dir: &Path) -> Result<Vec<String>, ImageError> {
    let list = || -> io::Result<Vec<String>> {
        fs::read_dir(dir)?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
    };
    list().map_err(|error| ImageError::store("list", dir, error))
}

/// A rename survives a power failure once its folder is on the disk.
fn sync_dir(dir: &Path) -> Result<(), ImageError> {
    File::open(dir).and_then(|file| file.sync_all()).map_err(|error| ImageError::store("write", dir, error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_has_its_own_error() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path(), 1000).unwrap();
        let full = io::Error::from(io::ErrorKind::StorageFull);
        assert!(matches!(store.write_error(full, dir.path()), ImageError::DiskFull { .. }));
        let other = io::Error::from(io::ErrorKind::PermissionDenied);
        assert!(matches!(store.write_error(other, dir.path()), ImageError::Store { .. }));
    }

    #[test]
    fn reservations_count_and_are_given_back() {
        let dir = tempfile::tempdir().unwrap();
        let store = Arc::new(Store::open(dir.path(), 1000).unwrap());
        let mut first = store.reserve();
        first.grow_to(600).unwrap();
        first.grow_to(500).unwrap();
        assert_eq!(first.bytes(), 600);
        let mut second = store.reserve();
        assert!(matches!(second.grow_to(500), Err(ImageError::CacheFull { in_use: 600, needed: 500, .. })));
        second.grow_to(400).unwrap();
        drop(first);
        second.grow_to(1000).unwrap();
    }
}
