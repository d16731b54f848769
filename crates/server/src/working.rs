//! What works on nodes, put together from the configuration: the conductor, its drivers, their connections and images.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use conductor::Conductor;
use db::Db;
use images::{ImageCache, Web, WebOptions};

use crate::config::Config;
use crate::site;

/// The first look at the power state after a power command: good BMCs and virtual ones are done by then.
const FIRST_LOOK: Duration = Duration::from_millis(100);

/// A running conductor with what it works with.
pub(crate) struct Working {
    pub(crate) conductor: Arc<Conductor>,
    bmcs: drivers::Bmcs,
}

impl Working {
    /// Starts the conductor.
    pub(crate) async fn start(config: &Config, db: &Db, images: &ImageCache) -> anyhow::Result<Self> {
        let bmcs = open_bmcs();
        let conductor = Arc::new(start_conductor(config, db, images, &bmcs).await?);
        Ok(Self { conductor, bmcs })
    }

    /// Stops it. Its connections are closed before others take over.
    pub(crate) async fn stop(self) {
        self.conductor.rest().await;
        self.bmcs.ipmi.shutdown().await;
        self.bmcs.redfish.shutdown().await;
        self.conductor.stop().await;
    }
}

/// Opens the cache of images.
pub(crate) fn open_images(config: &Config) -> anyhow::Result<ImageCache> {
    let defaults = WebOptions::default();
    let silence = Duration::from_secs(config.deploy.image_silence);
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
        redfish: config.redfish.options(),
        images: images.clone(),
        images_url: site::images_url(config),
        ramdisk_configured: config.deploy.kernel.is_some() && config.netboot.is_some(),
        log_dir: config.data_dir.join("agent-logs"),
        step_priorities: step_priorities.clone(),
    })
    .context("[conductor] enabled_hardware_types, enabled_interfaces, default_interfaces")?;
    let options = conductor::Options {
        hostname: site::hostname(config),
        conductor_group: config.conductor.group.clone(),
        sign_of_life: Duration::from_secs(config.conductor.sign_of_life),
        lease: Duration::from_secs(config.conductor.lease),
        policy: config.policy(),
        heartbeat_timeout: Duration::from_secs(config.conductor.heartbeat_timeout),
        require_agent_tls: config.conductor.require_agent_tls,
        automated_clean: config.conductor.automated_clean,
        cleaning: config.conductor.automated_cleaning(),
        disallowed_steps: config.conductor.disallowed_steps(),
        events: db::EventRetention {
            age: Duration::from_hours(config.events.keep_hours),
            count: config.events.keep_count,
        },
        step_priorities,
        verify_step_priorities: config.conductor.verify_step_priorities.clone(),
        hears: site::hears(config),
        power: config.conductor.power_sync(),
        inspection: config.inspection.settings().map_err(anyhow::Error::msg).context("[inspection]")?,
        limits: config.conductor.limits(),
        conductor_retention: Duration::from_secs(config.conductor.conductor_cleanup_timeout),
        ..conductor::Options::default()
    };
    Conductor::start(db.clone(), registry, options).await.context("cannot start the conductor")
}
