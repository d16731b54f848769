//! Volume connectors and volume targets: the tables of their fields.
//!
//! Types are kept as they are given: drivers know which they can use.

use model::{NodeUuid, VolumeConnector, VolumeConnectorUuid, VolumeTarget, VolumeTargetUuid};

use crate::link::write_object_links;
use crate::mask::write_masked;
use crate::value::{object, some_text, uuid};
use crate::{Field, Invalid, Json, Resource};

/// Volume connectors.
pub const VOLUME_CONNECTOR: Resource<VolumeConnector> =
    Resource { name: "volume_connector", collection: "connectors", fields: CONNECTOR_FIELDS };

/// Volume targets.
pub const VOLUME_TARGET: Resource<VolumeTarget> =
    Resource { name: "volume_target", collection: "targets", fields: TARGET_FIELDS };

type Connector = Field<VolumeConnector>;
type Target = Field<VolumeTarget>;

const CONNECTOR_FIELDS: &[Connector] = &[
    Connector::new("connector_id", Json::Text.only(), 32, "required", |t, _, w| w.text(&t.connector_id))
        .writable(1, 1, |t, v, _| {
            t.connector_id = some_text("/connector_id", v, 255)?.unwrap_or_default();
            Ok(())
        })
        .short(),
    Connector::new("created_at", Json::Time.only(), 32, "now", |t, _, w| w.time(t.created_at)),
    Connector::new("extra", Json::Object.only(), 32, "{}", |t, _, w| w.object(&t.extra)).writable(
        1,
        1,
        |t, v, _| {
            t.extra = object(v);
            Ok(())
        },
    ),
    Connector::new("links", Json::Links.only(), 32, "links", |t, c, w| {
        write_object_links(w, c, "volume/connectors", t.uuid.as_uuid(), None);
    })
    .short(),
    Connector::new("node_uuid", Json::Uuid.only(), 32, "required", |t, _, w| w.uuid(t.node_uuid.as_uuid()))
        .writable(1, 1, |t, v, _| {
            if let Some(node) = uuid("/node_uuid", &v)? {
                t.node_uuid = NodeUuid::from_uuid(node);
            }
            Ok(())
        })
        .short(),
    Connector::new("type", Json::Text.only(), 32, "required", |t, _, w| w.text(&t.kind))
        .writable(1, 1, |t, v, _| {
            t.kind = some_text("/type", v, 32)?.unwrap_or_default();
            Ok(())
        })
        .short(),
    Connector::new("updated_at", Json::Time.or_null(), 32, "null", |t, _, w| w.opt_time(t.updated_at)),
    Connector::new("uuid", Json::Uuid.only(), 32, "generated", |t, _, w| w.uuid(t.uuid.as_uuid()))
        .create_only(1, |t, v, _| {
            t.uuid =
                uuid("/uuid", &v)?.map_or_else(VolumeConnectorUuid::random, VolumeConnectorUuid::from_uuid);
            Ok(())
        })
        .short(),
];

const TARGET_FIELDS: &[Target] = &[
    Target::new("boot_index", Json::Integer.only(), 32, "required", |t, _, w| w.opt_int(Some(t.boot_index)))
        .writable(1, 1, |t, v, _| {
            let index = v.as_i64().ok_or_else(|| Invalid::at("/boot_index", "expected a whole number"))?;
            t.boot_index = index;
            Ok(())
        })
        .short(),
    Target::new("created_at", Json::Time.only(), 32, "now", |t, _, w| w.time(t.created_at)),
    Target::new("extra", Json::Object.only(), 32, "{}", |t, _, w| w.object(&t.extra)).writable(
        1,
        1,
        |t, v, _| {
            t.extra = object(v);
            Ok(())
        },
    ),
    Target::new("links", Json::Links.only(), 32, "links", |t, c, w| {
        write_object_links(w, c, "volume/targets", t.uuid.as_uuid(), None);
    })
    .short(),
    Target::new("node_uuid", Json::Uuid.only(), 32, "required", |t, _, w| w.uuid(t.node_uuid.as_uuid()))
        .writable(1, 1, |t, v, _| {
            if let Some(node) = uuid("/node_uuid", &v)? {
                t.node_uuid = NodeUuid::from_uuid(node);
            }
            Ok(())
        })
        .short(),
    Target::new("properties", Json::Object.only(), 32, "{}", |t, c, w| {
        if c.reveal { w.object(&t.properties) } else { write_masked(w, t.properties.as_str(), &[]) }
    })
    .writable(1, 1, |t, v, _| {
        t.properties = object(v);
        Ok(())
    }),
    Target::new("updated_at", Json::Time.or_null(), 32, "null", |t, _, w| w.opt_time(t.updated_at)),
    Target::new("uuid", Json::Uuid.only(), 32, "generated", |t, _, w| w.uuid(t.uuid.as_uuid()))
        .create_only(1, |t, v, _| {
            t.uuid = uuid("/uuid", &v)?.map_or_else(VolumeTargetUuid::random, VolumeTargetUuid::from_uuid);
            Ok(())
        })
        .short(),
    Target::new("volume_id", Json::Text.only(), 32, "required", |t, _, w| w.text(&t.volume_id))
        .writable(1, 1, |t, v, _| {
            t.volume_id = some_text("/volume_id", v, 36)?.unwrap_or_default();
            Ok(())
        })
        .short(),
    Target::new("volume_type", Json::Text.only(), 32, "required", |t, _, w| w.text(&t.volume_type))
        .writable(1, 1, |t, v, _| {
            t.volume_type = some_text("/volume_type", v, 64)?.unwrap_or_default();
            Ok(())
        })
        .short(),
];
