//! A server of images on the loopback: a good image, and the answers that users get when they mistype.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse};
use axum::routing::get;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// Size of the good image in bytes.
const SIZE: usize = 256 * 1024;

/// A running server; ends with the value.
#[derive(Debug)]
pub(crate) struct ImageServer {
    base: String,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    image: Vec<u8>,
    /// Another one, so that it cannot come out of the cache.
    gated: Vec<u8>,
    served: AtomicUsize,
    /// While it is closed, `gated.raw` gives nothing.
    gate: tokio::sync::Semaphore,
    waiting: AtomicUsize,
}

impl Drop for ImageServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl ImageServer {
    pub(crate) async fn start() -> Self {
        let shared = Arc::new(Shared {
            image: image(0x90),
            gated: image(0x91),
            served: AtomicUsize::new(0),
            gate: tokio::sync::Semaphore::new(0),
            waiting: AtomicUsize::new(0),
        });
        let good = async |State(shared): State<Arc<Shared>>| {
            shared.served.fetch_add(1, Ordering::Relaxed);
            shared.image.clone()
        };
        let gated = async |State(shared): State<Arc<Shared>>| {
            shared.waiting.fetch_add(1, Ordering::Relaxed);
            let _open = shared.gate.acquire().await;
            shared.gated.clone()
        };
        let router = Router::new()
            .route("/good.raw", get(good))
            .route("/gated.raw", get(gated))
            .route("/missing.raw", get(async || (StatusCode::NOT_FOUND, "no such file")))
            .route(
                "/page.raw",
                get(async || Html("<!doctype html><title>Please log in</title>").into_response()),
            )
            .route("/silent.raw", get(async || std::future::pending::<()>().await))
            .with_state(Arc::clone(&shared));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { base, shared, task }
    }

    pub(crate) fn url(&self, name: &str) -> String {
        format!("{}/{name}", self.base)
    }

    /// The good image's bytes.
    pub(crate) fn image(&self) -> &[u8] {
        &self.shared.image
    }

    /// How often the good image was given out.
    pub(crate) fn served(&self) -> usize {
        self.shared.served.load(Ordering::Relaxed)
    }

    /// How many have asked for `gated.raw`.
    pub(crate) fn waiting(&self) -> usize {
        self.shared.waiting.load(Ordering::Relaxed)
    }

    /// Lets `gated.raw` go to everybody.
    pub(crate) fn open_gate(&self) {
        self.shared.gate.add_permits(100);
    }

    /// SHA-256 of the good image.
    pub(crate) fn sha256(&self) -> String {
        sha256(&self.shared.image)
    }

    /// What a node's `instance_info` has to say to get the file `name`. What is no image has a digest of its own:
    /// with that of an image it could come out of the cache.
    pub(crate) fn instance(&self, name: &str) -> Vec<(&'static str, Value)> {
        let digest = sha256(match name {
            "good.raw" => &self.shared.image,
            "gated.raw" => &self.shared.gated,
            other => other.as_bytes(),
        });
        vec![
            ("/instance_info/image_source", json!(self.url(name))),
            ("/instance_info/image_os_hash_algo", json!("sha256")),
            ("/instance_info/image_os_hash_value", json!(digest)),
            ("/instance_info/image_disk_format", json!("raw")),
        ]
    }
}

fn sha256(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    digest.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

/// Bytes that look like the beginning of a disk, and like nothing else; `code` tells images apart.
fn image(code: u8) -> Vec<u8> {
    let mut bytes: Vec<u8> = (0..SIZE).map(|at| u8::try_from(at * 31 % 251).unwrap_or_default()).collect();
    bytes[..446].fill(code);
    bytes[446..510].fill(0);
    bytes[510..512].copy_from_slice(&[0x55, 0xaa]);
    bytes
}
