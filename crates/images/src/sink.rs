//! Writing and hashing a transfer on a thread of the blocking pool, fed through a short queue, so that neither
//! the disk nor SHA-512 holds up the other tasks of a worker.

use std::fs::File;
use std::io::{self, BufWriter, Seek as _, SeekFrom, Write as _};
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use disk_image::hash::Hasher;
use disk_image::{Algorithm, Checksum};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::store::Temp;

/// Pieces that may wait for the disk (a piece is what one read of the socket gave, 8 to 64 KiB).
const QUEUE: usize = 16;
const BUFFER: usize = 256 * 1024;

enum Order {
    Write(Bytes),
    StartOver,
}

/// What was written.
#[derive(Debug)]
pub(crate) struct Written {
    pub(crate) size: u64,
    pub(crate) sha256: Checksum,
    /// By the declared algorithm; the same as `sha256` when that is it.
    pub(crate) declared: Checksum,
}

/// A file being written. Dropping it ends the thread soon, with the file in any state.
#[derive(Debug)]
pub(crate) struct Sink {
    orders: mpsc::Sender<Order>,
    thread: JoinHandle<io::Result<Written>>,
}

impl Sink {
    /// Creates the file and hashes by SHA-256 and `declared`. The thread has its own share in `temp`: it may start
    /// or end after everybody else has lost interest, and the file must not outlive it.
    pub(crate) fn start(temp: Arc<Temp>, declared: Algorithm) -> Self {
        let (orders, inbox) = mpsc::channel(QUEUE);
        let thread = tokio::task::spawn_blocking(move || write_all(&temp.path, declared, inbox));
        Self { orders, thread }
    }

    /// Appends `piece`. `false` when the thread has given up: [`Sink::finish`] says why.
    pub(crate) async fn write(&self, piece: Bytes) -> bool {
        self.orders.send(Order::Write(piece)).await.is_ok()
    }

    /// Forgets everything written. `false` as for [`Sink::write`].
    pub(crate) async fn start_over(&self) -> bool {
        self.orders.send(Order::StartOver).await.is_ok()
    }

    /// Waits until all is on the disk.
    pub(crate) async fn finish(self) -> io::Result<Written> {
        drop(self.orders);
        self.thread.await.map_err(io::Error::other)?
    }
}

fn write_all(path: &Path, declared: Algorithm, mut inbox: mpsc::Receiver<Order>) -> io::Result<Written> {
    let file = File::options().create_new(true).write(true).open(path)?;
    let mut file = BufWriter::with_capacity(BUFFER, file);
    let mut hashes = Hashes::new(declared);
    let mut size = 0;
    while let Some(order) = inbox.blocking_recv() {
        match order {
            Order::Write(piece) => {
                file.write_all(&piece)?;
                hashes.update(&piece);
                size += piece.len() as u64;
            }
            Order::StartOver => {
                file.seek(SeekFrom::Start(0))?;
                file.get_ref().set_len(0)?;
                hashes = Hashes::new(declared);
                size = 0;
            }
        }
    }
    file.flush()?;
    file.get_ref().sync_all()?;
    let sha256 = hashes.sha256.finish();
    let declared = hashes.declared.map_or_else(|| sha256.clone(), Hasher::finish);
    Ok(Written { size, sha256, declared })
}

/// SHA-256 names the content in the cache; another algorithm runs beside it only when it was declared.
struct Hashes {
    sha256: Hasher,
    declared: Option<Hasher>,
}

impl Hashes {
    fn new(declared: Algorithm) -> Self {
        let other = (declared != Algorithm::Sha256).then(|| Hasher::new(declared));
        Self { sha256: Hasher::new(Algorithm::Sha256), declared: other }
    }

    fn update(&mut self, bytes: &[u8]) {
        self.sha256.update(bytes);
        if let Some(hasher) = &mut self.declared {
            hasher.update(bytes);
        }
    }
}
