//! One transfer: what is accepted and how everything else is refused.

use std::io::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Redirect};
use axum::routing::get;
use disk_image::Format;
use images::{ChecksumSource, ImageError, ImageRequest, Reach, WebError, WebOptions, parse_url};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use url::Url;

use super::server::{Raw, send, serve};
use super::{cache, eventually, noise, request, sha256, sha512, web, web_options};

async fn serve_bytes(path: &str, content: Vec<u8>) -> Url {
    let app = Router::new().route(path, get(move || async move { content }));
    serve(app).await.join(path).unwrap()
}

/// Fetches `url`, expecting `content`, and gives the error.
async fn error_of(url: &Url, content: &[u8]) -> ImageError {
    let cache = cache(|_| {});
    let error = cache.fetch(&request(url, content)).await.unwrap_err();
    eventually("the temporary file's removal", || cache.temp_files() == 0).await;
    assert_eq!(cache.cache.usage().images, 0);
    error
}

#[tokio::test]
async fn an_image_arrives_whole_and_verified() {
    let content = noise(1, 3_000_000);
    let url = serve_bytes("/disk.img", content.clone()).await;
    let cache = cache(|_| {});
    let seen = std::sync::Mutex::new(Vec::new());
    let image = cache
        .cache
        .fetch(&request(&url, &content), |progress| seen.lock().unwrap().push(progress))
        .await
        .unwrap();
    assert_eq!(std::fs::read(image.path()).unwrap(), content);
    assert_eq!(image.key(), sha256(&content));
    let facts = image.facts();
    assert_eq!((facts.size, facts.virtual_size), (3_000_000, Some(3_000_000)));
    assert_eq!((facts.format, facts.compression), (Format::Raw, None));
    assert_eq!(cache.temp_files(), 0);
    let seen = seen.into_inner().unwrap();
    assert!(
        seen.iter().all(|progress| progress.received == 0 || progress.total == Some(3_000_000)),
        "{seen:?}"
    );
    assert!(seen.is_sorted_by_key(|progress| progress.received), "{seen:?}");
}

#[tokio::test]
async fn other_digests_and_checksum_files_do_too() {
    let content = noise(2, 100_000);
    let sums = format!("{}  else.img\n{} *disk.img\n", sha256(b"else"), sha512(&content));
    let lone = sha256(&content);
    let (body, wrong) = (content.clone(), format!("{}  else.img\n", sha256(&content)));
    let app = Router::new()
        .route("/disk.img", get(move || async move { body }))
        .route("/SUMS", get(move || async move { sums }))
        .route("/lone", get(move || async move { lone }))
        .route("/wrong", get(move || async move { wrong }))
        .route("/long", get(|| async { "x".repeat(2 << 20) }));
    let base = serve(app).await;
    let url = base.join("disk.img").unwrap();
    let with = |checksum: &str| ImageRequest {
        checksum: Some(ChecksumSource::parse(checksum).unwrap()),
        ..request(&url, &content)
    };
    for checksum in
        [sha512(&content), sha256(&content).to_uppercase(), format!("{base}SUMS"), format!("{base}lone")]
    {
        let cache = cache(|_| {});
        let image = cache.fetch(&with(&checksum)).await.unwrap();
        assert_eq!(image.key(), sha256(&content), "{checksum}");
    }
    let cache = cache(|_| {});
    let error = cache.fetch(&with(&format!("{base}wrong"))).await.unwrap_err();
    assert!(matches!(&error, ImageError::NotInChecksumFile { file, .. } if file == "disk.img"), "{error:?}");
    let error = cache.fetch(&with(&format!("{base}long"))).await.unwrap_err();
    assert!(matches!(error, ImageError::ChecksumFile(WebError::TooLong { .. })), "{error:?}");
    let error = cache.fetch(&with(&format!("{base}absent"))).await.unwrap_err();
    assert_eq!(error.code(), "image_checksum_file_unreachable");
}

#[tokio::test]
async fn without_a_good_checksum_nothing_is_asked() {
    let raw = Raw::start(|_, stream| send(stream, &[])).await;
    let cache = cache(|_| {});
    let none = ImageRequest { checksum: None, ..request(&raw.url, b"") };
    assert!(matches!(cache.fetch(&none).await, Err(ImageError::NoChecksum { .. })));
    let md5 = ImageRequest {
        checksum: Some(ChecksumSource::parse(&"0".repeat(32)).unwrap()),
        ..request(&raw.url, b"")
    };
    assert!(matches!(cache.fetch(&md5).await, Err(ImageError::Md5NotAllowed)));
    assert!(matches!(ChecksumSource::parse("12345"), Err(ImageError::BadChecksum { .. })));
    assert!(matches!(
        ChecksumSource::parse_with_algorithm("crc32", "12345678"),
        Err(ImageError::BadChecksum { .. })
    ));
    assert_eq!(raw.connections(), 0);
}

#[tokio::test]
async fn md5_counts_where_it_is_allowed() {
    let url = serve_bytes("/x", b"abc".to_vec()).await;
    let cache = cache(|options| options.allow_md5 = true);
    let request = ImageRequest {
        checksum: Some(ChecksumSource::parse("900150983cd24fb0d6963f7d28e17f72").unwrap()),
        ..request(&url, b"")
    };
    assert_eq!(cache.fetch(&request).await.unwrap().key(), sha256(b"abc"));
}

#[tokio::test]
async fn a_mismatch_names_both_digests() {
    let url = serve_bytes("/x", noise(3, 5000)).await;
    let error = error_of(&url, b"other").await;
    let ImageError::Mismatch { expected, actual, .. } = &error else { panic!("{error:?}") };
    assert_eq!(expected.hex, sha256(b"other"));
    assert_eq!(actual.hex, sha256(&noise(3, 5000)));
    assert!(!error.is_transient());
}

#[tokio::test]
async fn statuses_are_named_with_a_next_step() {
    let base = serve(Router::new()).await;
    let mut url = base.join("a/disk.img?signature=secret").unwrap();
    url.set_username("me").unwrap();
    url.set_password(Some("hunter2")).unwrap();
    let error = error_of(&url, b"").await;
    let report = error.report();
    assert!(report.contains("answered 404 Not Found") && report.contains("misspelling"), "{report}");
    assert!(!report.contains("hunter2") && !report.contains("secret"), "{report}");
    assert!(!error.is_transient());
}

#[tokio::test]
async fn a_user_and_password_in_the_url_are_sent() {
    let raw = Raw::start(|_, stream| async move {
        send(stream, &[b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nN"]).await;
    })
    .await;
    let mut url = raw.url.clone();
    url.set_username("me").unwrap();
    url.set_password(Some("pw")).unwrap();
    cache(|_| {}).fetch(&request(&url, b"N")).await.unwrap();
    let head = &raw.requests()[0];
    // base64 of me:pw, lower-cased by the test's server.
    assert!(head.contains("authorization: basic bwu6chc="), "{head}");
    assert!(head.contains("accept-encoding: identity"), "{head}");
}

#[tokio::test]
async fn trouble_of_the_server_is_tried_again() {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let app = Router::new().route(
        "/x",
        get(move || async move {
            match count.fetch_add(1, Ordering::SeqCst) {
                0 | 1 => StatusCode::SERVICE_UNAVAILABLE.into_response(),
                _ => "abc".into_response(),
            }
        }),
    );
    let url = serve(app).await.join("x").unwrap();
    let patient = cache(|options| options.attempts = 3);
    patient.fetch(&request(&url, b"abc")).await.unwrap();
    assert_eq!(asked.load(Ordering::SeqCst), 3);
    asked.store(0, Ordering::SeqCst);
    let hasty = cache(|options| options.attempts = 2);
    let error = hasty.fetch(&request(&url, b"abc")).await.unwrap_err();
    assert!(error.is_transient() && error.report().contains("503"), "{error:?}");
    assert_eq!(asked.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn web_pages_are_refused() {
    let page = "<!DOCTYPE html><html>login</html>";
    let app = Router::new().route("/by-type", get(|| async { axum::response::Html("whatever") })).route(
        "/by-content",
        get(move || async move {
            ([(header::CONTENT_TYPE, "application/octet-stream")], format!("\u{feff}\n {page}"))
        }),
    );
    let base = serve(app).await;
    for path in ["by-type", "by-content"] {
        let error = error_of(&base.join(path).unwrap(), b"").await;
        assert!(matches!(error, ImageError::WebPage { .. }), "{path}: {error:?}");
        assert!(error.report().contains("browser"));
    }
}

#[tokio::test]
async fn redirects_are_followed_within_bounds() {
    let app = Router::new()
        .route("/disk.img", get(|| async { "abc" }))
        .route("/relative", get(|| async { Redirect::temporary("disk.img") }))
        .route("/moved", get(|| async { Redirect::permanent("/relative") }))
        .route("/circle", get(|| async { Redirect::to("/circle") }))
        .route("/file", get(|| async { (StatusCode::FOUND, [(header::LOCATION, "file:///etc/passwd")]) }));
    let base = serve(app).await;
    cache(|_| {}).fetch(&request(&base.join("moved").unwrap(), b"abc")).await.unwrap();
    let error = error_of(&base.join("circle").unwrap(), b"").await;
    assert!(matches!(error, ImageError::Source(WebError::TooManyRedirects { limit: 5, .. })), "{error:?}");
    let error = error_of(&base.join("file").unwrap(), b"").await;
    assert!(matches!(error, ImageError::Source(WebError::BadRedirect { .. })), "{error:?}");
}

#[tokio::test]
async fn a_refused_connection_and_an_unknown_name_are_told_apart_from_answers() {
    // A port that was free a moment ago.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    for url in [format!("http://{address}/x"), "http://no-such-host.invalid/x".to_owned()] {
        let error = error_of(&parse_url(&url).unwrap(), b"").await;
        assert!(matches!(error, ImageError::Source(WebError::Connect { .. })), "{url}: {error:?}");
        assert!(error.is_transient());
    }
}

#[tokio::test]
async fn silence_hits_the_read_deadline() {
    let mute = Raw::start(|_, mut stream| async move {
        let _ = stream.read_u8().await;
    })
    .await;
    let error = error_of(&mute.url, b"").await;
    assert!(matches!(error, ImageError::Source(WebError::Silent { received: 0, .. })), "{error:?}");

    let stops = Raw::start(|_, mut stream| async move {
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\nNNNN").await.unwrap();
        let _ = stream.read_u8().await;
    })
    .await;
    let error = error_of(&stops.url, b"").await;
    assert!(matches!(error, ImageError::Source(WebError::Silent { received: 4, .. })), "{error:?}");
}

#[tokio::test]
async fn trickling_hits_the_total_deadline() {
    let trickle = Raw::start(|_, mut stream| async move {
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n").await.unwrap();
        while stream.write_all(b"N").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
    let cache = cache(|options| options.total_deadline = Duration::from_secs(1));
    let error = cache.fetch(&request(&trickle.url, b"")).await.unwrap_err();
    assert!(matches!(error, ImageError::TooSlow { .. }), "{error:?}");
    eventually("the temporary file's removal", || cache.temp_files() == 0).await;
}

#[tokio::test]
async fn lengths_that_lie_are_found_out() {
    let short = Raw::start(|_, stream| async move {
        send(stream, &[b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n", &[b'N'; 50]]).await;
    })
    .await;
    let error = error_of(&short.url, &[b'N'; 50]).await;
    assert!(matches!(error, ImageError::Source(WebError::BrokenOff { received: 50, .. })), "{error:?}");

    let long = Raw::start(|_, stream| async move {
        send(stream, &[b"HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\n", &[b'N'; 100]]).await;
    })
    .await;
    let error = error_of(&long.url, &[b'N'; 100]).await;
    assert!(matches!(error, ImageError::Mismatch { .. }), "{error:?}");

    let chunked = Raw::start(|_, stream| async move {
        send(stream, &[b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nNNNNN\r\n"]).await;
    })
    .await;
    let error = error_of(&chunked.url, b"NNNNN").await;
    assert!(matches!(error, ImageError::Source(WebError::BrokenOff { received: 5, .. })), "{error:?}");
}

#[tokio::test]
async fn nonsense_instead_of_http_and_codings_not_asked_for() {
    let nonsense =
        Raw::start(|_, stream| async move { send(stream, &[b"220 smtp.example\r\n\r\n"]).await }).await;
    let error = error_of(&nonsense.url, b"").await;
    assert!(matches!(error, ImageError::Source(WebError::Protocol { .. })), "{error:?}");

    let coded = Raw::start(|_, stream| async move {
        send(stream, &[b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 1\r\n\r\nN"]).await;
    })
    .await;
    let error = error_of(&coded.url, b"").await;
    assert!(matches!(error, ImageError::Source(WebError::Encoded { .. })), "{error:?}");
}

#[tokio::test]
async fn too_large_is_refused_by_the_head_and_by_the_count() {
    let announced = Raw::start(|_, stream| async move {
        send(stream, &[b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999999\r\n\r\nN"]).await;
    })
    .await;
    let error = error_of(&announced.url, b"").await;
    assert!(matches!(error, ImageError::TooLarge { limit: 4_194_304, .. }), "{error:?}");

    let endless = || {
        let pieces = futures_util::stream::repeat_with(|| Ok::<_, std::io::Error>(vec![b'N'; 65_536]));
        Body::from_stream(pieces)
    };
    let url =
        serve(Router::new().route("/x", get(move || async move { endless() }))).await.join("x").unwrap();
    let error = error_of(&url, b"").await;
    assert!(matches!(error, ImageError::TooLarge { .. }), "{error:?}");
}

/// Half of the image, then the connection breaks; the second request gets the rest.
#[tokio::test]
async fn a_broken_transfer_goes_on_where_it_broke() {
    let content = noise(4, 1_000_000);
    let body = content.clone();
    let raw = Raw::start(move |number, stream| {
        let body = body.clone();
        async move {
            let (head, body) = if number == 0 {
                (
                    "HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\netag: \"v1\"\r\n\r\n".to_owned(),
                    &body[..400_000],
                )
            } else {
                let head = "HTTP/1.1 206 Partial Content\r\ncontent-length: 600000\r\n\
                            content-range: bytes 400000-999999/1000000\r\netag: \"v1\"\r\n\r\n";
                (head.to_owned(), &body[400_000..])
            };
            send(stream, &[head.as_bytes(), body]).await;
        }
    })
    .await;
    let cache = cache(|options| options.attempts = 2);
    let image = cache.fetch(&request(&raw.url, &content)).await.unwrap();
    assert_eq!(std::fs::read(image.path()).unwrap(), content);
    let second = &raw.requests()[1];
    assert!(second.contains("range: bytes=400000-") && second.contains("if-range: \"v1\""), "{second}");
}

/// The image was replaced between two attempts: the server sends all of the new one.
#[tokio::test]
async fn a_changed_image_is_fetched_anew() {
    let (old, new) = (noise(5, 500_000), noise(6, 600_000));
    let body = new.clone();
    let raw = Raw::start(move |number, stream| {
        let (old, new) = (old.clone(), body.clone());
        async move {
            let (head, body): (&[u8], _) = if number == 0 {
                (b"HTTP/1.1 200 OK\r\ncontent-length: 500000\r\netag: \"v1\"\r\n\r\n", &old[..200_000])
            } else {
                (b"HTTP/1.1 200 OK\r\ncontent-length: 600000\r\netag: \"v2\"\r\n\r\n", &new[..])
            };
            send(stream, &[head, body]).await;
        }
    })
    .await;
    let cache = cache(|options| options.attempts = 2);
    let image = cache.fetch(&request(&raw.url, &new)).await.unwrap();
    assert_eq!(std::fs::read(image.path()).unwrap(), new);
}

/// A partial answer to other bytes than asked must not be glued on.
#[tokio::test]
async fn a_wrong_range_is_not_taken() {
    let raw = Raw::start(|number, stream| async move {
        let (head, body): (&[u8], &[u8]) = if number == 0 {
            (b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\netag: \"v1\"\r\n\r\n", &[b'N'; 40])
        } else {
            let head = b"HTTP/1.1 206 Partial Content\r\ncontent-length: 60\r\ncontent-range: bytes 0-59/100\r\n\r\n";
            (head, &[b'N'; 60])
        };
        send(stream, &[head, body]).await;
    })
    .await;
    let cache = cache(|options| options.attempts = 2);
    let error = cache.fetch(&request(&raw.url, &[b'N'; 100])).await.unwrap_err();
    assert!(matches!(error, ImageError::Source(WebError::Status { .. })), "{error:?}");
}

/// Without an entity tag or date nothing says that the rest belongs to the beginning.
#[tokio::test]
async fn without_a_validator_the_second_attempt_starts_over() {
    let content = noise(7, 100_000);
    let body = content.clone();
    let raw = Raw::start(move |number, stream| {
        let body = body.clone();
        async move {
            let end = if number == 0 { 50_000 } else { body.len() };
            send(stream, &[b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n", &body[..end]]).await;
        }
    })
    .await;
    cache(|options| options.attempts = 2).fetch(&request(&raw.url, &content)).await.unwrap();
    assert!(!raw.requests()[1].contains("range:"));
}

fn qcow2(virtual_size: u64, backing: bool) -> Vec<u8> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("disk.qcow2");
    let base = dir.path().join("base.qcow2");
    let create = |path: &std::path::Path| {
        hostcmd::Command::new("qemu-img")
            .args(["create", "-q", "-f", "qcow2"])
            .arg(path)
            .arg(virtual_size.to_string())
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        create(&base).run(super::LONG).await.unwrap();
        if backing {
            let overlay = hostcmd::Command::new("qemu-img")
                .args(["create", "-q", "-f", "qcow2", "-F", "qcow2", "-b"])
                .args([&base, &path]);
            overlay.run(super::LONG).await.unwrap();
        } else {
            create(&path).run(super::LONG).await.unwrap();
        }
    });
    std::fs::read(path).unwrap()
}

#[tokio::test]
async fn formats_are_sniffed_and_compared() {
    let plain = tokio::task::spawn_blocking(|| qcow2(64 << 20, false)).await.unwrap();
    let backed = tokio::task::spawn_blocking(|| qcow2(64 << 20, true)).await.unwrap();
    let mut gpt = vec![0; 4096];
    gpt[446 + 4] = 0xee;
    gpt[510..512].copy_from_slice(&[0x55, 0xaa]);
    let gzip = |content: &[u8]| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(content).unwrap();
        encoder.finish().unwrap()
    };
    let fetch = |content: Vec<u8>, declared: Option<Format>| async move {
        let url = serve_bytes("/x", content.clone()).await;
        let cache = cache(|_| {});
        let request = ImageRequest { declared_format: declared, ..request(&url, &content) };
        cache.fetch(&request).await.map(|image| image.facts().clone())
    };
    let facts = fetch(plain.clone(), Some(Format::Qcow2)).await.unwrap();
    assert_eq!((facts.format, facts.virtual_size), (Format::Qcow2, Some(64 << 20)));
    assert_eq!(fetch(plain.clone(), None).await.unwrap().format, Format::Qcow2);
    let error = fetch(plain.clone(), Some(Format::Raw)).await.unwrap_err();
    assert!(matches!(error, ImageError::FormatDiffers { .. }), "{error:?}");
    let error = fetch(backed, Some(Format::Qcow2)).await.unwrap_err();
    assert!(matches!(error, ImageError::Unsafe { .. }), "{error:?}");
    assert_eq!(
        fetch(gpt, Some(Format::Raw)).await.unwrap().format,
        Format::Gpt,
        "raw may have a partition table"
    );
    let error = fetch(b"KDMV and so on".to_vec(), Some(Format::Vmdk)).await.unwrap_err();
    assert!(matches!(error, ImageError::FormatNotPermitted { .. }), "{error:?}");

    let facts = fetch(gzip(&plain), Some(Format::Qcow2)).await.unwrap();
    assert_eq!((facts.format, facts.compression), (Format::Qcow2, Some(Format::Gzip)));
    let error = fetch(gzip(&plain), Some(Format::Raw)).await.unwrap_err();
    assert!(matches!(error, ImageError::FormatDiffers { .. }), "{error:?}");
    let error = fetch(gzip(&gzip(&plain)), None).await.unwrap_err();
    assert!(matches!(error, ImageError::Unsafe { .. }), "{error:?}");
}

#[tokio::test]
async fn addresses_out_of_reach_are_not_connected_to() {
    let raw = Raw::start(|_, stream| send(stream, &[])).await;
    let by_name = Url::parse(&raw.url.as_str().replace("127.0.0.1", "localhost")).unwrap();
    let careful = web(WebOptions { reach: Reach::BeyondThisHost, ..web_options() });
    for url in [&raw.url, &by_name] {
        let error = careful.document(url, 100).await.unwrap_err();
        assert!(matches!(error, WebError::ForbiddenAddress { .. }), "{url}: {error:?}");
    }
    assert_eq!(raw.connections(), 0);
}

/// TLS with an authority of the site: trusted when named, refused otherwise.
#[tokio::test]
async fn tls_needs_a_trusted_certificate() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let key = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let pem = key.cert.pem();
    let server = rustls::ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(
            vec![key.cert.der().clone()],
            rustls::pki_types::PrivateKeyDer::Pkcs8(key.signing_key.serialize_der().into()),
        )
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(server));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address: SocketAddr = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(mut stream) = acceptor.accept(stream).await else { return };
                let _ = stream.read(&mut [0; 4096]).await;
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
                let _ = stream.shutdown().await;
            });
        }
    });
    let url = parse_url(&format!("https://localhost:{}/x", address.port())).unwrap();
    let trusting = web(WebOptions { extra_ca_pem: vec![pem.into_bytes()], ..web_options() });
    assert_eq!(trusting.document(&url, 10).await.unwrap(), "ok");
    let error = web(web_options()).document(&url, 10).await.unwrap_err();
    assert!(matches!(error, WebError::Connect { .. }), "{error:?}");
}
