//! Runbooks: the table of their fields.

use microversion::{Version, since};
use model::{Runbook, RunbookUuid, Trait, validate_logical_name};
use serde_json::Value;

use crate::link::write_object_links;
use crate::planned_step::{self, Spelling};
use crate::value::{flag, object, some_text, text_up_to, uuid};
use crate::{Field, Invalid, Json, Resource, deploy_template};

/// Runbooks.
pub const RUNBOOK: Resource<Runbook> = Resource { name: "runbook", collection: "runbooks", fields: FIELDS };

type Row = Field<Runbook>;

const STEPS: Spelling = Spelling { turn: "order", needs_args: false, unique: false };

const FIELDS: &[Row] = &[
    Row::new("created_at", Json::Time.only(), 92, "now", |r, _, w| w.time(r.created_at)),
    Row::new("description", Json::Text.or_null(), 112, "null", |r, _, w| {
        w.opt_text(r.description.as_deref());
    })
    .writable(112, 112, |r, v, _| {
        r.description = text_up_to("/description", v, 255)?;
        Ok(())
    }),
    Row::new("disable_ramdisk", Json::Flag.only(), 92, "false", |r, _, w| w.flag(r.disable_ramdisk))
        .writable(1, 1, |r, v, _| {
            r.disable_ramdisk = flag(&v).unwrap_or(false);
            Ok(())
        }),
    Row::new("extra", Json::Object.only(), 92, "{}", |r, _, w| w.object(&r.extra)).writable(
        1,
        1,
        |r, v, _| {
            r.extra = object(v);
            Ok(())
        },
    ),
    Row::new("links", Json::Links.only(), 92, "links", |r, c, w| {
        write_object_links(w, c, "runbooks", r.uuid.as_uuid(), None);
    })
    .short(),
    Row::new("name", Json::Text.only(), 92, "required", |r, _, w| w.text(&r.name))
        .writable(1, 1, |r, v, version| {
            r.name = name(&v, version)?;
            Ok(())
        })
        .short(),
    Row::new("owner", Json::Text.or_null(), 92, "null or project id", |r, _, w| {
        w.opt_text(r.owner.as_deref());
    })
    .writable(1, 1, |r, v, _| {
        r.owner = some_text("/owner", v, 255)?;
        Ok(())
    }),
    Row::new("public", Json::Flag.only(), 92, "false", |r, _, w| w.flag(r.public)).writable(
        1,
        1,
        |r, v, _| {
            r.public = flag(&v).unwrap_or(false);
            Ok(())
        },
    ),
    Row::new("steps", Json::List("{interface,step,args,order}").only(), 92, "required", |r, c, w| {
        planned_step::write(w, c, &r.steps, STEPS);
    })
    .writable(1, 1, |r, v, _| {
        r.steps = planned_step::read(v, STEPS)?;
        Ok(())
    }),
    Row::new("traits", Json::Texts.only(), 112, "[]", |r, _, w| {
        w.texts(r.traits.iter().map(Trait::as_str));
    }),
    Row::new("updated_at", Json::Time.or_null(), 92, "null", |r, _, w| w.opt_time(r.updated_at)),
    Row::new("uuid", Json::Uuid.only(), 92, "generated", |r, _, w| w.uuid(r.uuid.as_uuid()))
        .create_only(1, |r, v, _| {
            r.uuid = uuid("/uuid", &v)?.map_or_else(RunbookUuid::random, RunbookUuid::from_uuid);
            Ok(())
        })
        .short(),
];

/// A logical name; before runbooks had traits, their name was one.
fn name(value: &Value, version: Version) -> Result<String, Invalid> {
    if !version.at_least(const { since("runbook-traits") }) {
        return deploy_template::name(value);
    }
    let name = value.as_str().unwrap_or_default();
    validate_logical_name(name).map_err(|error| Invalid::at("/name", error.to_string()))?;
    Ok(name.to_owned())
}
