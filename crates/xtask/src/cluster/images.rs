//! The one image that all machines get, from a web server in this process.

use crate::image::hex;
use anyhow::Result;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::convert::Infallible;
use std::net::Ipv4Addr;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// Its size in bytes.
const SIZE: usize = 64 * 1024;

/// The server. Ends with the value.
#[derive(Debug)]
pub(super) struct Images {
    url: String,
    sha256: String,
    task: JoinHandle<()>,
}

impl Drop for Images {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Images {
    /// Serves it at a free port of `address`.
    pub(super) async fn start(address: Ipv4Addr) -> Result<Self> {
        let bytes = Bytes::from(image());
        let sha256 = hex(&Sha256::digest(&bytes));
        let listener = TcpListener::bind((address, 0)).await?;
        let url = format!("http://{}/tenant.raw", listener.local_addr()?);
        let task = tokio::spawn(async move {
            loop {
                let Ok((stream, _)) = listener.accept().await else { continue };
                let bytes = bytes.clone();
                tokio::spawn(async move {
                    let answer = service_fn(move |_: Request<Incoming>| {
                        let body = Full::new(bytes.clone());
                        async move { Ok::<_, Infallible>(Response::new(body)) }
                    });
                    // Whoever asked is gone: nobody misses the rest.
                    http1::Builder::new().serve_connection(TokioIo::new(stream), answer).await.ok();
                });
            }
        });
        Ok(Self { url, sha256, task })
    }

    /// What a node's `instance_info` says of it.
    pub(super) fn instance(&self) -> Vec<(&'static str, Value)> {
        vec![
            ("/instance_info/image_source", json!(self.url)),
            ("/instance_info/image_os_hash_algo", json!("sha256")),
            ("/instance_info/image_os_hash_value", json!(self.sha256)),
            ("/instance_info/image_disk_format", json!("raw")),
            ("/instance_info/image_download_source", json!("http")),
        ]
    }
}

/// Bytes that look like the beginning of a disk.
fn image() -> Vec<u8> {
    let mut bytes = vec![0x90; SIZE];
    bytes[446..510].fill(0);
    bytes[510..512].copy_from_slice(&[0x55, 0xaa]);
    bytes
}
