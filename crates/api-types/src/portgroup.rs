//! Portgroups: the table of their fields.

use model::{MacAddr, NodeUuid, Portgroup, PortgroupUuid, validate_logical_name};
use serde_json::Value;

use crate::link::write_object_links;
use crate::value::{flag, object, some_text, text_up_to, uuid};
use crate::{Field, Invalid, Json, Resource};

/// Portgroups.
pub const PORTGROUP: Resource<Portgroup> =
    Resource { name: "portgroup", collection: "portgroups", fields: FIELDS };

type Row = Field<Portgroup>;

const FIELDS: &[Row] = &[
    Row::new("address", Json::Mac.or_null(), 23, "null", |p, _, w| {
        w.opt_text(p.address.map(|address| address.to_string()).as_deref());
    })
    .writable(1, 1, |p, v, _| {
        p.address = address(&v)?;
        Ok(())
    })
    .short(),
    Row::new("category", Json::Text.or_null(), 103, "null", |p, _, w| w.opt_text(p.category.as_deref()))
        .writable(1, 1, |p, v, _| {
            p.category = text_up_to("/category", v, 80)?;
            Ok(())
        }),
    Row::new("created_at", Json::Time.only(), 23, "now", |p, _, w| w.time(p.created_at)),
    // No driver makes groups at deployment, so all there are were made by callers.
    Row::new("dynamic_portgroup", Json::Flag.only(), 111, "false", |_, _, w| w.flag(false)),
    Row::new("extra", Json::Object.only(), 23, "{}", |p, _, w| w.object(&p.extra)).writable(
        1,
        1,
        |p, v, _| {
            p.extra = object(v);
            Ok(())
        },
    ),
    Row::new("internal_info", Json::Object.only(), 23, "{}", |p, _, w| w.object(&p.internal_info)),
    Row::new("links", Json::Links.only(), 23, "links", |p, c, w| {
        write_object_links(w, c, "portgroups", p.uuid.as_uuid(), None);
    })
    .short(),
    Row::new("mode", Json::Text.only(), 26, "[DEFAULT]default_portgroup_mode=active-backup", |p, _, w| {
        w.text(&p.mode);
    })
    .writable(26, 26, |p, v, _| {
        p.mode = some_text("/mode", v, 255)?
            .ok_or_else(|| Invalid::at("/mode", "it cannot be removed; set another mode"))?;
        Ok(())
    }),
    Row::new("name", Json::Text.or_null(), 23, "null", |p, _, w| w.opt_text(p.name.as_deref()))
        .writable(1, 1, |p, v, _| {
            p.name = name(v)?;
            Ok(())
        })
        .short(),
    Row::new("node_uuid", Json::Uuid.only(), 23, "required", |p, _, w| w.uuid(p.node_uuid.as_uuid()))
        .writable(1, 1, |p, v, _| {
            if let Some(node) = uuid("/node_uuid", &v)? {
                p.node_uuid = NodeUuid::from_uuid(node);
            }
            Ok(())
        }),
    Row::new("physical_network", Json::Text.or_null(), 102, "null", |p, _, w| {
        w.opt_text(p.physical_network.as_deref());
    })
    .writable(1, 1, |p, v, _| {
        p.physical_network = some_text("/physical_network", v, 64)?;
        Ok(())
    }),
    Row::new("ports", Json::Links.only(), 23, "links", |p, c, w| {
        write_object_links(w, c, "portgroups", p.uuid.as_uuid(), Some("ports"));
    }),
    Row::new("properties", Json::Object.only(), 26, "{}", |p, _, w| w.object(&p.properties)).writable(
        26,
        26,
        |p, v, _| {
            p.properties = object(v);
            Ok(())
        },
    ),
    Row::new("standalone_ports_supported", Json::Flag.only(), 23, "true", |p, _, w| {
        w.flag(p.standalone_ports_supported);
    })
    .writable(1, 1, |p, v, _| {
        p.standalone_ports_supported = flag(&v).unwrap_or(true);
        Ok(())
    }),
    Row::new("updated_at", Json::Time.or_null(), 23, "null", |p, _, w| w.opt_time(p.updated_at)),
    Row::new("uuid", Json::Uuid.only(), 23, "generated", |p, _, w| w.uuid(p.uuid.as_uuid()))
        .create_only(1, |p, v, _| {
            p.uuid = uuid("/uuid", &v)?.map_or_else(PortgroupUuid::random, PortgroupUuid::from_uuid);
            Ok(())
        })
        .short(),
];

fn address(value: &Value) -> Result<Option<MacAddr>, Invalid> {
    let parse = |text: &str| {
        text.parse().map_err(|error: model::InvalidMac| Invalid::at("/address", error.to_string()))
    };
    value.as_str().map(parse).transpose()
}

fn name(value: Value) -> Result<Option<String>, Invalid> {
    let Value::String(name) = value else { return Ok(None) };
    validate_logical_name(&name).map_err(|error| Invalid::at("/name", error.to_string()))?;
    Ok(Some(name))
}
