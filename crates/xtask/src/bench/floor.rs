//! The floor: the least that a server on this machine can do for a request. Bare hyper, one prepared statement, the row
//! as JSON. It checks nothing, hides nothing, knows no versions and loses writes.

use super::floor_store::FloorStore;
use crate::process::command;
use anyhow::{Context as _, Result};
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::Arc;
use tokio::net::TcpListener;

/// What the server works on.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct FloorOptions {
    /// A copy of a store of ours, which is written to
    #[arg(long)]
    file: PathBuf,
    /// A PostgreSQL store in its place
    #[arg(long)]
    url: Option<String>,
}

/// The server in a process of its own. Ends with the value.
#[derive(Debug)]
pub(super) struct Floor {
    process: Child,
    port: u16,
}

impl Floor {
    /// Starts it on a copy of `database` in `folder`, or on tables of its own at `url`.
    pub(super) fn start(folder: &Path, database: &Path, url: Option<&str>) -> Result<Self> {
        let file = folder.join("floor.db");
        if url.is_none() {
            fs::copy(database, &file).with_context(|| format!("copy {}", database.display()))?;
        }
        let mut start = command(std::env::current_exe()?);
        start.args(["bench", "floor", "--file"]).arg(&file);
        if let Some(url) = url {
            start.args(["--url", url]);
        }
        let mut process =
            start.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().context("start the floor's server")?;
        let output = process.stdout.take().context("the floor's server has an output")?;
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line)?;
        let port = line.trim().parse();
        let floor = Self { process, port: *port.as_ref().unwrap_or(&0) };
        port.context("the floor's server did not tell its port")?;
        Ok(floor)
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    pub(super) fn pid(&self) -> u32 {
        self.process.id()
    }
}

impl Drop for Floor {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

/// Serves until killed; the first line of its output is the port.
pub(super) fn run(options: &FloorOptions) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let store = match &options.url {
            Some(url) => FloorStore::postgres(url).await?,
            None => FloorStore::sqlite(&options.file)?,
        };
        let store = Arc::new(store);
        let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await?;
        println!("{}", listener.local_addr()?.port());
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            let store = Arc::clone(&store);
            tokio::spawn(async move {
                let service = service_fn(move |request| answer(Arc::clone(&store), request));
                http1::Builder::new().serve_connection(TokioIo::new(stream), service).await
            });
        }
    })
}

async fn answer(
    store: Arc<FloorStore>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let path = request.uri().path().to_owned();
    let words: Vec<&str> = path.split('/').skip(1).collect();
    let done = match words[..] {
        ["fixed", bytes] => Ok(vec![b'x'; bytes.parse().unwrap_or_default()]),
        ["node", uuid] => store.node(uuid).await,
        ["nodes", limit, after] => store.page("nodes", limit, after).await,
        ["ports", limit, after] => store.page("ports", limit, after).await,
        ["nodes_by", column, value, limit] => store.nodes_by(column, value, limit).await,
        ["ports_of", uuid] => store.ports_of(uuid).await,
        ["touch", uuid] => store.touch(uuid).await,
        ["insert"] => store.insert().await,
        _ => Err(anyhow::anyhow!("no such path")),
    };
    let (status, body) = match done {
        Ok(body) => (StatusCode::OK, body),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error:#}").into_bytes()),
    };
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    Ok(response)
}
