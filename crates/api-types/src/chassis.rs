//! Chassis: the table of their fields.

use model::{Chassis, ChassisUuid};

use crate::link::write_object_links;
use crate::value::{object, text_up_to, uuid};
use crate::{Field, Json, Resource};

/// Chassis.
pub const CHASSIS: Resource<Chassis> = Resource { name: "chassis", collection: "chassis", fields: FIELDS };

type Row = Field<Chassis>;

const FIELDS: &[Row] = &[
    Row::new("created_at", Json::Time.only(), 1, "now", |s, _, w| w.time(s.created_at)),
    Row::new("description", Json::Text.or_null(), 1, "null", |s, _, w| w.opt_text(s.description.as_deref()))
        .writable(1, 1, |s, v, _| {
            s.description = text_up_to("/description", v, 255)?;
            Ok(())
        })
        .short(),
    Row::new("extra", Json::Object.only(), 1, "{}", |s, _, w| w.object(&s.extra)).writable(
        1,
        1,
        |s, v, _| {
            s.extra = object(v);
            Ok(())
        },
    ),
    Row::new("links", Json::Links.only(), 1, "links", |s, c, w| {
        write_object_links(w, c, "chassis", s.uuid.as_uuid(), None);
    })
    .short(),
    Row::new("nodes", Json::LinkLists.only(), 1, "links", |s, c, w| {
        w.raw("[");
        write_object_links(w, c, "chassis", s.uuid.as_uuid(), Some("nodes"));
        w.raw("]");
    }),
    Row::new("updated_at", Json::Time.or_null(), 1, "null", |s, _, w| w.opt_time(s.updated_at)),
    Row::new("uuid", Json::Uuid.only(), 1, "generated", |s, _, w| w.uuid(s.uuid.as_uuid()))
        .create_only(1, |s, v, _| {
            s.uuid = uuid("/uuid", &v)?.map_or_else(ChassisUuid::random, ChassisUuid::from_uuid);
            Ok(())
        })
        .short(),
];
