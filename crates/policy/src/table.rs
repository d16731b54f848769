//! The rules as they are when no operator says otherwise: one row for each, equal to `contract/extra/policies.tsv`.

/// What a token may be for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenScope {
    /// The whole system.
    System,
    /// A project.
    Project,
    /// A domain.
    Domain,
}

impl TokenScope {
    /// Its word in tables and texts.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Project => "project",
            Self::Domain => "domain",
        }
    }
}

/// A rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// Its name.
    pub name: &'static str,
    /// Who may, in the language of oslo.policy.
    pub check: &'static str,
    /// The tokens that may ask at all; any, when empty.
    pub scopes: &'static [TokenScope],
    /// What it guards: method and path.
    pub operations: &'static [&'static str],
    /// The older name and check that stood for this rule: a file that has that name means this rule, too.
    pub was: Option<(&'static str, &'static str)>,
}

/// Administrators of the whole system.
const SYSTEM_ADMIN: &str = "role:admin and system_scope:all";
/// Readers of the whole system, and services.
const SYSTEM_READER: &str =
    "(role:reader and system_scope:all) or (role:service and system_scope:all) or rule:service_role";
/// Members of the whole system, and services.
const SYSTEM_MEMBER: &str = "(role:member and system_scope:all) or rule:service_role";
/// Readers of the whole system, of the owner and of the lessee.
const READER: &str = "((role:reader and system_scope:all) or (role:service and system_scope:all) or \
    rule:service_role) or (role:reader and (project_id:%(node.owner)s or \
    project_id:%(node.lessee)s)) or (role:service and project_id:%(node.owner)s)";
/// Members of the whole system and of the owner.
const OWNER_MEMBER: &str = "((role:member and system_scope:all) or rule:service_role) or (role:service and \
    system_scope:all) or (role:member and project_id:%(node.owner)s) or (role:service and \
    project_id:%(node.owner)s)";
/// Members of the whole system and of the owner, administrators and managers of the lessee.
const OWNER_MEMBER_LESSEE_ADMIN: &str = "((role:member and system_scope:all) or rule:service_role) or (role:service and \
    system_scope:all) or (role:member and project_id:%(node.owner)s) or (role:admin and \
    project_id:%(node.lessee)s) or (role:manager and project_id:%(node.lessee)s) or (role:service \
    and project_id:%(node.owner)s)";
/// Members of the whole system, administrators and managers of the owner.
const OWNER_ADMIN: &str = "((role:member and system_scope:all) or rule:service_role) or (role:service and \
    system_scope:all) or (role:admin and project_id:%(node.owner)s) or (role:manager and \
    project_id:%(node.owner)s) or (role:service and project_id:%(node.owner)s)";
/// Members of the whole system, of the owner and of the lessee.
const MEMBER: &str = "((role:member and system_scope:all) or rule:service_role) or (role:member and \
    (project_id:%(node.owner)s or project_id:%(node.lessee)s)) or (role:service and \
    system_scope:all)";
/// Readers of anything: what is listed is filtered.
const ANY_READER: &str = "(role:reader) or (role:service)";
/// Readers of the whole system and of the owner.
const OWNER_READER: &str = "((role:reader and system_scope:all) or (role:service and system_scope:all) or \
    rule:service_role) or (role:service and system_scope:all) or (role:reader and \
    project_id:%(node.owner)s) or (role:service and project_id:%(node.owner)s)";
/// Administrators of the whole system, administrators and managers of the owner.
const OWNER_ADMIN_OF_PARTS: &str = "(role:admin and system_scope:all) or (role:service and system_scope:all) or (role:admin and \
    project_id:%(node.owner)s) or (role:manager and project_id:%(node.owner)s) or (role:service and \
    project_id:%(node.owner)s)";
/// Members of the whole system, managers of the owner of the runbook.
const RUNBOOK_MANAGER: &str = "((role:member and system_scope:all) or rule:service_role) or (role:manager and \
    project_id:%(runbook.owner)s) or role:service";
/// Members of the whole system, administrators and managers of the owner and of the lessee.
const PROJECT_ADMIN: &str = "((role:member and system_scope:all) or rule:service_role) or (role:service and \
    system_scope:all) or (role:admin and project_id:%(node.owner)s) or (role:manager and \
    project_id:%(node.owner)s) or (role:admin and project_id:%(node.lessee)s) or (role:manager and \
    project_id:%(node.lessee)s) or (role:service and project_id:%(node.owner)s)";
/// Members of the whole system and of the owner of the allocation.
const ALLOCATION_MEMBER: &str = "((role:member and system_scope:all) or rule:service_role) or (role:member and \
    project_id:%(allocation.owner)s)";
/// Nobody at all.
const NOBODY: &str = "!";
/// Everybody, known or not.
const EVERYBODY: &str = "";

macro_rules! table {
    (@scopes any) => { &[] };
    (@scopes system) => { &[TokenScope::System] };
    (@scopes project) => { &[TokenScope::Project] };
    (@scopes both) => { &[TokenScope::System, TokenScope::Project] };
    (@was) => { None };
    (@was $name:literal $check:literal) => { Some(($name, $check)) };
    ($($name:literal $check:tt $scopes:ident [$($operation:literal)*] $(was $old:literal $old_check:literal)?;)*) => {
        /// Every rule, in the contract's order.
        pub const TABLE: &[Row] = &[$(Row {
            name: $name,
            check: $check,
            scopes: table!(@scopes $scopes),
            operations: &[$($operation),*],
            was: table!(@was $($old $old_check)?),
        },)*];
    };
}

table! {
    "admin_api" "role:admin or role:administrator" any [];
    "public_api" "is_public_api:True" any [];
    "show_password" NOBODY any [];
    "show_instance_secrets" NOBODY any [];
    "service_role" "role:service and project_name:%(config.service_project_name)s" any [];
    "is_member"
        "(project_domain_id:default or project_domain_id:None) and (project_name:demo or project_name:baremetal)"
        any [];
    "is_observer" "rule:is_member and (role:observer or role:baremetal_observer)" any [];
    "is_admin" "rule:admin_api or (rule:is_member and role:baremetal_admin)" any [];
    "is_node_owner" "project_id:%(node.owner)s" any [];
    "is_node_lessee" "project_id:%(node.lessee)s" any [];
    "is_allocation_owner" "project_id:%(allocation.owner)s" any [];
    "baremetal:node:create" "(role:admin and system_scope:all) or (role:service and system_scope:all)" both [
        "POST /nodes"
    ] was "baremetal:node:create" "rule:is_admin";
    "baremetal:node:create:self_owned_node" "(role:admin) or (role:service)" both ["POST /nodes"];
    "baremetal:node:list" ANY_READER both ["GET /nodes" "GET /nodes/detail"]
        was "baremetal:node:list" "rule:baremetal:node:get";
    "baremetal:node:list_all" SYSTEM_READER both ["GET /nodes" "GET /nodes/detail"]
        was "baremetal:node:list_all" "rule:baremetal:node:get";
    "baremetal:node:get" READER both ["GET /nodes/{node_ident}"]
        was "baremetal:node:get" "rule:is_admin or rule:is_observer";
    "baremetal:node:get:filter_threshold" SYSTEM_READER both ["GET /nodes/{node_ident}"]
        was "baremetal:node:get" "rule:is_admin or rule:is_observer";
    "baremetal:node:get:last_error" OWNER_READER both ["GET /nodes/{node_ident}"]
        was "baremetal:node:get" "rule:is_admin or rule:is_observer";
    "baremetal:node:get:reservation" OWNER_READER both ["GET /nodes/{node_ident}"]
        was "baremetal:node:get" "rule:is_admin or rule:is_observer";
    "baremetal:node:get:driver_internal_info" OWNER_READER both ["GET /nodes/{node_ident}"]
        was "baremetal:node:get" "rule:is_admin or rule:is_observer";
    "baremetal:node:get:driver_info" OWNER_READER both ["GET /nodes/{node_ident}"]
        was "baremetal:node:get" "rule:is_admin or rule:is_observer";
    "baremetal:node:update:driver_info" OWNER_MEMBER both ["PATCH /nodes/{node_ident}"]
        was "baremetal:node:update" "rule:is_admin";
    "baremetal:node:update:properties" OWNER_MEMBER both ["PATCH /nodes/{node_ident}"]
        was "baremetal:node:update" "rule:is_admin";
    "baremetal:node:update:chassis_uuid" SYSTEM_ADMIN both ["PATCH /nodes/{node_ident}"]
        was "baremetal:node:update" "rule:is_admin";
    "baremetal:node:update:instance_uuid" OWNER_MEMBER both ["PATCH /nodes/{node_ident}"]
        was "baremetal:node:update" "rule:is_admin";
    "baremetal:node:update:lessee" OWNER_MEMBER both ["PATCH /nodes/{node_ident}"]
        was "baremetal:node:update" "rule:is_admin";
    "baremetal:node:update:owner" SYSTEM_MEMBER both ["PATCH /nodes/{node_ident}"]
        was "baremetal:node:update" "rule:is_admin";
    "baremetal:node:update:driver_interfaces" OWNER_ADMIN both ["PATCH /nodes/{node_ident}"]
        was "baremetal:node:update" "rule:is_admin";
    "baremetal:node:update:network_data" OWNER_MEMBER both ["PATCH /nodes/{node_ident}"]
        was "baremetal:node:update" "rule:is_admin";
    "baremetal:node:update:conductor_group" SYSTEM_MEMBER both ["PATCH /nodes/{node_ident}"]
        was "baremetal:node:update" "rule:is_admin";
    "baremetal:node:update:name" OWNER_MEMBER both ["PATCH /nodes/{node_ident}"]
        was "baremetal:node:update" "rule:is_admin";
    "baremetal:node:update:retired" OWNER_MEMBER both ["PATCH /nodes/{node_ident}"]
        was "baremetal:node:update" "rule:is_admin";
    "baremetal:node:update" MEMBER both ["PATCH /nodes/{node_ident}"]
        was "baremetal:node:update" "rule:is_admin";
    "baremetal:node:update_extra" MEMBER both ["PATCH /nodes/{node_ident}"]
        was "baremetal:node:update_extra" "rule:baremetal:node:update";
    "baremetal:node:update_instance_info" OWNER_MEMBER_LESSEE_ADMIN both ["PATCH /nodes/{node_ident}"]
        was "baremetal:node:update_instance_info" "rule:baremetal:node:update";
    "baremetal:node:update_owner_provisioned" SYSTEM_ADMIN system ["PATCH /nodes/{node_ident}"]
        was "baremetal:node:update_owner_provisioned" "rule:is_admin";
    "baremetal:node:delete" SYSTEM_ADMIN both ["DELETE /nodes/{node_ident}"]
        was "baremetal:node:delete" "rule:is_admin";
    "baremetal:node:delete:self_owned_node" "role:admin and project_id:%(node.owner)s" both [
        "DELETE /nodes/{node_ident}"
    ];
    "baremetal:node:validate" OWNER_MEMBER_LESSEE_ADMIN both ["GET /nodes/{node_ident}/validate"]
        was "baremetal:node:validate" "rule:is_admin";
    "baremetal:node:set_maintenance" OWNER_MEMBER_LESSEE_ADMIN both ["PUT /nodes/{node_ident}/maintenance"]
        was "baremetal:node:set_maintenance" "rule:is_admin";
    "baremetal:node:clear_maintenance" OWNER_MEMBER_LESSEE_ADMIN both [
        "DELETE /nodes/{node_ident}/maintenance"
    ] was "baremetal:node:clear_maintenance" "rule:is_admin";
    "baremetal:node:get_boot_device" OWNER_ADMIN both [
        "GET /nodes/{node_ident}/management/boot_device"
        "GET /nodes/{node_ident}/management/boot_device/supported"
    ] was "baremetal:node:get_boot_device" "rule:is_admin or rule:is_observer";
    "baremetal:node:set_boot_device" OWNER_ADMIN both ["PUT /nodes/{node_ident}/management/boot_device"]
        was "baremetal:node:set_maintenance" "rule:is_admin";
    "baremetal:node:get_indicator_state" READER both [
        "GET /nodes/{node_ident}/management/indicators/{component}/{indicator}"
        "GET /nodes/{node_ident}/management/indicators"
    ] was "baremetal:node:get_indicator_state" "rule:is_admin or rule:is_observer";
    "baremetal:node:set_indicator_state" OWNER_MEMBER both [
        "PUT /nodes/{node_ident}/management/indicators/{component}/{indicator}"
    ] was "baremetal:node:set_indicator_state" "rule:is_admin";
    "baremetal:node:inject_nmi" OWNER_ADMIN both ["PUT /nodes/{node_ident}/management/inject_nmi"]
        was "baremetal:node:inject_nmi" "rule:is_admin";
    "baremetal:node:get_states" READER both ["GET /nodes/{node_ident}/states"]
        was "baremetal:node:get_states" "rule:is_admin or rule:is_observer";
    "baremetal:node:set_power_state" MEMBER both ["PUT /nodes/{node_ident}/states/power"]
        was "baremetal:node:set_power_state" "rule:is_admin";
    "baremetal:node:set_boot_mode" MEMBER both ["PUT /nodes/{node_ident}/states/boot_mode"]
        was "baremetal:node:set_power_state" "rule:is_admin";
    "baremetal:node:set_secure_boot" MEMBER both ["PUT /nodes/{node_ident}/states/secure_boot"]
        was "baremetal:node:set_power_state" "rule:is_admin";
    "baremetal:node:set_provision_state" OWNER_MEMBER_LESSEE_ADMIN both [
        "PUT /nodes/{node_ident}/states/provision"
    ] was "baremetal:node:set_provision_state" "rule:is_admin";
    "baremetal:node:set_provision_state:clean_steps" OWNER_MEMBER_LESSEE_ADMIN both [
        "PUT /nodes/{node_ident}/states/provision"
    ];
    "baremetal:node:set_provision_state:service_steps" OWNER_MEMBER_LESSEE_ADMIN both [
        "PUT /nodes/{node_ident}/states/provision"
    ];
    "baremetal:node:set_raid_state" OWNER_MEMBER both ["PUT /nodes/{node_ident}/states/raid"]
        was "baremetal:node:set_raid_state" "rule:is_admin";
    "baremetal:node:get_console" OWNER_MEMBER both ["GET /nodes/{node_ident}/states/console"]
        was "baremetal:node:get_console" "rule:is_admin";
    "baremetal:node:set_console_state" OWNER_MEMBER both ["PUT /nodes/{node_ident}/states/console"]
        was "baremetal:node:set_console_state" "rule:is_admin";
    "baremetal:node:vif:list" READER both ["GET /nodes/{node_ident}/vifs"]
        was "baremetal:node:vif:list" "rule:is_admin";
    "baremetal:node:vif:attach" OWNER_MEMBER_LESSEE_ADMIN both ["POST /nodes/{node_ident}/vifs"]
        was "baremetal:node:vif:attach" "rule:is_admin";
    "baremetal:node:vif:detach" OWNER_MEMBER_LESSEE_ADMIN both [
        "DELETE /nodes/{node_ident}/vifs/{node_vif_ident}"
    ] was "baremetal:node:vif:detach" "rule:is_admin";
    "baremetal:node:traits:list" READER both ["GET /nodes/{node_ident}/traits"]
        was "baremetal:node:traits:list" "rule:is_admin or rule:is_observer";
    "baremetal:node:traits:set" OWNER_ADMIN both [
        "PUT /nodes/{node_ident}/traits"
        "PUT /nodes/{node_ident}/traits/{trait}"
    ] was "baremetal:node:traits:set" "rule:is_admin";
    "baremetal:node:traits:delete" OWNER_ADMIN both [
        "DELETE /nodes/{node_ident}/traits"
        "DELETE /nodes/{node_ident}/traits/{trait}"
    ] was "baremetal:node:traits:delete" "rule:is_admin";
    "baremetal:node:bios:get" READER both [
        "GET /nodes/{node_ident}/bios"
        "GET /nodes/{node_ident}/bios/{setting}"
    ] was "baremetal:node:bios:get" "rule:is_admin or rule:is_observer";
    "baremetal:node:disable_cleaning" SYSTEM_ADMIN both ["PATCH /nodes/{node_ident}"]
        was "baremetal:node:disable_cleaning" "rule:baremetal:node:update";
    "baremetal:node:history:get" OWNER_READER both [
        "GET /nodes/{node_ident}/history"
        "GET /nodes/{node_ident}/history/{event_ident}"
    ] was "baremetal:node:get" "rule:is_admin or rule:is_observer";
    "baremetal:node:inventory:get" OWNER_READER both ["GET /nodes/{node_ident}/inventory"]
        was "baremetal:node:get" "rule:is_admin or rule:is_observer";
    "baremetal:node:update:shard" SYSTEM_ADMIN both ["PATCH /nodes/{node_ident}"];
    "baremetal:shards:get" SYSTEM_READER both ["GET /shards"];
    "baremetal:node:update:parent_node" SYSTEM_MEMBER both ["PATCH /nodes/{node_ident}"];
    "baremetal:node:update:disable_power_off" SYSTEM_ADMIN both ["PATCH /nodes/{node_ident}"];
    "baremetal:node:firmware:get" READER both ["GET /nodes/{node_ident}/firmware"];
    "baremetal:node:vmedia:attach" MEMBER both ["POST /nodes/{node_ident}/vmedia"];
    "baremetal:node:vmedia:detach" MEMBER both ["DELETE /nodes/{node_ident}/vmedia"];
    "baremetal:node:vmedia:get" READER both ["GET /nodes/{node_ident}/vmedia"];
    "baremetal:port:get" READER both [
        "GET /ports/{port_id}"
        "GET /nodes/{node_ident}/ports"
        "GET /nodes/{node_ident}/ports/detail"
        "GET /portgroups/{portgroup_ident}/ports"
        "GET /portgroups/{portgroup_ident}/ports/detail"
    ] was "baremetal:port:get" "rule:is_admin or rule:is_observer";
    "baremetal:port:list" ANY_READER both ["GET /ports" "GET /ports/detail"]
        was "baremetal:port:list" "rule:baremetal:port:get";
    "baremetal:port:list_all" SYSTEM_READER both ["GET /ports" "GET /ports/detail"]
        was "baremetal:port:list_all" "rule:baremetal:port:get";
    "baremetal:port:create" OWNER_ADMIN_OF_PARTS both ["POST /ports"]
        was "baremetal:port:create" "rule:is_admin";
    "baremetal:port:delete" OWNER_ADMIN_OF_PARTS both ["DELETE /ports/{port_id}"]
        was "baremetal:port:delete" "rule:is_admin";
    "baremetal:port:update" OWNER_ADMIN both ["PATCH /ports/{port_id}"]
        was "baremetal:port:update" "rule:is_admin";
    "baremetal:portgroup:get" READER both [
        "GET /portgroups"
        "GET /portgroups/detail"
        "GET /portgroups/{portgroup_ident}"
        "GET /nodes/{node_ident}/portgroups"
        "GET /nodes/{node_ident}/portgroups/detail"
    ] was "baremetal:portgroup:get" "rule:is_admin or rule:is_observer";
    "baremetal:portgroup:create" OWNER_ADMIN_OF_PARTS both ["POST /portgroups"]
        was "baremetal:portgroup:create" "rule:is_admin";
    "baremetal:portgroup:delete" OWNER_ADMIN_OF_PARTS both ["DELETE /portgroups/{portgroup_ident}"]
        was "baremetal:portgroup:delete" "rule:is_admin";
    "baremetal:portgroup:update" OWNER_ADMIN both ["PATCH /portgroups/{portgroup_ident}"]
        was "baremetal:portgroup:update" "rule:is_admin";
    "baremetal:portgroup:list" ANY_READER both ["GET /portgroups" "GET /portgroups/detail"]
        was "baremetal:portgroup:get" "rule:is_admin or rule:is_observer";
    "baremetal:portgroup:list_all" SYSTEM_READER both ["GET /portgroups" "GET /portgroups/detail"]
        was "baremetal:portgroup:get" "rule:is_admin or rule:is_observer";
    "baremetal:chassis:get" SYSTEM_READER system [
        "GET /chassis"
        "GET /chassis/detail"
        "GET /chassis/{chassis_id}"
    ] was "baremetal:chassis:get" "rule:is_admin or rule:is_observer";
    "baremetal:chassis:create" SYSTEM_ADMIN system ["POST /chassis"]
        was "baremetal:chassis:create" "rule:is_admin";
    "baremetal:chassis:delete" SYSTEM_ADMIN system ["DELETE /chassis/{chassis_id}"]
        was "baremetal:chassis:delete" "rule:is_admin";
    "baremetal:chassis:update" SYSTEM_MEMBER system ["PATCH /chassis/{chassis_id}"]
        was "baremetal:chassis:update" "rule:is_admin";
    "baremetal:driver:get" SYSTEM_READER system ["GET /drivers" "GET /drivers/{driver_name}"]
        was "baremetal:driver:get" "rule:is_admin or rule:is_observer";
    "baremetal:driver:get_properties" SYSTEM_READER system ["GET /drivers/{driver_name}/properties"]
        was "baremetal:driver:get_properties" "rule:is_admin or rule:is_observer";
    "baremetal:driver:get_raid_logical_disk_properties" SYSTEM_READER system [
        "GET /drivers/{driver_name}/raid/logical_disk_properties"
    ] was "baremetal:driver:get_raid_logical_disk_properties" "rule:is_admin or rule:is_observer";
    "baremetal:node:vendor_passthru" SYSTEM_ADMIN both [
        "GET nodes/{node_ident}/vendor_passthru/methods"
        "GET nodes/{node_ident}/vendor_passthru?method={method_name}"
        "PUT nodes/{node_ident}/vendor_passthru?method={method_name}"
        "POST nodes/{node_ident}/vendor_passthru?method={method_name}"
        "PATCH nodes/{node_ident}/vendor_passthru?method={method_name}"
        "DELETE nodes/{node_ident}/vendor_passthru?method={method_name}"
    ] was "baremetal:node:vendor_passthru" "rule:is_admin";
    "baremetal:driver:vendor_passthru" SYSTEM_ADMIN system [
        "GET drivers/{driver_name}/vendor_passthru/methods"
        "GET drivers/{driver_name}/vendor_passthru?method={method_name}"
        "PUT drivers/{driver_name}/vendor_passthru?method={method_name}"
        "POST drivers/{driver_name}/vendor_passthru?method={method_name}"
        "PATCH drivers/{driver_name}/vendor_passthru?method={method_name}"
        "DELETE drivers/{driver_name}/vendor_passthru?method={method_name}"
    ] was "baremetal:driver:vendor_passthru" "rule:is_admin";
    "baremetal:node:ipa_heartbeat" EVERYBODY any ["POST /heartbeat/{node_ident}"]
        was "baremetal:node:ipa_heartbeat" "rule:public_api";
    "baremetal:driver:ipa_lookup" EVERYBODY any ["GET /lookup"]
        was "baremetal:driver:ipa_lookup" "rule:public_api";
    "baremetal:driver:ipa_continue_inspection" EVERYBODY any ["POST /continue_inspection"];
    "baremetal:volume:list_all" SYSTEM_READER both [
        "GET /volume/connectors"
        "GET /volume/targets"
        "GET /nodes/{node_ident}/volume/connectors"
        "GET /nodes/{node_ident}/volume/targets"
    ] was "baremetal:volume:get" "rule:is_admin or rule:is_observer";
    "baremetal:volume:list" ANY_READER both [
        "GET /volume/connectors"
        "GET /volume/targets"
        "GET /nodes/{node_ident}/volume/connectors"
        "GET /nodes/{node_ident}/volume/targets"
    ] was "baremetal:volume:get" "rule:is_admin or rule:is_observer";
    "baremetal:volume:get" READER both [
        "GET /volume"
        "GET /volume/connectors"
        "GET /volume/connectors/{volume_connector_id}"
        "GET /volume/targets"
        "GET /volume/targets/{volume_target_id}"
        "GET /nodes/{node_ident}/volume"
        "GET /nodes/{node_ident}/volume/connectors"
        "GET /nodes/{node_ident}/volume/targets"
    ] was "baremetal:volume:get" "rule:is_admin or rule:is_observer";
    "baremetal:volume:create" PROJECT_ADMIN both ["POST /volume/connectors" "POST /volume/targets"]
        was "baremetal:volume:create" "rule:is_admin";
    "baremetal:volume:delete" PROJECT_ADMIN both [
        "DELETE /volume/connectors/{volume_connector_id}"
        "DELETE /volume/targets/{volume_target_id}"
    ] was "baremetal:volume:delete" "rule:is_admin";
    "baremetal:volume:update" OWNER_MEMBER_LESSEE_ADMIN both [
        "PATCH /volume/connectors/{volume_connector_id}"
        "PATCH /volume/targets/{volume_target_id}"
    ] was "baremetal:volume:update" "rule:is_admin";
    "baremetal:volume:view_target_properties"
        "((role:reader and system_scope:all) or (role:service and system_scope:all) or \
        rule:service_role) or (role:admin)"
        both ["GET /volume/connectors/{volume_connector_id}" "GET /volume/targets/{volume_target_id}"]
        was "baremetal:volume:update" "rule:is_admin";
    "baremetal:conductor:get" SYSTEM_READER both ["GET /conductors" "GET /conductors/{hostname}"]
        was "baremetal:conductor:get" "rule:is_admin or rule:is_observer";
    "baremetal:allocation:get"
        "((role:reader and system_scope:all) or (role:service and system_scope:all) or \
        rule:service_role) or (role:reader and project_id:%(allocation.owner)s)"
        both ["GET /allocations/{allocation_id}" "GET /nodes/{node_ident}/allocation"]
        was "baremetal:allocation:get" "rule:is_admin or rule:is_observer";
    "baremetal:allocation:list" ANY_READER both ["GET /allocations"]
        was "baremetal:allocation:list" "rule:baremetal:allocation:get";
    "baremetal:allocation:list_all" SYSTEM_READER both ["GET /allocations"]
        was "baremetal:allocation:list_all" "rule:baremetal:allocation:get and is_admin_project:True";
    "baremetal:allocation:create" "((role:member and system_scope:all) or rule:service_role) or (role:member)" both [
        "POST /allocations"
    ] was "baremetal:allocation:create" "rule:is_admin and is_admin_project:True";
    "baremetal:allocation:create_restricted" SYSTEM_MEMBER both ["POST /allocations"]
        was "baremetal:allocation:create_restricted" "rule:baremetal:allocation:create";
    "baremetal:allocation:delete" ALLOCATION_MEMBER both [
        "DELETE /allocations/{allocation_id}"
        "DELETE /nodes/{node_ident}/allocation"
    ] was "baremetal:allocation:delete" "rule:is_admin";
    "baremetal:allocation:update" ALLOCATION_MEMBER both ["PATCH /allocations/{allocation_id}"]
        was "baremetal:allocation:update" "rule:is_admin";
    "baremetal:allocation:create_pre_rbac"
        "(rule:is_member and role:baremetal_admin) or (is_admin_project:True and role:admin)"
        project ["PATCH /allocations/{allocation_id}"];
    "baremetal:events:post" SYSTEM_ADMIN system ["POST /events"] was "baremetal:events:post" "rule:is_admin";
    "baremetal:deploy_template:get" SYSTEM_READER both [
        "GET /deploy_templates"
        "GET /deploy_templates/{deploy_template_ident}"
    ] was "baremetal:deploy_template:get" "rule:is_admin or rule:is_observer";
    "baremetal:deploy_template:create" SYSTEM_ADMIN both ["POST /deploy_templates"]
        was "baremetal:deploy_template:create" "rule:is_admin";
    "baremetal:deploy_template:delete" SYSTEM_ADMIN both [
        "DELETE /deploy_templates/{deploy_template_ident}"
    ] was "baremetal:deploy_template:delete" "rule:is_admin";
    "baremetal:deploy_template:update" SYSTEM_ADMIN both [
        "PATCH /deploy_templates/{deploy_template_ident}"
    ] was "baremetal:deploy_template:update" "rule:is_admin";
    "baremetal:runbook:get"
        "((role:reader and system_scope:all) or (role:service and system_scope:all) or \
        rule:service_role) or (role:reader and project_id:%(runbook.owner)s) or role:service"
        both ["GET /runbooks/{runbook_ident}"];
    "baremetal:runbook:list" ANY_READER both ["GET /runbooks"];
    "baremetal:runbook:list_all" SYSTEM_READER both ["GET /runbooks"];
    "baremetal:runbook:create"
        "((role:member and system_scope:all) or rule:service_role) or role:manager or role:service"
        both ["POST /runbooks"];
    "baremetal:runbook:delete" RUNBOOK_MANAGER both ["DELETE /runbooks/{runbook_ident}"];
    "baremetal:runbook:update" RUNBOOK_MANAGER both ["PATCH /runbooks/{runbook_ident}"];
    "baremetal:runbook:update:public" SYSTEM_MEMBER both ["PATCH /runbooks/{runbook_ident}/public"];
    "baremetal:runbook:update:owner" SYSTEM_MEMBER both ["PATCH /runbooks/{runbook_ident}/owner"];
    "baremetal:runbook:use" RUNBOOK_MANAGER both ["PUT /nodes/{node_ident}/states/provision"];
    "baremetal:inspection_rule:get" SYSTEM_READER both [
        "GET /inspection_rules"
        "GET /inspection_rules/{rule_id}"
    ];
    "baremetal:inspection_rule:list_all" SYSTEM_READER both ["GET /inspection_rules"];
    "baremetal:inspection_rule:create" SYSTEM_ADMIN both ["POST /inspection_rules"];
    "baremetal:inspection_rule:update" SYSTEM_ADMIN both ["PATCH /inspection_rules/{rule_id}"];
    "baremetal:inspection_rule:delete" SYSTEM_ADMIN both [
        "DELETE /inspection_rules"
        "DELETE /inspection_rules/{rule_id}"
    ];
}
