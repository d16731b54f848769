//! The message bus as it is configured: how processes of the site reach each other, and who else is told.

use std::sync::Arc;

use anyhow::Context as _;
use cluster::bus::{Broker, Bus, RabbitBus, StoreBus};
use cluster::{Destination, Notifier};
use db::{DatabaseUrl, Db};

use crate::config::Config;
use crate::site;

/// The way to the conductors on other hosts: RabbitMQ where there is one, else the rows of PostgreSQL. A store in a file has
/// one process, which needs none.
pub(crate) fn bus(config: &Config, db: &Db) -> anyhow::Result<Option<Arc<dyn Bus>>> {
    let url: DatabaseUrl = config.database_url().parse().context("[database] url")?;
    if matches!(url, DatabaseUrl::Sqlite { .. }) {
        return Ok(None);
    }
    Ok(Some(match broker(config, "requests")? {
        Some(broker) => Arc::new(RabbitBus::open(broker)),
        None => Arc::new(StoreBus::open(db.clone())),
    }))
}

/// Publishes events, where that is wanted. Of all processes of the site one does so at a time.
pub(crate) fn notifier(config: &Config, db: &Db) -> anyhow::Result<Option<Notifier>> {
    let messaging = &config.messaging;
    let Some(broker) = broker(config, "notifications")?.filter(|_| messaging.notifications) else {
        return Ok(None);
    };
    let destination = Destination {
        exchange: messaging.exchange.clone(),
        durable: messaging.durable_exchange,
        topics: messaging.topics.clone(),
        host: site::hostname(config),
    };
    Ok(Some(Notifier::start(db.clone(), broker, destination)))
}

fn broker(config: &Config, what: &str) -> anyhow::Result<Option<Broker>> {
    let messaging = &config.messaging;
    let Some(url) = &messaging.url else { return Ok(None) };
    let ca = messaging.ca_file.as_ref().map(std::fs::read_to_string).transpose();
    let ca = ca.context("[messaging] ca_file cannot be read")?;
    let name = format!("wrought on {}: {what}", site::hostname(config));
    Broker::new(&url.0, ca, &name).map(Some).context("[messaging] url")
}
