//! What a node does, from the store alone: for when the service is down.

use anyhow::{Context as _, bail};
use db::{DatabaseUrl, Db, NodeKey, Scope};

use crate::config::Config;
use crate::site;

/// The same as `GET /v1/nodes/{node}/progress` would answer, but for what agents said last.
pub async fn explain(config: &Config, ident: &str) -> anyhow::Result<serde_json::Value> {
    let url: DatabaseUrl = config.database_url().parse().context("[database] url")?;
    let db = Db::open_to_read(&db::Options::new(url)).await.context("cannot open the database")?;
    let key = match ident.parse() {
        Ok(uuid) => NodeKey::Uuid(uuid),
        Err(_) => NodeKey::Name(ident.to_owned()),
    };
    let Some(node) = db.get_node(&key, &Scope::All).await? else { bail!("there is no node {ident}") };
    let flow = db.flow_of(node.uuid).await?;
    let flow: Option<provision::FlowRecord> = flow
        .map(|row| serde_json::from_str(&row.record))
        .transpose()
        .context("cannot read the record of the node's flow")?;
    let entries = db.boot_trace(node.uuid).await?;
    let progress = conductor_api::NodeProgress::of(flow.as_ref(), None);
    let explained = api::explanation(&node, &progress, &entries, site::hears(config));
    db.close().await;
    Ok(explained)
}
