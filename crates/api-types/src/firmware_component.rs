//! Firmware of the parts of nodes: the table of its fields.

use model::FirmwareComponent;

use crate::{Field, Json, Resource};

/// Firmware components.
pub const FIRMWARE_COMPONENT: Resource<FirmwareComponent> =
    Resource { name: "firmware_component", collection: "firmware", fields: FIELDS };

type Row = Field<FirmwareComponent>;

const FIELDS: &[Row] = &[
    Row::new("component", Json::Text.only(), 86, "-", |f, _, w| w.text(&f.component)).short(),
    Row::new("created_at", Json::Time.only(), 86, "now", |f, _, w| w.time(f.created_at)).short(),
    Row::new("current_version", Json::Text.or_null(), 86, "null", |f, _, w| {
        w.opt_text(f.current_version.as_deref());
    })
    .short(),
    Row::new("initial_version", Json::Text.or_null(), 86, "-", |f, _, w| {
        w.opt_text(f.initial_version.as_deref());
    })
    .short(),
    Row::new("last_version_flashed", Json::Text.or_null(), 86, "null", |f, _, w| {
        w.opt_text(f.last_version_flashed.as_deref());
    })
    .short(),
    Row::new("model", Json::Text.or_null(), 114, "null", |f, _, w| w.opt_text(f.model.as_deref())).short(),
    Row::new("serial_number", Json::Text.or_null(), 114, "null", |f, _, w| {
        w.opt_text(f.serial_number.as_deref());
    })
    .short(),
    Row::new("updated_at", Json::Time.or_null(), 86, "null", |f, _, w| w.opt_time(f.updated_at)).short(),
    Row::new("vendor", Json::Text.or_null(), 114, "null", |f, _, w| w.opt_text(f.vendor.as_deref())).short(),
];
