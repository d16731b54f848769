//! BIOS settings of nodes: the table of their fields.

use model::BiosSetting;

use crate::{Field, Json, Resource, write_links};

/// BIOS settings.
pub const BIOS_SETTING: Resource<BiosSettingRow> =
    Resource { name: "bios_setting", collection: "bios", fields: FIELDS };

/// A setting as replies show it.
#[derive(Debug, Clone)]
pub struct BiosSettingRow {
    /// The node, as links name it.
    pub node: String,
    /// The setting.
    pub setting: BiosSetting,
}

type Row = Field<BiosSettingRow>;

const FIELDS: &[Row] = &[
    Row::new("allowable_values", Json::Texts.only(), 74, "[]", |r, _, w| {
        w.raw(r.setting.allowable_values.as_str());
    }),
    Row::new("attribute_type", Json::Text.or_null(), 74, "null", |r, _, w| {
        w.opt_text(r.setting.attribute_type.as_deref());
    }),
    Row::new("created_at", Json::Time.only(), 40, "now", |r, _, w| w.time(r.setting.created_at)).short(),
    Row::new("links", Json::Links.only(), 40, "links", |r, c, w| {
        write_links(w, c.base, &["nodes", &r.node, "bios", &r.setting.name]);
    })
    .short(),
    Row::new("lower_bound", Json::Integer.or_null(), 74, "null", |r, _, w| w.opt_int(r.setting.lower_bound)),
    Row::new("max_length", Json::Integer.or_null(), 74, "null", |r, _, w| w.opt_int(r.setting.max_length)),
    Row::new("min_length", Json::Integer.or_null(), 74, "null", |r, _, w| w.opt_int(r.setting.min_length)),
    Row::new("name", Json::Text.only(), 40, "-", |r, _, w| w.text(&r.setting.name)).short(),
    Row::new("read_only", Json::Flag.or_null(), 74, "null", |r, _, w| w.opt_flag(r.setting.read_only)),
    Row::new("reset_required", Json::Flag.or_null(), 74, "null", |r, _, w| {
        w.opt_flag(r.setting.reset_required);
    }),
    Row::new("unique", Json::Flag.or_null(), 74, "null", |r, _, w| w.opt_flag(r.setting.unique)),
    Row::new("updated_at", Json::Time.or_null(), 40, "null", |r, _, w| w.opt_time(r.setting.updated_at))
        .short(),
    Row::new("upper_bound", Json::Integer.or_null(), 74, "null", |r, _, w| w.opt_int(r.setting.upper_bound)),
    Row::new("value", Json::Text.or_null(), 40, "null", |r, _, w| w.opt_text(r.setting.value.as_deref()))
        .short(),
];
