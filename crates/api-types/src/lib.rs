//! JSON of the Bare Metal API: one table of fields per resource, and what follows from the tables.
//!
//! A row of a table says what a field is called, which JSON type it has, from which microversion it is shown, accepted
//! at creation and accepted in a patch, how it is written and how it is set. Serialisation, validation, field selection
//! and JSON Patch know nothing but these rows. Knows no HTTP, no store, no policy.

mod allocation;
mod bios_setting;
mod chassis;
mod conductor;
mod config_drive;
mod create;
mod deploy_template;
mod driver;
mod error_body;
mod field;
mod firmware_component;
mod inspection_rule;
mod invalid;
mod link;
mod local_link;
mod mask;
mod node;
mod node_history;
mod node_states;
mod notification;
mod patch;
mod planned_step;
mod port;
mod portgroup;
mod root;
mod runbook;
mod schema;
mod select;
mod shown;
mod step;
mod table;
mod value;
mod volume;
mod writer;

pub use allocation::ALLOCATION;
pub use bios_setting::{BIOS_SETTING, BiosSettingRow};
pub use chassis::CHASSIS;
pub use conductor::CONDUCTOR;
pub use config_drive::check_config_drive;
pub use create::create;
pub use deploy_template::DEPLOY_TEMPLATE;
pub use driver::{DRIVER, DriverRow};
pub use error_body::{Fault, basic_auth_error, envelope, flat_fault, routing_error};
pub use field::{Context, Field, Json, Resource, Type};
pub use firmware_component::FIRMWARE_COMPONENT;
pub use inspection_rule::INSPECTION_RULE;
pub use invalid::{BodyError, Invalid};
pub use link::write_links;
pub use mask::{MASK, write_masked};
pub use node::{NODE, check_network_data, check_node_name};
pub use node_history::{HISTORY, HistoryRow};
pub use node_states::{NODE_STATES, write_node_states};
pub use notification::{
    ALLOCATION_CRUD, CHASSIS_CRUD, DEPLOY_TEMPLATE_CRUD, INSPECTION_RULE_CRUD, NODE_CORRECTED_POWER,
    NODE_CRUD, NODE_PAYLOAD, NODE_SET_POWER, NODE_SET_PROVISION, PORT_CRUD, PORTGROUP_CRUD, Payload,
    RUNBOOK_CRUD, VOLUME_CONNECTOR_CRUD, VOLUME_TARGET_CRUD, redacted,
};
pub use patch::{Operation, Patch, PatchOp};
pub use port::{PORT, check_port};
pub use portgroup::PORTGROUP;
pub use root::{root_document, v1_document};
pub use runbook::RUNBOOK;
pub use schema::{Member, Schema};
pub use select::{Selection, Shape};
pub use shown::Shown;
pub use step::{StepRules, check_steps};
pub use table::{Row, Table};
pub use value::{flag, flag_text};
pub use volume::{VOLUME_CONNECTOR, VOLUME_TARGET};
pub use writer::Writer;
