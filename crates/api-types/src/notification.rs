//! What others are told of a change: payloads named, versioned and filled as Ironic's versioned notifications are, so
//! that their readers can read ours (`contract/extra/notification_payloads.tsv`).
//!
//! A payload is a choice of fields of a resource's table, secrets masked as in replies. Knows nothing of how it travels.

use microversion::Version;
use model::{
    Allocation, Chassis, DeployTemplate, InspectionRule, Node, Port, Portgroup, Runbook, Timestamp,
    VolumeConnector, VolumeTarget,
};

use serde_json::Value;

use crate::{
    ALLOCATION, CHASSIS, Context, DEPLOY_TEMPLATE, INSPECTION_RULE, NODE, PORT, PORTGROUP, RUNBOOK, Resource,
    Shown, VOLUME_CONNECTOR, VOLUME_TARGET, Writer, shown,
};

/// A kind of payload.
#[derive(Debug)]
pub struct Payload<T: 'static> {
    /// Its name: `NodeCRUDPayload` …
    pub class: &'static str,
    /// Its version: `1.15` …
    pub version: &'static str,
    /// The fields that are the resource's.
    pub fields: &'static [&'static [&'static str]],
    /// The fields that only the change knows.
    pub extra: &'static [&'static str],
    resource: &'static Resource<T>,
}

/// What every payload about a node has.
const NODE_FIELDS: &[&str] = &[
    "bios_interface",
    "boot_interface",
    "boot_mode",
    "clean_step",
    "conductor_group",
    "console_enabled",
    "console_interface",
    "created_at",
    "deploy_interface",
    "deploy_step",
    "description",
    "disable_power_off",
    "driver",
    "extra",
    "fault",
    "inspect_interface",
    "inspection_finished_at",
    "inspection_started_at",
    "instance_uuid",
    "last_error",
    "lessee",
    "maintenance",
    "maintenance_reason",
    "management_interface",
    "name",
    "network_interface",
    "owner",
    "power_interface",
    "power_state",
    "properties",
    "protected",
    "protected_reason",
    "provision_state",
    "provision_updated_at",
    "raid_interface",
    "rescue_interface",
    "resource_class",
    "retired",
    "retired_reason",
    "secure_boot",
    "storage_interface",
    "target_power_state",
    "target_provision_state",
    "traits",
    "updated_at",
    "uuid",
    "vendor_interface",
];

macro_rules! payloads {
    ($($(#[$doc:meta])* $name:ident: $class:literal $version:literal $resource:ident of $noun:ty
        = [$($fields:expr),*] $(+ [$($extra:literal),*])?;)*) => {
        $($(#[$doc])*
        pub const $name: Payload<$noun> = Payload {
            class: $class,
            version: $version,
            fields: &[$($fields),*],
            extra: &[$($($extra),*)?],
            resource: &$resource,
        };)*
    };
}

payloads! {
    /// Maintenance and consoles of a node.
    NODE_PAYLOAD: "NodePayload" "1.17" NODE of Node = [NODE_FIELDS];
    /// A node enrolled, changed or deleted.
    NODE_CRUD: "NodeCRUDPayload" "1.15" NODE of Node
        = [NODE_FIELDS, &["chassis_uuid", "driver_info", "instance_info"]];
    /// A change of power that was asked for; the target comes with it.
    NODE_SET_POWER: "NodeSetPowerStatePayload" "1.17" NODE of Node = [NODE_FIELDS] + ["to_power"];
    /// A change of power that nobody asked for; what it was before comes with it.
    NODE_CORRECTED_POWER: "NodeCorrectedPowerStatePayload" "1.17" NODE of Node = [NODE_FIELDS] + ["from_power"];
    /// A change of the provision state; the event, and state and target before it come with it.
    NODE_SET_PROVISION: "NodeSetProvisionStatePayload" "1.18" NODE of Node
        = [NODE_FIELDS, &["driver_internal_info", "instance_info"]]
        + ["event", "previous_provision_state", "previous_target_provision_state"];
    /// A port.
    PORT_CRUD: "PortCRUDPayload" "1.8" PORT of Port = [&[
        "address", "available_for_dynamic_portgroup", "category", "created_at", "description", "extra", "is_smartnic",
        "local_link_connection", "name", "node_uuid", "physical_network", "portgroup_uuid", "pxe_enabled", "updated_at",
        "uuid", "vendor"
    ]];
    /// A portgroup.
    PORTGROUP_CRUD: "PortgroupCRUDPayload" "1.3" PORTGROUP of Portgroup = [&[
        "address", "category", "created_at", "dynamic_portgroup", "extra", "mode", "name", "node_uuid",
        "physical_network", "properties", "standalone_ports_supported", "updated_at", "uuid"
    ]];
    /// A chassis.
    CHASSIS_CRUD: "ChassisCRUDPayload" "1.0" CHASSIS of Chassis
        = [&["created_at", "description", "extra", "updated_at", "uuid"]];
    /// A volume connector.
    VOLUME_CONNECTOR_CRUD: "VolumeConnectorCRUDPayload" "1.0" VOLUME_CONNECTOR of VolumeConnector
        = [&["connector_id", "created_at", "extra", "node_uuid", "type", "updated_at", "uuid"]];
    /// A volume target.
    VOLUME_TARGET_CRUD: "VolumeTargetCRUDPayload" "1.0" VOLUME_TARGET of VolumeTarget = [&[
        "boot_index", "created_at", "extra", "node_uuid", "properties", "updated_at", "uuid", "volume_id", "volume_type"
    ]];
    /// A deploy template.
    DEPLOY_TEMPLATE_CRUD: "DeployTemplateCRUDPayload" "1.0" DEPLOY_TEMPLATE of DeployTemplate
        = [&["created_at", "extra", "name", "steps", "updated_at", "uuid"]];
    /// A runbook.
    RUNBOOK_CRUD: "RunbookCRUDPayload" "1.1" RUNBOOK of Runbook = [&[
        "created_at", "description", "disable_ramdisk", "extra", "name", "owner", "public", "steps", "traits",
        "updated_at", "uuid"
    ]];
    /// An allocation.
    ALLOCATION_CRUD: "AllocationCRUDPayload" "1.1" ALLOCATION of Allocation = [&[
        "candidate_nodes", "created_at", "extra", "last_error", "name", "node_uuid", "owner", "resource_class", "state",
        "traits", "updated_at", "uuid"
    ]];
    /// An inspection rule.
    INSPECTION_RULE_CRUD: "InspectionRuleCRUDPayload" "1.0" INSPECTION_RULE of InspectionRule = [&[
        "actions", "conditions", "created_at", "description", "phase", "priority", "scope", "sensitive", "updated_at",
        "uuid"
    ]];
}

impl<T> Payload<T> {
    /// The payload about `item` as JSON on one line; `extra` has a value for each extra field, in their order. Fields
    /// that the resource does not have are null.
    pub fn json(&self, item: &T, extra: &[Option<&str>]) -> String {
        let nobody = |_: &Node| None;
        let epoch = Timestamp::from_micros(0);
        let cx = Context {
            base: "",
            version: Version::MAX,
            now: epoch,
            reveal: false,
            shown: &Shown::default(),
            conductor_of: &nobody,
            alive_since: epoch,
        };
        let mut out = Writer::with_capacity(2048);
        out.raw("{\"ironic_object.name\":");
        out.text(self.class);
        out.raw(",\"ironic_object.namespace\":\"ironic\",\"ironic_object.version\":");
        out.text(self.version);
        out.raw(",\"ironic_object.data\":{");
        let mut first = true;
        for name in self.fields.iter().copied().flatten().copied() {
            out.key(std::mem::take(&mut first), name);
            match self.resource.field(name) {
                Some(field) => (field.write)(item, &cx, &mut out),
                None => out.null(),
            }
        }
        for (name, value) in self.extra.iter().zip(extra) {
            out.key(false, name);
            out.opt_text(*value);
        }
        out.raw("}}");
        // Strings have no raw line ends; those between the members of stored objects mean nothing.
        String::from_utf8(out.into_bytes()).unwrap_or_default().replace(['\n', '\r'], " ")
    }
}

/// A payload as those are told who are shown less of nodes than everything; `owner` and `lessee` are those of the time.
/// `None` when they are shown all of it.
pub fn redacted(payload: &str, shown: &Shown, owner: Option<&str>, lessee: Option<&str>) -> Option<String> {
    let last_error = format!("\"{}\"", shown::LAST_ERROR);
    let hidden: Vec<(&str, &str)> = [
        ("driver_info", &shown.driver_info, shown::DRIVER_INFO),
        ("driver_internal_info", &shown.driver_internal_info, shown::DRIVER_INTERNAL_INFO),
        ("last_error", &shown.last_error, last_error.as_str()),
    ]
    .into_iter()
    .filter(|(_, scope, _)| !scope.admits(owner, lessee))
    .map(|(name, _, instead)| (name, instead))
    .collect();
    if hidden.is_empty() {
        return None;
    }
    let mut value: Value = serde_json::from_str(payload).ok()?;
    let data = value.get_mut("ironic_object.data")?.as_object_mut()?;
    for (name, instead) in hidden {
        if let Some(member) = data.get_mut(name) {
            *member = serde_json::from_str(instead).unwrap_or_default();
        }
    }
    Some(value.to_string())
}
