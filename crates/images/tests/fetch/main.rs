//! The image cache against real HTTP servers, well and badly behaved.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

mod caching;
mod config_drive;
mod server;
mod transfer;

use std::path::Path;
use std::time::Duration;

use disk_image::{Algorithm, Checksum, Format};
use images::{
    CachedImage, ChecksumSource, ImageCache, ImageError, ImageRequest, Options, Reach, Web, WebOptions,
};
use sha2::Digest as _;
use tempfile::TempDir;
use url::Url;

/// Longer than any test takes, shorter than anybody's patience.
const LONG: Duration = Duration::from_secs(30);
const READ_DEADLINE: Duration = Duration::from_millis(400);

fn web_options() -> WebOptions {
    WebOptions {
        connect_deadline: Duration::from_secs(2),
        read_deadline: READ_DEADLINE,
        reach: Reach::Anywhere,
        ..WebOptions::default()
    }
}

fn web(options: WebOptions) -> Web {
    // The second test to come here finds it installed.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Web::new(options).unwrap()
}

struct Cache {
    dir: TempDir,
    cache: ImageCache,
}

fn options(dir: &Path) -> Options {
    Options {
        max_bytes: 10 << 20,
        max_image_bytes: 4 << 20,
        attempts: 1,
        attempt_pause: Duration::from_millis(10),
        ..Options::new(dir)
    }
}

/// A cache for 10 MiB, 4 MiB an image, one attempt, with changes.
fn cache(change: impl FnOnce(&mut Options)) -> Cache {
    let dir = tempfile::tempdir().unwrap();
    let mut options = options(dir.path());
    change(&mut options);
    let cache = ImageCache::open(options, web(web_options())).unwrap();
    Cache { dir, cache }
}

impl Cache {
    fn temp_files(&self) -> usize {
        std::fs::read_dir(self.dir.path().join("temp")).unwrap().count()
    }

    async fn fetch(&self, request: &ImageRequest) -> Result<CachedImage, ImageError> {
        self.cache.fetch(request, |_| {}).await
    }
}

/// `len` bytes that look like no format and differ by `seed`.
fn noise(seed: u8, len: usize) -> Vec<u8> {
    let mut state = u32::from(seed) + 1;
    let next = move || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    };
    std::iter::once(b'N').chain(std::iter::repeat_with(next)).take(len).collect()
}

fn sha256(content: &[u8]) -> String {
    disk_image::hash::to_hex(&sha2::Sha256::digest(content))
}

fn sha512(content: &[u8]) -> String {
    disk_image::hash::to_hex(&sha2::Sha512::digest(content))
}

fn request(url: &Url, content: &[u8]) -> ImageRequest {
    ImageRequest {
        source_url: url.clone(),
        checksum: Some(ChecksumSource::Known(Checksum {
            algorithm: Algorithm::Sha256,
            hex: sha256(content),
        })),
        declared_format: Some(Format::Raw),
        deadline: LONG,
    }
}

/// Polls until `done`; fails after ten seconds.
async fn eventually(what: &str, done: impl Fn() -> bool) {
    for _ in 0..500 {
        if done() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("{what} did not happen");
}
