//! Conductors: the table of their fields.

use model::Conductor;

use crate::{Field, Json, Resource, write_links};

/// Conductors.
pub const CONDUCTOR: Resource<Conductor> =
    Resource { name: "conductor", collection: "conductors", fields: FIELDS };

type Row = Field<Conductor>;

const FIELDS: &[Row] = &[
    Row::new("alive", Json::Flag.only(), 49, "computed", |r, c, w| {
        w.flag(r.online && r.updated_at.unwrap_or(r.created_at) >= c.alive_since);
    })
    .short(),
    Row::new("conductor_group", Json::Text.only(), 49, "\"\"", |r, _, w| w.text(&r.conductor_group)).short(),
    Row::new("created_at", Json::Time.only(), 49, "now", |r, _, w| w.time(r.created_at)),
    Row::new("drivers", Json::Texts.only(), 49, "-", |r, _, w| w.texts(r.drivers.iter().map(String::as_str))),
    Row::new("hostname", Json::Text.only(), 49, "-", |r, _, w| w.text(&r.hostname)).short(),
    Row::new("links", Json::Links.only(), 49, "links", |r, c, w| {
        write_links(w, c.base, &["conductors", &r.hostname]);
    })
    .short(),
    Row::new("updated_at", Json::Time.or_null(), 49, "null", |r, _, w| w.opt_time(r.updated_at)),
];
