//! The life of the service: start every part in order, wait for the signal, stop them in the opposite order.

use std::collections::BTreeMap;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use arc_swap::ArcSwap;
use conductor::Conductor;
use db::{DatabaseUrl, Db};
use images::{ImageCache, Web, WebOptions};
use model::Secret;
use rand::Rng;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::boot_source::StoreBootSource;
use crate::config::{Auth, Config};
use crate::file_source::SiteFiles;
use crate::{identity, observe, site};

/// Name of the user that the first start makes.
const ADMINISTRATOR: &str = "admin";

/// Cost of password hashes: about a quarter of a second on a slow core; verified ones are remembered.
const BCRYPT_COST: u32 = 10;

/// The first look at the power state after a power command: good BMCs and virtual ones are done by then.
const FIRST_LOOK: std::time::Duration = std::time::Duration::from_millis(100);

/// Runs the service until it is told to stop. `announce` gets the lines meant for the person who started it.
pub async fn serve(config: Config, announce: impl Fn(&str)) -> anyhow::Result<()> {
    install_tls_provider();
    make_private_dir(&config.data_dir)?;
    let url: DatabaseUrl = config.database_url().parse().context("[database] url")?;
    let store = db::Options { history: config.conductor.history(), ..db::Options::new(url) };
    let db = Db::open(&store).await.context("cannot open the database")?;
    if config.api.auth == Auth::HttpBasic {
        first_administrator(&db, &announce).await?;
    }
    let images = open_images(&config)?;
    let bmcs = open_bmcs();
    let conductor = Arc::new(start_conductor(&config, &db, &images, &bmcs).await?);
    let stop = CancellationToken::new();
    let netboot = start_netboot(&config, &db, &images, &stop).await?;
    let api = start_api(&config, &db, &conductor, &stop, &announce).await?;
    wait_for_signal().await?;
    tracing::info!("stopping");
    stop.cancel();
    for server in api {
        server.await.context("the API server broke")?;
    }
    if let Some(netboot) = netboot {
        netboot.join().await;
    }
    conductor.stop().await;
    bmcs.ipmi.shutdown().await;
    bmcs.redfish.shutdown().await;
    images.close().await;
    db.close().await;
    tracing::info!("stopped");
    Ok(())
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

async fn first_administrator(db: &Db, announce: &impl Fn(&str)) -> anyhow::Result<()> {
    if !db.list_users().await?.is_empty() {
        return Ok(());
    }
    let password = new_password();
    let plain = password.clone();
    let hash = tokio::task::spawn_blocking(move || bcrypt::hash(plain.expose(), BCRYPT_COST)).await??;
    db.put_user(ADMINISTRATOR, &Secret::new(hash)).await?;
    announce(&format!("user: {ADMINISTRATOR}"));
    announce(&format!("administrator password: {}", password.expose()));
    announce("It is not shown again.");
    Ok(())
}

/// 24 characters of 31 that cannot be mistaken for one another: 118 bits.
fn new_password() -> Secret {
    const LETTERS: &[u8] = b"abcdefghjkmnpqrstuvwxyz23456789";
    let mut text = String::with_capacity(24);
    while text.len() < 24 {
        let mut byte = [0_u8; 1];
        rand::rng().fill_bytes(&mut byte);
        // Bytes beyond the last whole multiple would make the first letters likelier.
        if let Some(letter) = LETTERS.get(usize::from(byte[0] % 32)).filter(|_| byte[0] < 248) {
            text.push(char::from(*letter));
        }
    }
    Secret::new(text)
}

fn open_images(config: &Config) -> anyhow::Result<ImageCache> {
    let defaults = WebOptions::default();
    let silence = std::time::Duration::from_secs(config.deploy.image_silence);
    let web_options = WebOptions {
        reach: config.deploy.image_reach.into(),
        connect_deadline: defaults.connect_deadline.min(silence),
        read_deadline: silence,
        ..defaults
    };
    let web = Web::new(web_options).context("cannot set up the HTTP client for images")?;
    let mut options = images::Options::new(config.data_dir.join("images"));
    options.max_bytes = config.deploy.image_cache_mib << 20;
    options.max_image_bytes = options.max_bytes;
    ImageCache::open(options, web).context("cannot open the image cache")
}

/// Sessions with BMCs; each open one is a socket, so as many files are allowed as the system lets us have.
fn open_bmcs() -> drivers::Bmcs {
    let mut files = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    files.current = files.maximum;
    if let Err(error) = rustix::process::setrlimit(rustix::process::Resource::Nofile, files) {
        tracing::warn!(%error, "cannot raise the limit on open files");
    }
    drivers::Bmcs {
        ipmi: bmc::IpmiPool::new(bmc::Options {
            patience: bmc::Patience { poll_first: FIRST_LOOK, ..bmc::Patience::default() },
            ..bmc::Options::default()
        }),
        redfish: bmc::redfish::RedfishPool::new(bmc::redfish::Options::default()),
    }
}

async fn start_conductor(
    config: &Config,
    db: &Db,
    images: &ImageCache,
    bmcs: &drivers::Bmcs,
) -> anyhow::Result<Conductor> {
    let step_priorities: BTreeMap<String, i64> = [
        ("deploy.erase_devices_metadata", config.deploy.erase_devices_metadata_priority),
        ("deploy.erase_devices", config.deploy.erase_devices_priority),
    ]
    .into_iter()
    .map(|(step, priority)| (step.to_owned(), priority))
    .chain(config.conductor.clean_step_priorities.clone())
    .collect();
    let registry = drivers::registry(&drivers::Options {
        enabled_hardware_types: config.conductor.enabled_hardware_types.clone(),
        interfaces: drivers::InterfaceChoice {
            enabled: config.conductor.enabled_interfaces.clone(),
            defaults: config.conductor.default_interfaces.clone(),
        },
        bmcs: bmcs.clone(),
        images: images.clone(),
        images_url: site::images_url(config),
        ramdisk_configured: config.deploy.kernel.is_some() && config.netboot.is_some(),
        log_dir: config.data_dir.join("agent-logs"),
        step_priorities: step_priorities.clone(),
    })
    .context("[conductor] enabled_hardware_types, enabled_interfaces, default_interfaces")?;
    let options = conductor::Options {
        hostname: site::hostname(config),
        policy: config.policy(),
        heartbeat_timeout: std::time::Duration::from_secs(config.conductor.heartbeat_timeout),
        require_agent_tls: config.conductor.require_agent_tls,
        automated_clean: config.conductor.automated_clean,
        events: db::EventRetention {
            age: std::time::Duration::from_hours(config.events.keep_hours),
            count: config.events.keep_count,
        },
        step_priorities,
        hears: site::hears(config),
        power: config.conductor.power_sync(),
        inspection: config.inspection.settings().map_err(anyhow::Error::msg).context("[inspection]")?,
        limits: config.conductor.limits(),
        conductor_retention: std::time::Duration::from_secs(config.conductor.conductor_cleanup_timeout),
        ..conductor::Options::default()
    };
    Conductor::start(db.clone(), registry, options).await.context("cannot start the conductor")
}

async fn start_netboot(
    config: &Config,
    db: &Db,
    images: &ImageCache,
    stop: &CancellationToken,
) -> anyhow::Result<Option<netboot::Running>> {
    let Some(options) = config.netboot.clone() else { return Ok(None) };
    let source = StoreBootSource::new(
        db.clone(),
        config.deploy.kernel.is_some(),
        &config.deploy.kernel_append_params,
        &site::agent_endpoint(config),
    )
    .context("[deploy] kernel_append_params")?;
    let files = SiteFiles {
        kernel: config.deploy.kernel.clone(),
        ramdisk: config.deploy.ramdisk.clone(),
        images: images.clone(),
    };
    let running = netboot::serve(options, Arc::new(source), Arc::new(files), stop.clone())
        .await
        .context("cannot start network boot")?;
    Ok(Some(running))
}

async fn start_api(
    config: &Config,
    db: &Db,
    conductor: &Arc<Conductor>,
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
        conductors: Arc::clone(conductor) as _,
        authenticator: identity::authenticator(config, db)?,
        policy: Arc::clone(&rules),
        options,
    };
    let router = observe::beside(api::router(state), db.clone(), site::hostname(config), config.api.metrics);
    let mut servers: Vec<JoinHandle<()>> =
        identity::watch(config, &rules, stop.clone()).into_iter().collect();
    for address in &config.api.listen {
        let listener = TcpListener::bind(address).await.with_context(|| {
            format!("cannot listen on {address}: is another service there, is the address this host's?")
        })?;
        announce(&format!("listening on http://{}", listener.local_addr()?));
        let (router, stop) = (router.clone(), stop.clone());
        servers.push(tokio::spawn(async move {
            api::serve(listener, router, api::ServeLimits::default(), stop.cancelled_owned()).await;
        }));
    }
    Ok(servers)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_long_and_differ() {
        let (one, two) = (new_password(), new_password());
        assert_eq!(one.expose().len(), 24);
        assert_ne!(one, two);
    }
}
