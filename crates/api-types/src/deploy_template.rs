//! Deploy templates: the table of their fields.

use model::{DeployTemplate, DeployTemplateUuid, Trait};
use serde_json::Value;

use crate::link::write_object_links;
use crate::planned_step::{self, Spelling};
use crate::value::{object, text_up_to, uuid};
use crate::{Field, Invalid, Json, Resource};

/// Deploy templates.
pub const DEPLOY_TEMPLATE: Resource<DeployTemplate> =
    Resource { name: "deploy_template", collection: "deploy_templates", fields: FIELDS };

type Row = Field<DeployTemplate>;

const STEPS: Spelling = Spelling { turn: "priority", needs_args: true, unique: true };

const FIELDS: &[Row] = &[
    Row::new("created_at", Json::Time.only(), 55, "now", |t, _, w| w.time(t.created_at)),
    // Accepted for the sake of clients that send it; there is no place for it.
    Row::new("description", Json::Text.or_null(), 55, "-", |_, _, w| w.null()).hidden().create_only(
        1,
        |_, v, _| {
            text_up_to("/description", v, 255)?;
            Ok(())
        },
    ),
    Row::new("extra", Json::Object.only(), 55, "{}", |t, _, w| w.object(&t.extra)).writable(
        1,
        1,
        |t, v, _| {
            t.extra = object(v);
            Ok(())
        },
    ),
    Row::new("links", Json::Links.only(), 55, "links", |t, c, w| {
        write_object_links(w, c, "deploy_templates", t.uuid.as_uuid(), None);
    })
    .short(),
    Row::new("name", Json::Text.only(), 55, "required", |t, _, w| w.text(&t.name))
        .writable(1, 1, |t, v, _| {
            t.name = name(&v)?;
            Ok(())
        })
        .short(),
    Row::new("steps", Json::List("{interface,step,args,priority}").only(), 55, "required", |t, c, w| {
        planned_step::write(w, c, &t.steps, STEPS);
    })
    .writable(1, 1, |t, v, _| {
        t.steps = planned_step::read(v, STEPS)?;
        Ok(())
    }),
    Row::new("updated_at", Json::Time.or_null(), 55, "null", |t, _, w| w.opt_time(t.updated_at)),
    Row::new("uuid", Json::Uuid.only(), 55, "generated", |t, _, w| w.uuid(t.uuid.as_uuid()))
        .create_only(1, |t, v, _| {
            t.uuid =
                uuid("/uuid", &v)?.map_or_else(DeployTemplateUuid::random, DeployTemplateUuid::from_uuid);
            Ok(())
        })
        .short(),
];

/// The name of a trait: a template is chosen by it.
pub(crate) fn name(value: &Value) -> Result<String, Invalid> {
    let text = value.as_str().unwrap_or_default();
    let name: Trait =
        text.parse().map_err(|error: model::InvalidTrait| Invalid::at("/name", error.to_string()))?;
    Ok(name.to_string())
}
