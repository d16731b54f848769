//! The life of the service: start every part in order, wait for the signal, stop them in the opposite order.

use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use arc_swap::ArcSwap;
use db::{DatabaseUrl, Db};
use images::ImageCache;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::administrator::first_administrator;
use crate::boot_source::StoreBootSource;
use crate::config::{Auth, Config};
use crate::file_source::SiteFiles;
use crate::reach::Reach;
use crate::roles::Roles;
use crate::working::{Working, open_images};
use crate::{identity, observe, site};

/// Runs these parts of the service until it is told to stop. `announce` gets the lines meant for the person who started it.
pub async fn serve(config: Config, roles: Roles, announce: impl Fn(&str)) -> anyhow::Result<()> {
    install_tls_provider();
    let url: DatabaseUrl = config.database_url().parse().context("[database] url")?;
    anyhow::ensure!(
        roles.api && roles.conductor || matches!(url, DatabaseUrl::Postgres(_)),
        "a database in a file is one process's: to run the roles apart, set [database] url to postgres://…"
    );
    make_private_dir(&config.data_dir)?;
    let store = db::Options { history: config.conductor.history(), ..db::Options::new(url) };
    let db = Db::open(&store).await.context("cannot open the database")?;
    if roles.api && config.api.auth == Auth::HttpBasic {
        first_administrator(&db, &announce).await?;
    }
    let images = open_images(&config)?;
    let working = if roles.conductor { Some(Working::start(&config, &db, &images).await?) } else { None };
    let stop = CancellationToken::new();
    let reach = Reach::open(&config, &db, working.as_ref(), &stop).await?;
    let netboot = start_netboot(&config, roles, &db, &images, &stop).await?;
    let mut servers = monitor(&config, &db, working.is_some(), &stop, &announce).await?;
    if roles.api {
        servers.extend(start_api(&config, &db, &reach, &stop, &announce).await?);
    }
    let ended = until_end(working.as_ref()).await;
    tracing::info!("stopping");
    stop.cancel();
    for server in servers {
        server.await.context("the API server broke")?;
    }
    if let Some(netboot) = netboot {
        netboot.join().await;
    }
    reach.close().await;
    if let Some(working) = working {
        working.stop().await;
    }
    images.close().await;
    db.close().await;
    tracing::info!("stopped");
    ended
}

/// Waits until somebody wants the service to end, or it must.
async fn until_end(working: Option<&Working>) -> anyhow::Result<()> {
    let replaced = async {
        match working {
            Some(working) => working.conductor.replaced().await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        signal = wait_for_signal() => signal,
        () = replaced => anyhow::bail!(
            "another conductor was started under this one's name: give each host its own [conductor] hostname"
        ),
    }
}

/// Chooses the one implementation of cryptography that all TLS in the process uses.
pub fn install_tls_provider() {
    // Fails only when a provider is installed already, as in tests.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

fn make_private_dir(dir: &Path) -> anyhow::Result<()> {
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir).with_context(|| {
        format!("cannot make the data directory {}: set data_dir to one that can be written", dir.display())
    })
}

async fn start_netboot(
    config: &Config,
    roles: Roles,
    db: &Db,
    images: &ImageCache,
    stop: &CancellationToken,
) -> anyhow::Result<Option<netboot::Running>> {
    let wanted = roles.netboot || roles.conductor;
    let Some(options) = config.netboot.clone().filter(|_| wanted) else { return Ok(None) };
    let source = StoreBootSource::new(
        db.clone(),
        config.deploy.kernel.is_some(),
        &config.deploy.kernel_append_params,
        &site::agent_endpoint(config),
        config.inspection.auto_discovery_driver.is_some(),
    )
    .context("[deploy] kernel_append_params")?;
    let files = SiteFiles {
        kernel: config.deploy.kernel.clone(),
        ramdisk: config.deploy.ramdisk.clone(),
        images: images.clone(),
    };
    let (source, files) = (Arc::new(source), Arc::new(files));
    let running = if roles.netboot {
        netboot::serve(options, source, files, stop.clone()).await.context("cannot start network boot")?
    } else {
        // Machines get their images from the host that works on them, wherever they boot from.
        netboot::serve_http(options, source, files, stop.clone()).await.context("cannot serve images")?
    };
    Ok(Some(running))
}

async fn start_api(
    config: &Config,
    db: &Db,
    reach: &Reach,
    stop: &CancellationToken,
    announce: &impl Fn(&str),
) -> anyhow::Result<Vec<JoinHandle<()>>> {
    let rules = Arc::new(ArcSwap::from_pointee(identity::rules(config)?));
    let options = api::Options {
        public_endpoint: config.api.public_endpoint.clone(),
        hears: site::hears(config),
        project_admin_can_manage_own_nodes: config.policy.project_admin_can_manage_own_nodes,
        ..api::Options::default()
    };
    let state = api::ApiState {
        db: db.clone(),
        conductors: reach.conductors(),
        authenticator: identity::authenticator(config, db)?,
        policy: Arc::clone(&rules),
        options,
    };
    let own = observe::alone(db.clone(), reach.own_host(), config.api.metrics);
    let router = own.fallback_service(api::router(state));
    let mut servers: Vec<JoinHandle<()>> =
        identity::watch(config, &rules, stop.clone()).into_iter().collect();
    for listener in listen(&config.api.listen).await? {
        announce(&format!("listening on http://{}", listener.local_addr()?));
        servers.push(answer(listener, router.clone(), stop));
    }
    Ok(servers)
}

/// Metrics and readiness on addresses of their own.
async fn monitor(
    config: &Config,
    db: &Db,
    conducts: bool,
    stop: &CancellationToken,
    announce: &impl Fn(&str),
) -> anyhow::Result<Vec<JoinHandle<()>>> {
    let host = conducts.then(|| site::hostname(config));
    let mut servers = Vec::new();
    for listener in listen(&config.monitoring.listen).await? {
        announce(&format!("monitoring on http://{}", listener.local_addr()?));
        servers.push(answer(listener, observe::alone(db.clone(), host.clone(), true), stop));
    }
    Ok(servers)
}

async fn listen(addresses: &[SocketAddr]) -> anyhow::Result<Vec<TcpListener>> {
    let mut listeners = Vec::new();
    for address in addresses {
        listeners.push(TcpListener::bind(address).await.with_context(|| {
            format!("cannot listen on {address}: is another service there, is the address this host's?")
        })?);
    }
    Ok(listeners)
}

fn answer(listener: TcpListener, router: axum::Router, stop: &CancellationToken) -> JoinHandle<()> {
    let stop = stop.clone();
    tokio::spawn(async move {
        api::serve(listener, router, api::ServeLimits::default(), stop.cancelled_owned()).await;
    })
}

async fn wait_for_signal() -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}
