//! Allocations: the table of their fields.

use model::{Allocation, AllocationUuid, NodeUuid, Trait, validate_logical_name};
use serde_json::Value;

use crate::link::write_object_links;
use crate::value::{object, some_text, uuid};
use crate::{Field, Invalid, Json, Resource};

/// Allocations. Lists show every field.
pub const ALLOCATION: Resource<Allocation> =
    Resource { name: "allocation", collection: "allocations", fields: FIELDS };

type Row = Field<Allocation>;

const FIELDS: &[Row] = &[
    Row::new("candidate_nodes", Json::Texts.only(), 52, "[]", |a, _, w| {
        let uuids: Vec<String> = a.candidate_nodes.iter().map(ToString::to_string).collect();
        w.texts(uuids.iter().map(String::as_str));
    })
    .create_only(1, |a, v, _| {
        a.candidate_nodes = candidate_nodes(&v)?;
        Ok(())
    })
    .short(),
    Row::new("created_at", Json::Time.only(), 52, "now", |a, _, w| w.time(a.created_at)).short(),
    Row::new("extra", Json::Object.only(), 52, "{}", |a, _, w| w.object(&a.extra))
        .writable(1, 57, |a, v, _| {
            a.extra = object(v);
            Ok(())
        })
        .short(),
    Row::new("last_error", Json::Text.or_null(), 52, "null", |a, _, w| {
        w.opt_text(a.last_error.as_deref());
    })
    .short(),
    Row::new("links", Json::Links.only(), 52, "links", |a, c, w| {
        write_object_links(w, c, "allocations", a.uuid.as_uuid(), None);
    })
    .short(),
    Row::new("name", Json::Text.or_null(), 52, "null", |a, _, w| w.opt_text(a.name.as_deref()))
        .writable(1, 57, |a, v, _| {
            a.name = name(v)?;
            Ok(())
        })
        .short(),
    // Names the node that the allocation is made for; it is told by `node_uuid`.
    Row::new("node", Json::Text.or_null(), 58, "-", |_, _, w| w.null()).hidden().create_only(
        58,
        |a, v, _| {
            let _ = (a, v);
            Ok(())
        },
    ),
    Row::new("node_uuid", Json::Uuid.or_null(), 52, "null", |a, _, w| {
        w.opt_uuid(a.node_uuid.map(NodeUuid::as_uuid));
    })
    .short(),
    Row::new("owner", Json::Text.or_null(), 60, "null or project id", |a, _, w| {
        w.opt_text(a.owner.as_deref());
    })
    .create_only(60, |a, v, _| {
        a.owner = some_text("/owner", v, 255)?;
        Ok(())
    })
    .short(),
    Row::new("resource_class", Json::Text.only(), 52, "required unless node", |a, _, w| {
        w.opt_text(a.resource_class.as_deref());
    })
    .create_only(1, |a, v, _| {
        a.resource_class = some_text("/resource_class", v, 80)?;
        Ok(())
    })
    .short(),
    Row::new("state", Json::Text.only(), 52, "allocating", |a, _, w| w.text(a.state.as_str())).short(),
    Row::new("traits", Json::Texts.only(), 52, "[]", |a, _, w| {
        w.texts(a.traits.iter().map(Trait::as_str));
    })
    .create_only(1, |a, v, _| {
        a.traits = traits(&v)?;
        Ok(())
    })
    .short(),
    Row::new("updated_at", Json::Time.or_null(), 52, "null", |a, _, w| w.opt_time(a.updated_at)).short(),
    Row::new(
        "uuid",
        Json::Uuid.only(),
        52,
        "generated; instance_uuid of the node when backfilling",
        |a, _, w| w.uuid(a.uuid.as_uuid()),
    )
    .create_only(1, |a, v, _| {
        a.uuid = uuid("/uuid", &v)?.map_or_else(AllocationUuid::random, AllocationUuid::from_uuid);
        Ok(())
    })
    .short(),
];

fn name(value: Value) -> Result<Option<String>, Invalid> {
    let Value::String(name) = value else { return Ok(None) };
    validate_logical_name(&name).map_err(|error| Invalid::at("/name", error.to_string()))?;
    Ok(Some(name))
}

fn texts(value: &Value) -> impl Iterator<Item = (usize, &str)> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str).enumerate()
}

fn candidate_nodes(value: &Value) -> Result<Vec<NodeUuid>, Invalid> {
    let read = |(index, text): (usize, &str)| {
        text.parse().map_err(|_| Invalid::at(format!("/candidate_nodes/{index}"), "expected a UUID"))
    };
    texts(value).map(read).collect()
}

fn traits(value: &Value) -> Result<Vec<Trait>, Invalid> {
    let read = |(index, text): (usize, &str)| {
        let problem = |error: model::InvalidTrait| Invalid::at(format!("/traits/{index}"), error.to_string());
        text.parse().map_err(problem)
    };
    texts(value).map(read).collect()
}
