//! The cache over time: sharing, keeping, evicting, surviving.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::routing::get;
use disk_image::{Algorithm, Checksum};
use futures_util::future::join_all;
use images::{ChecksumSource, ImageCache, ImageError, ImageRequest, Usage};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::Notify;
use url::Url;

use super::server::{Raw, serve};
use super::{Cache, cache, eventually, noise, options, request, sha256, sha512, web, web_options};

const MIB: usize = 1 << 20;

/// Serves `noise(n, 3 MiB)` at `/n`, counting; and an error at `/none`.
async fn numbered() -> (Url, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let serve_number = move |Path(number): Path<u8>| async move {
        count.fetch_add(1, Ordering::SeqCst);
        noise(number, 3 * MIB)
    };
    (serve(Router::new().route("/{number}", get(serve_number))).await, asked)
}

fn numbered_request(base: &Url, number: u8) -> ImageRequest {
    request(&base.join(&number.to_string()).unwrap(), &noise(number, 3 * MIB))
}

/// A server that answers when told, and counts.
struct Gated {
    url: Url,
    gate: Arc<Notify>,
    asked: Arc<AtomicUsize>,
}

async fn gated(status: StatusCode, content: Vec<u8>) -> Gated {
    let (gate, asked) = (Arc::new(Notify::new()), Arc::new(AtomicUsize::new(0)));
    let (wait, count) = (Arc::clone(&gate), Arc::clone(&asked));
    let handler = move || async move {
        count.fetch_add(1, Ordering::SeqCst);
        wait.notified().await;
        (status, content)
    };
    let url = serve(Router::new().route("/disk.img", get(handler))).await.join("disk.img").unwrap();
    Gated { url, gate, asked }
}

/// The read deadline of these tests is longer than the time twenty tasks need to line up.
fn patient_cache() -> Cache {
    let dir = tempfile::tempdir().unwrap();
    let web = web(images::WebOptions { read_deadline: super::LONG, ..web_options() });
    let cache = ImageCache::open(options(dir.path()), web).unwrap();
    Cache { dir, cache }
}

async fn twenty(
    cache: &Cache,
    server: &Gated,
    content: &[u8],
) -> Vec<Result<images::CachedImage, ImageError>> {
    let fetches = (0..20).map(|_| {
        let (cache, request) = (cache.cache.clone(), request(&server.url, content));
        tokio::spawn(async move { cache.fetch(&request, |_| {}).await })
    });
    let fetches: Vec<_> = fetches.collect();
    eventually("the request", || server.asked.load(Ordering::SeqCst) > 0).await;
    // Let all twenty come to their seats; were there other downloads, they would be counted below.
    tokio::time::sleep(Duration::from_millis(200)).await;
    server.gate.notify_waiters();
    join_all(fetches).await.into_iter().map(|fetch| fetch.unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_tasks_share_one_download() {
    let content = noise(1, 100_000);
    let server = gated(StatusCode::OK, content.clone()).await;
    let cache = patient_cache();
    for result in twenty(&cache, &server, &content).await {
        assert_eq!(std::fs::read(result.unwrap().path()).unwrap(), content);
    }
    assert_eq!(server.asked.load(Ordering::SeqCst), 1);
    assert_eq!(cache.cache.usage(), Usage { images: 1, bytes: 100_000 });
    cache.fetch(&request(&server.url, &content)).await.unwrap();
    assert_eq!(server.asked.load(Ordering::SeqCst), 1, "the next one comes from the disk");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_download_fails_all_who_wait_and_nobody_later() {
    let server = gated(StatusCode::NOT_FOUND, Vec::new()).await;
    let cache = patient_cache();
    for result in twenty(&cache, &server, b"x").await {
        let error = result.unwrap_err();
        assert!(error.report().contains("404"), "{error:?}");
    }
    assert_eq!(server.asked.load(Ordering::SeqCst), 1);
    // A new request is a new attempt, not the old error.
    let again = tokio::spawn({
        let (cache, request) = (cache.cache.clone(), request(&server.url, b"x"));
        async move { cache.fetch(&request, |_| {}).await }
    });
    eventually("the second request", || server.asked.load(Ordering::SeqCst) == 2).await;
    server.gate.notify_waiters();
    again.await.unwrap().unwrap_err();
}

#[tokio::test]
async fn an_impatient_caller_leaves_the_download_to_the_others() {
    let content = noise(2, 100_000);
    let server = gated(StatusCode::OK, content.clone()).await;
    let cache = patient_cache();
    let patient = tokio::spawn({
        let (cache, request) = (cache.cache.clone(), request(&server.url, &content));
        async move { cache.fetch(&request, |_| {}).await }
    });
    eventually("the request", || server.asked.load(Ordering::SeqCst) == 1).await;
    let hasty = ImageRequest { deadline: Duration::from_millis(50), ..request(&server.url, &content) };
    assert!(matches!(cache.fetch(&hasty).await, Err(ImageError::WaitedTooLong { .. })));
    server.gate.notify_waiters();
    patient.await.unwrap().unwrap();
    assert_eq!(server.asked.load(Ordering::SeqCst), 1);
}

/// A server that sends a little, says so, and tells when its peer has gone.
async fn dripping() -> (Raw, Arc<Notify>) {
    let gone = Arc::new(Notify::new());
    let tell = Arc::clone(&gone);
    let raw = Raw::start(move |_, mut stream| {
        let tell = Arc::clone(&tell);
        async move {
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\nNNN").await.unwrap();
            let _ = stream.read_u8().await;
            tell.notify_one();
        }
    })
    .await;
    (raw, gone)
}

#[tokio::test]
async fn a_download_that_nobody_waits_for_ends() {
    let (raw, gone) = dripping().await;
    let cache = patient_cache();
    let fetch = tokio::spawn({
        let (cache, request) = (cache.cache.clone(), request(&raw.url, b"x"));
        async move { cache.fetch(&request, |_| {}).await }
    });
    eventually("the connection", || raw.connections() == 1).await;
    fetch.abort();
    tokio::time::timeout(super::LONG, gone.notified()).await.unwrap();
    eventually("the temporary file's removal", || cache.temp_files() == 0).await;
}

#[tokio::test]
async fn closing_gives_up_downloads_and_refuses_new_ones() {
    let (raw, gone) = dripping().await;
    let cache = patient_cache();
    let fetch = tokio::spawn({
        let (cache, request) = (cache.cache.clone(), request(&raw.url, b"x"));
        async move { cache.fetch(&request, |_| {}).await }
    });
    eventually("the connection", || raw.connections() == 1).await;
    tokio::time::timeout(super::LONG, cache.cache.close()).await.unwrap();
    assert!(matches!(fetch.await.unwrap(), Err(ImageError::Closed)));
    tokio::time::timeout(super::LONG, gone.notified()).await.unwrap();
    assert!(matches!(cache.fetch(&request(&raw.url, b"x")).await, Err(ImageError::Closed)));
}

#[tokio::test]
async fn what_was_used_longest_ago_goes_first() {
    let (base, asked) = numbered().await;
    let cache = cache(|_| {});
    // Room for three of 3 MiB.
    for number in [1, 2, 3] {
        cache.fetch(&numbered_request(&base, number)).await.unwrap();
    }
    cache.fetch(&numbered_request(&base, 1)).await.unwrap();
    assert_eq!(asked.load(Ordering::SeqCst), 3);
    cache.fetch(&numbered_request(&base, 4)).await.unwrap();
    assert_eq!(cache.cache.usage(), Usage { images: 3, bytes: 9 * MIB as u64 });
    let there = |number: u8| {
        let hex = sha256(&noise(number, 3 * MIB));
        cache.cache.find(&Checksum { algorithm: Algorithm::Sha256, hex }).is_some()
    };
    assert_eq!([1, 2, 3, 4].map(there), [true, false, true, true]);
}

#[tokio::test]
async fn what_is_in_use_stays_and_a_full_cache_says_so() {
    let (base, _) = numbered().await;
    let cache = cache(|_| {});
    let mut held = Vec::new();
    for number in [1, 2, 3] {
        held.push(cache.fetch(&numbered_request(&base, number)).await.unwrap());
    }
    let error = cache.fetch(&numbered_request(&base, 4)).await.unwrap_err();
    assert!(matches!(error, ImageError::CacheFull { .. }) && error.is_transient(), "{error:?}");
    assert!(held.iter().all(|image| image.path().exists()));
    let released = held.remove(1);
    let path = released.path().to_owned();
    drop(released);
    cache.fetch(&numbered_request(&base, 4)).await.unwrap();
    assert!(!path.exists());
    assert!(held.iter().all(|image| image.path().exists()));
}

#[tokio::test]
async fn the_cache_survives_a_restart_with_its_order() {
    let (base, asked) = numbered().await;
    let Cache { dir, cache } = cache(|_| {});
    for number in [1, 2, 3, 1] {
        cache.fetch(&numbered_request(&base, number), |_| {}).await.unwrap();
    }
    drop(cache);
    let cache = ImageCache::open(options(dir.path()), web(web_options())).unwrap();
    assert_eq!(cache.usage().images, 3);
    cache.fetch(&numbered_request(&base, 4), |_| {}).await.unwrap();
    assert_eq!(asked.load(Ordering::SeqCst), 4);
    cache.fetch(&numbered_request(&base, 1), |_| {}).await.unwrap();
    assert_eq!(asked.load(Ordering::SeqCst), 4, "2 had to go, not 1");
    let image = cache.fetch(&numbered_request(&base, 3), |_| {}).await.unwrap();
    assert_eq!(image.facts().virtual_size, Some(3 * MIB as u64));
    drop((image, cache));
    let mut smaller = options(dir.path());
    smaller.max_bytes = 4 * MIB as u64;
    let cache = ImageCache::open(smaller, web(web_options())).unwrap();
    assert_eq!(cache.usage().images, 1, "a lower bound holds from the start");
}

/// Every state in which a crash may leave the folder.
#[tokio::test]
async fn what_a_crash_left_is_removed_and_never_taken_for_whole() {
    let (base, asked) = numbered().await;
    let Cache { dir, cache } = cache(|_| {});
    for number in [1, 2, 3] {
        cache.fetch(&numbered_request(&base, number), |_| {}).await.unwrap();
    }
    drop(cache);
    let name = |number: u8| sha256(&noise(number, 3 * MIB));
    let path = |folder: &str, name: &str| dir.path().join(folder).join(name);
    std::fs::write(path("temp", "0"), b"half").unwrap();
    std::fs::write(path("blobs", &sha256(b"no facts")), b"no facts").unwrap();
    std::fs::write(path("facts", "not-a-digest"), b"{}").unwrap();
    std::fs::remove_file(path("blobs", &name(1))).unwrap();
    std::fs::File::options().write(true).open(path("blobs", &name(2))).unwrap().set_len(1000).unwrap();
    std::fs::write(path("facts", &name(3)), b"{\"size\":").unwrap();

    let cache = ImageCache::open(options(dir.path()), web(web_options())).unwrap();
    assert_eq!(cache.usage(), Usage { images: 0, bytes: 0 });
    for folder in ["temp", "blobs", "facts"] {
        assert_eq!(std::fs::read_dir(dir.path().join(folder)).unwrap().count(), 0, "{folder}");
    }
    cache.fetch(&numbered_request(&base, 2), |_| {}).await.unwrap();
    assert_eq!(asked.load(Ordering::SeqCst), 4);
}

#[tokio::test]
async fn one_folder_is_for_one_process() {
    let Cache { dir, cache } = cache(|_| {});
    let second = ImageCache::open(options(dir.path()), web(web_options()));
    assert!(matches!(second, Err(ImageError::CacheTaken { .. })));
    drop(cache);
    ImageCache::open(options(dir.path()), web(web_options())).unwrap();
}

#[tokio::test]
async fn the_same_content_by_another_digest_is_kept_once() {
    let (base, asked) = numbered().await;
    let cache = cache(|_| {});
    let content = noise(1, 3 * MIB);
    let by_sha256 = numbered_request(&base, 1);
    let by_sha512 = ImageRequest {
        checksum: Some(ChecksumSource::parse(&sha512(&content)).unwrap()),
        ..by_sha256.clone()
    };
    cache.fetch(&by_sha256).await.unwrap();
    let image = cache.fetch(&by_sha512).await.unwrap();
    assert_eq!(image.checksum().algorithm, Algorithm::Sha512);
    assert_eq!((cache.cache.usage().images, cache.temp_files()), (1, 0));
    cache.fetch(&by_sha512).await.unwrap();
    assert_eq!(asked.load(Ordering::SeqCst), 2, "now known by both");
}

/// A file system of 1 MiB under the cache.
#[tokio::test]
async fn a_full_disk_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let mount = hostcmd::Command::new("mount").args(["-t", "tmpfs", "-o", "size=1m", "none"]).arg(dir.path());
    if mount.run(super::LONG).await.is_err() {
        // Mounting needs root; the mapping of the error is tested beside the store.
        return;
    }
    let (base, _) = numbered().await;
    let cache = ImageCache::open(options(dir.path()), web(web_options())).unwrap();
    let error = cache.fetch(&numbered_request(&base, 1), |_| {}).await.unwrap_err();
    cache.close().await;
    drop(cache);
    hostcmd::Command::new("umount").arg(dir.path()).run(super::LONG).await.unwrap();
    assert!(matches!(error, ImageError::DiskFull { .. }), "{error:?}");
}
