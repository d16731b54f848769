//! The states of a node, a view of it: `GET /v1/nodes/{id}/states`.

use crate::node::FIELDS;
use crate::{Context, Writer};

/// The fields of a node that the view shows, each from the version that shows it on the node itself.
pub const NODE_STATES: [&str; 11] = [
    "boot_mode",
    "console_enabled",
    "last_error",
    "power_state",
    "provision_state",
    "provision_updated_at",
    "raid_config",
    "secure_boot",
    "target_power_state",
    "target_provision_state",
    "target_raid_config",
];

/// Writes the view of `node`.
pub fn write_node_states(node: &model::Node, cx: &Context<'_>, out: &mut Writer) {
    let shown = FIELDS.iter().filter(|field| NODE_STATES.contains(&field.name) && field.is_shown(cx.version));
    out.raw("{");
    for (index, field) in shown.enumerate() {
        out.key(index == 0, field.name);
        (field.write)(node, cx, out);
    }
    out.raw("}");
}
