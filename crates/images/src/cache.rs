//! The cache as callers see it: ask for an image, get it from the disk or wait for the one download of it.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use disk_image::{Algorithm, Checksum, Format};
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;
use url::Url;

use crate::error::ImageError;
use crate::inspect::Expectation;
use crate::request::{CachedImage, ChecksumSource, ImageRequest, Progress};
use crate::store::Store;
use crate::sums;
use crate::transfer::{Limits, Transfer};
use crate::web::{Web, shown};

/// A checksum file larger than this is something else.
const CHECKSUM_FILE_LIMIT: usize = 1024 * 1024;

/// How the cache behaves. Everything but the folder has a default.
#[derive(Debug, Clone)]
pub struct Options {
    /// The cache's folder; created when missing; for one process at a time.
    pub dir: PathBuf,
    /// Bound on all images together, in bytes.
    pub max_bytes: u64,
    /// Bound on one image, in bytes.
    pub max_image_bytes: u64,
    /// Bound on one transfer, with all its attempts.
    pub total_deadline: Duration,
    /// Attempts when a connection fails or breaks.
    pub attempts: u32,
    /// Pause before the second attempt; twice that before the third, and so on.
    pub attempt_pause: Duration,
    /// Formats that images may have; a compressed image is judged by what is inside.
    pub permitted_formats: Vec<Format>,
    /// Whether MD5 counts as a checksum.
    pub allow_md5: bool,
}

impl Options {
    /// The defaults: 20 GiB in all and as much for one, an hour, three attempts, raw, gpt, qcow2 and iso, no MD5.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            max_bytes: 20 << 30,
            max_image_bytes: 20 << 30,
            total_deadline: Duration::from_hours(1),
            attempts: 3,
            attempt_pause: Duration::from_secs(2),
            permitted_formats: vec![Format::Raw, Format::Gpt, Format::Qcow2, Format::Iso],
            allow_md5: false,
        }
    }
}

/// How much is in the cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// Number of images.
    pub images: usize,
    /// Their bytes.
    pub bytes: u64,
}

/// Images fetched from URLs, verified, kept on disk within a bound. Cheap to clone.
#[derive(Debug, Clone)]
pub struct ImageCache {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    web: Web,
    store: Arc<Store>,
    limits: Limits,
    permitted: Arc<[Format]>,
    allow_md5: bool,
    flights: Mutex<HashMap<FlightKey, Weak<Seat>>>,
    tasks: TaskTracker,
    closing: CancellationToken,
}

/// Callers whose requests agree in all of this share one download.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct FlightKey {
    url: Url,
    checksum: ChecksumSource,
    declared_format: Option<Format>,
}

type Landing = Option<Result<CachedImage, ImageError>>;

/// A caller's share in a download. When the last one is given up, so is the download.
#[derive(Debug)]
struct Seat {
    progress: watch::Receiver<Progress>,
    landing: watch::Receiver<Landing>,
    _give_up: DropGuard,
}

impl ImageCache {
    /// Opens the cache, removing what a crash left behind. Blocks on the disk: call it at start-up.
    ///
    /// # Errors
    /// `CacheTaken`, or `Store` when the folder cannot be used.
    pub fn open(options: Options, web: Web) -> Result<Self, ImageError> {
        let store = Arc::new(Store::open(&options.dir, options.max_bytes)?);
        let limits = Limits {
            max_image_bytes: options.max_image_bytes.min(options.max_bytes),
            attempts: options.attempts.max(1),
            pause: options.attempt_pause,
            total_deadline: options.total_deadline,
        };
        let inner = Inner {
            web,
            store,
            limits,
            permitted: options.permitted_formats.into(),
            allow_md5: options.allow_md5,
            flights: Mutex::default(),
            tasks: TaskTracker::new(),
            closing: CancellationToken::new(),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Gives the image, from the cache or after downloading and verifying it. Callers that ask for the same at the
    /// same time share one download and its outcome. `progress` is called with what has arrived, now and then;
    /// it must not block. Dropping the future gives up this caller's share only.
    ///
    /// # Errors
    /// Any [`ImageError`] but those of [`ImageCache::open`].
    pub async fn fetch(
        &self,
        request: &ImageRequest,
        progress: impl Fn(Progress) + Send,
    ) -> Result<CachedImage, ImageError> {
        let url = shown(&request.source_url);
        crate::web::parse_url(request.source_url.as_str()).map_err(ImageError::Source)?;
        let Some(checksum) = request.checksum.clone() else {
            return Err(ImageError::NoChecksum { url });
        };
        if let ChecksumSource::Known(known) = &checksum {
            self.inner.check_algorithm(known)?;
            if let Some(image) = self.inner.store.find(known) {
                self.inner.expectation(request.declared_format).check(image.facts().format)?;
                return Ok(image);
            }
        }
        let key =
            FlightKey { url: request.source_url.clone(), checksum, declared_format: request.declared_format };
        let seat = self.inner.board(key)?;
        match tokio::time::timeout(request.deadline, land(&seat, progress)).await {
            Ok(landed) => landed,
            Err(_elapsed) => Err(ImageError::WaitedTooLong { after: request.deadline }),
        }
    }

    /// The image with this digest if it is in the cache, whatever its source was.
    pub fn find(&self, checksum: &Checksum) -> Option<CachedImage> {
        self.inner.store.find(checksum)
    }

    /// How much is in the cache.
    pub fn usage(&self) -> Usage {
        let (images, bytes) = self.inner.store.usage();
        Usage { images, bytes }
    }

    /// The client that fetches, for other things that users name by URL.
    pub fn web(&self) -> &Web {
        &self.inner.web
    }

    /// Gives up all downloads and waits until their tasks have ended. Later fetches answer `Closed`.
    pub async fn close(&self) {
        self.inner.closing.cancel();
        self.inner.tasks.close();
        self.inner.tasks.wait().await;
    }
}

/// Waits for the outcome, telling progress on the way.
async fn land(seat: &Seat, tell: impl Fn(Progress) + Send) -> Result<CachedImage, ImageError> {
    let mut progress = seat.progress.clone();
    let mut landing = seat.landing.clone();
    loop {
        tokio::select! {
            biased;
            changed = progress.changed() => match changed {
                Ok(()) => tell(*progress.borrow_and_update()),
                // The sender of progress goes just before the outcome is told.
                Err(_ended) => break,
            },
            landed = landing.wait_for(Option::is_some) => {
                drop(landed);
                break;
            }
        }
    }
    match landing.wait_for(Option::is_some).await {
        Ok(landed) => landed.clone().unwrap_or(Err(ImageError::Closed)),
        Err(_ended) => Err(ImageError::Closed),
    }
}

impl Inner {
    /// A seat in the download that is under way, or in a new one.
    fn board(self: &Arc<Self>, key: FlightKey) -> Result<Arc<Seat>, ImageError> {
        let mut flights = self.flights();
        if self.closing.is_cancelled() {
            return Err(ImageError::Closed);
        }
        if let Some(seat) = flights.get(&key).and_then(Weak::upgrade) {
            return Ok(seat);
        }
        let (tell_progress, progress) = watch::channel(Progress::default());
        let (tell_landing, landing) = watch::channel(None);
        let given_up = self.closing.child_token();
        let seat = Arc::new(Seat { progress, landing, _give_up: given_up.clone().drop_guard() });
        flights.insert(key.clone(), Arc::downgrade(&seat));
        let inner = Arc::clone(self);
        let mine = Arc::downgrade(&seat);
        self.tasks.spawn(async move {
            let landed = tokio::select! {
                () = given_up.cancelled() => Err(ImageError::Closed),
                landed = inner.fly(&key, &tell_progress) => landed,
            };
            if let Err(error) = &landed {
                tracing::warn!(url = shown(&key.url), error = error.report(), "image could not be fetched");
            }
            // Whoever asks from now on finds the image in the store, or begins anew.
            let mut flights = inner.flights();
            if flights.get(&key).is_some_and(|current| Weak::ptr_eq(current, &mine)) {
                flights.remove(&key);
            }
            drop(flights);
            tell_landing.send_replace(Some(landed));
        });
        Ok(seat)
    }

    /// The download itself.
    async fn fly(
        &self,
        key: &FlightKey,
        progress: &watch::Sender<Progress>,
    ) -> Result<CachedImage, ImageError> {
        let expected = match &key.checksum {
            ChecksumSource::Known(checksum) => checksum.clone(),
            ChecksumSource::File(url) => self.look_up(url, &key.url).await?,
        };
        let expectation = self.expectation(key.declared_format);
        // A checksum file may name what is here already; and another download may just have ended.
        if let Some(image) = self.store.find(&expected) {
            expectation.check(image.facts().format)?;
            return Ok(image);
        }
        let transfer = Transfer {
            web: &self.web,
            store: &self.store,
            limits: &self.limits,
            url: &key.url,
            expected: &expected,
            expectation: &expectation,
            progress,
        };
        transfer.run().await
    }

    /// The digest that a checksum file gives for the last path segment of `image`.
    async fn look_up(&self, file: &Url, image: &Url) -> Result<Checksum, ImageError> {
        let text = self.web.document(file, CHECKSUM_FILE_LIMIT).await.map_err(ImageError::ChecksumFile)?;
        let name = image.path_segments().and_then(|mut segments| segments.next_back()).unwrap_or_default();
        let missing = || ImageError::NotInChecksumFile { url: shown(file), file: name.to_owned() };
        let checksum = sums::find(&String::from_utf8_lossy(&text), name).ok_or_else(missing)?;
        self.check_algorithm(&checksum)?;
        Ok(checksum)
    }

    fn check_algorithm(&self, checksum: &Checksum) -> Result<(), ImageError> {
        if checksum.algorithm == Algorithm::Md5 && !self.allow_md5 {
            return Err(ImageError::Md5NotAllowed);
        }
        Ok(())
    }

    fn expectation(&self, declared: Option<Format>) -> Expectation {
        Expectation { declared, permitted: Arc::clone(&self.permitted) }
    }

    fn flights(&self) -> MutexGuard<'_, HashMap<FlightKey, Weak<Seat>>> {
        // Nothing under this lock can leave the map half changed.
        self.flights.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
