//! Ports: the table of their fields, and the rules between them.

use model::{MacAddr, NodeUuid, Port, PortUuid, PortgroupUuid};
use serde_json::Value;

use crate::link::write_object_links;
use crate::local_link::{check_link, write_link};
use crate::value::{flag, object, some_text, text_up_to, uuid};
use crate::{Field, Invalid, Json, Resource};

/// Ports.
pub const PORT: Resource<Port> = Resource { name: "port", collection: "ports", fields: FIELDS };

type Row = Field<Port>;

const FIELDS: &[Row] = &[
    Row::new("address", Json::Mac.only(), 1, "required", |p, _, w| w.mac(p.address))
        .writable(1, 1, |p, v, _| {
            p.address = address(&v)?;
            Ok(())
        })
        .short(),
    Row::new("available_for_dynamic_portgroup", Json::Flag.only(), 111, "true", |p, _, w| {
        w.flag(p.available_for_dynamic_portgroup);
    })
    .writable(111, 1, |p, v, _| {
        p.available_for_dynamic_portgroup = flag(&v).unwrap_or(true);
        Ok(())
    }),
    Row::new("category", Json::Text.or_null(), 101, "null", |p, _, w| w.opt_text(p.category.as_deref()))
        .writable(101, 1, |p, v, _| {
            p.category = text_up_to("/category", v, 80)?;
            Ok(())
        }),
    Row::new("created_at", Json::Time.only(), 1, "now", |p, _, w| w.time(p.created_at)),
    Row::new("description", Json::Text.or_null(), 97, "null", |p, _, w| w.opt_text(p.description.as_deref()))
        .writable(97, 1, |p, v, _| {
            p.description = text_up_to("/description", v, 255)?;
            Ok(())
        }),
    Row::new("extra", Json::Object.only(), 1, "{}", |p, _, w| w.object(&p.extra)).writable(
        1,
        1,
        |p, v, _| {
            p.extra = object(v);
            Ok(())
        },
    ),
    Row::new("internal_info", Json::Object.only(), 18, "{}", |p, _, w| w.object(&p.internal_info)),
    Row::new("is_smartnic", Json::Flag.only(), 53, "false", |p, _, w| w.flag(p.is_smartnic)).writable(
        53,
        53,
        |p, v, _| {
            p.is_smartnic = flag(&v).unwrap_or(false);
            Ok(())
        },
    ),
    Row::new("links", Json::Links.only(), 1, "links", |p, c, w| {
        write_object_links(w, c, "ports", p.uuid.as_uuid(), None);
    })
    .short(),
    Row::new("local_link_connection", Json::Object.only(), 19, "{}", |p, c, w| {
        write_link(&p.local_link_connection, c, w);
    })
    .writable(19, 19, |p, v, version| {
        check_link(&v, version)?;
        p.local_link_connection = object(v);
        Ok(())
    }),
    Row::new("name", Json::Text.or_null(), 88, "null", |p, _, w| w.opt_text(p.name.as_deref())).writable(
        88,
        1,
        |p, v, _| {
            p.name = some_text("/name", v, 255)?;
            Ok(())
        },
    ),
    Row::new("node_ident", Json::Text.only(), 1, "-", |p, _, w| w.uuid(p.node_uuid.as_uuid()))
        .hidden()
        .create_only(94, |p, v, _| {
            let _ = (p, v);
            Ok(())
        }),
    Row::new("node_uuid", Json::Uuid.only(), 1, "required unless node_ident", |p, _, w| {
        w.uuid(p.node_uuid.as_uuid());
    })
    .writable(1, 1, |p, v, _| {
        p.node_uuid = node_uuid(&v)?;
        Ok(())
    }),
    Row::new("physical_network", Json::Text.or_null(), 34, "null", |p, _, w| {
        w.opt_text(p.physical_network.as_deref());
    })
    .writable(34, 34, |p, v, _| {
        p.physical_network = some_text("/physical_network", v, 64)?;
        Ok(())
    }),
    Row::new("portgroup_uuid", Json::Uuid.or_null(), 24, "null", |p, _, w| {
        w.opt_uuid(p.portgroup_uuid.map(PortgroupUuid::as_uuid));
    })
    .writable(24, 24, |p, v, _| {
        p.portgroup_uuid = uuid("/portgroup_uuid", &v)?.map(PortgroupUuid::from_uuid);
        Ok(())
    }),
    Row::new("pxe_enabled", Json::Flag.only(), 19, "true", |p, _, w| w.flag(p.pxe_enabled)).writable(
        19,
        19,
        |p, v, _| {
            p.pxe_enabled = flag(&v).unwrap_or(true);
            Ok(())
        },
    ),
    Row::new("updated_at", Json::Time.or_null(), 1, "null", |p, _, w| w.opt_time(p.updated_at)),
    Row::new("uuid", Json::Uuid.only(), 1, "generated", |p, _, w| w.uuid(p.uuid.as_uuid()))
        .create_only(1, |p, v, _| {
            p.uuid = uuid("/uuid", &v)?.map_or_else(PortUuid::random, PortUuid::from_uuid);
            Ok(())
        })
        .short(),
    Row::new("vendor", Json::Text.or_null(), 100, "null", |p, _, w| w.opt_text(p.vendor.as_deref()))
        .writable(100, 1, |p, v, _| {
            p.vendor = text_up_to("/vendor", v, 32)?;
            Ok(())
        }),
];

fn address(value: &Value) -> Result<MacAddr, Invalid> {
    value
        .as_str()
        .unwrap_or_default()
        .parse()
        .map_err(|error: model::InvalidMac| Invalid::at("/address", error.to_string()))
}

fn node_uuid(value: &Value) -> Result<NodeUuid, Invalid> {
    uuid("/node_uuid", value)?
        .map(NodeUuid::from_uuid)
        .ok_or_else(|| Invalid::at("/node_uuid", "a value is required"))
}

/// Checks what has to hold between the fields of a port.
pub fn check_port(port: &Port) -> Result<(), Invalid> {
    if !port.is_smartnic {
        return Ok(());
    }
    let link = port.local_link_connection.to_map();
    if link.contains_key("port_id") && link.contains_key("hostname") {
        return Ok(());
    }
    Err(Invalid::at(
        "/local_link_connection",
        "the port of a smart NIC (is_smartnic) needs port_id and hostname",
    ))
}
