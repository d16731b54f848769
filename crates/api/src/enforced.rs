//! Which rules each route asks: for people, and for the tests that refuse each rule in turn and look what happens.
//!
//! A handler asks the rules itself, since most depend on the object. A route that is not here, a rule that is asked and
//! not told here, or told and not asked, fails a test.

/// What one route asks.
#[derive(Debug, Clone, Copy)]
pub struct Enforced {
    /// The method.
    pub method: &'static str,
    /// The path, with its open parts in braces.
    pub path: &'static str,
    /// Rules that all have to allow it; of several in one place, one is enough.
    pub always: &'static [&'static [&'static str]],
    /// Rules that are asked, too, when the body says certain things.
    pub sometimes: &'static [&'static str],
}

/// Rules that decide what of a node is shown, wherever nodes are answered.
pub const SHOWN: &[&str] = &[
    "show_password",
    "show_instance_secrets",
    "baremetal:node:get:filter_threshold",
    "baremetal:node:get:last_error",
    "baremetal:node:get:reservation",
    "baremetal:node:get:driver_internal_info",
    "baremetal:node:get:driver_info",
];

/// Rules that only stand in other rules.
pub const BLOCKS: &[&str] = &[
    "admin_api",
    "public_api",
    "service_role",
    "is_member",
    "is_observer",
    "is_admin",
    "is_node_owner",
    "is_node_lessee",
    "is_allocation_owner",
];

/// Rules that no route asks, and why: an operator's file may hold them, and they change nothing.
pub const UNASKED: &[(&str, &str)] = &[(
    "baremetal:allocation:create_pre_rbac",
    "it narrows who may allocate under the rules from before roles had scopes; those in force always have them",
)];

macro_rules! enforced {
    ($($method:ident $path:literal $($($rule:literal)|+),* $(sometimes $($also:literal),+)?;)*) => {
        /// Every route.
        pub const ENFORCED: &[Enforced] = &[$(Enforced {
            method: stringify!($method),
            path: $path,
            always: &[$(&[$(concat!("baremetal:", $rule)),+]),*],
            sometimes: &[$($(concat!("baremetal:", $also)),+)?],
        },)*];
    };
}

enforced! {
    GET "/";
    GET "/v1";
    GET "/v1/openapi.json";

    GET "/v1/nodes" "node:list_all" | "node:list";
    POST "/v1/nodes" "node:create" | "node:create:self_owned_node";
    GET "/v1/nodes/detail" "node:list_all" | "node:list";
    GET "/v1/nodes/validate" "node:get", "node:validate";
    GET "/v1/nodes/{node_ident}" "node:get";
    PATCH "/v1/nodes/{node_ident}" "node:get" sometimes
        "node:update", "node:update_extra", "node:update_instance_info", "node:update:driver_info",
        "node:update:properties", "node:update:chassis_uuid", "node:update:instance_uuid", "node:update:lessee",
        "node:update:owner", "node:update:driver_interfaces", "node:update:network_data",
        "node:update:conductor_group", "node:update:name", "node:update:retired", "node:update:shard",
        "node:update:parent_node", "node:update:disable_power_off", "node:update_owner_provisioned",
        "node:disable_cleaning";
    DELETE "/v1/nodes/{node_ident}" "node:get", "node:delete" | "node:delete:self_owned_node";
    GET "/v1/nodes/{node_ident}/validate" "node:get", "node:validate";
    GET "/v1/nodes/{node_ident}/states" "node:get", "node:get_states";
    PUT "/v1/nodes/{node_ident}/states/power" "node:get", "node:set_power_state";
    PUT "/v1/nodes/{node_ident}/states/provision" "node:get", "node:set_provision_state" sometimes
        "node:set_provision_state:clean_steps", "node:set_provision_state:service_steps",
        "runbook:get", "runbook:use";
    PUT "/v1/nodes/{node_ident}/states/raid" "node:get", "node:set_raid_state";
    PUT "/v1/nodes/{node_ident}/states/boot_mode" "node:get", "node:set_boot_mode";
    PUT "/v1/nodes/{node_ident}/states/secure_boot" "node:get", "node:set_secure_boot";
    GET "/v1/nodes/{node_ident}/states/console" "node:get", "node:get_console";
    PUT "/v1/nodes/{node_ident}/states/console" "node:get", "node:set_console_state";
    PUT "/v1/nodes/{node_ident}/maintenance" "node:get", "node:set_maintenance";
    DELETE "/v1/nodes/{node_ident}/maintenance" "node:get", "node:clear_maintenance";
    GET "/v1/nodes/{node_ident}/management/boot_device" "node:get", "node:get_boot_device";
    PUT "/v1/nodes/{node_ident}/management/boot_device" "node:get", "node:set_boot_device";
    GET "/v1/nodes/{node_ident}/management/boot_device/supported" "node:get", "node:get_boot_device";
    PUT "/v1/nodes/{node_ident}/management/inject_nmi" "node:get", "node:inject_nmi";
    GET "/v1/nodes/{node_ident}/traits" "node:get", "node:traits:list";
    PUT "/v1/nodes/{node_ident}/traits" "node:get", "node:traits:set";
    DELETE "/v1/nodes/{node_ident}/traits" "node:get", "node:traits:delete";
    PUT "/v1/nodes/{node_ident}/traits/{trait}" "node:get", "node:traits:set";
    DELETE "/v1/nodes/{node_ident}/traits/{trait}" "node:get", "node:traits:delete";
    GET "/v1/nodes/{node_ident}/vifs" "node:get", "node:vif:list";
    POST "/v1/nodes/{node_ident}/vifs" "node:get", "node:vif:attach";
    DELETE "/v1/nodes/{node_ident}/vifs/{vif_id}" "node:get", "node:vif:detach";
    GET "/v1/nodes/{node_ident}/history" "node:get", "node:history:get";
    GET "/v1/nodes/{node_ident}/history/{event_uuid}" "node:get", "node:history:get";
    GET "/v1/nodes/{node_ident}/ports" "node:get", "port:list_all" | "port:list";
    POST "/v1/nodes/{node_ident}/ports";
    GET "/v1/nodes/{node_ident}/ports/detail" "node:get", "port:list_all" | "port:list";
    GET "/v1/nodes/{node_ident}/ports/{port_ident}";
    PATCH "/v1/nodes/{node_ident}/ports/{port_ident}";
    DELETE "/v1/nodes/{node_ident}/ports/{port_ident}";
    GET "/v1/nodes/{node_ident}/progress" "node:get", "node:get_states";
    GET "/v1/nodes/{node_ident}/inventory" "node:get", "node:inventory:get";
    GET "/v1/nodes/{node_ident}/allocation" "node:get", "allocation:get";
    DELETE "/v1/nodes/{node_ident}/allocation" "node:get", "allocation:get", "allocation:delete";
    GET "/v1/nodes/{node_ident}/children" "node:get", "node:list_all" | "node:list";
    GET "/v1/nodes/{node_ident}/bios" "node:get", "node:bios:get";
    GET "/v1/nodes/{node_ident}/bios/{setting_name}" "node:get", "node:bios:get";
    GET "/v1/nodes/{node_ident}/firmware" "node:get", "node:firmware:get";
    GET "/v1/nodes/{node_ident}/boot-trace" "node:get", "node:history:get";
    GET "/v1/nodes/{node_ident}/management/indicators" "node:get", "node:get_indicator_state";
    GET "/v1/nodes/{node_ident}/management/indicators/{indicator}" "node:get", "node:get_indicator_state";
    PUT "/v1/nodes/{node_ident}/management/indicators/{indicator}" "node:get", "node:set_indicator_state";
    GET "/v1/nodes/{node_ident}/vmedia" "node:get", "node:vmedia:get";
    POST "/v1/nodes/{node_ident}/vmedia" "node:get", "node:vmedia:attach";
    DELETE "/v1/nodes/{node_ident}/vmedia" "node:get", "node:vmedia:detach";
    GET "/v1/nodes/{node_ident}/vendor_passthru/methods" "node:get", "node:vendor_passthru";
    POST "/v1/nodes/{node_ident}/vendor_passthru/methods" "node:get", "node:vendor_passthru";
    PUT "/v1/nodes/{node_ident}/vendor_passthru/methods" "node:get", "node:vendor_passthru";
    PATCH "/v1/nodes/{node_ident}/vendor_passthru/methods" "node:get", "node:vendor_passthru";
    DELETE "/v1/nodes/{node_ident}/vendor_passthru/methods" "node:get", "node:vendor_passthru";
    GET "/v1/nodes/{node_ident}/vendor_passthru" "node:get", "node:vendor_passthru";
    POST "/v1/nodes/{node_ident}/vendor_passthru" "node:get", "node:vendor_passthru";
    PUT "/v1/nodes/{node_ident}/vendor_passthru" "node:get", "node:vendor_passthru";
    PATCH "/v1/nodes/{node_ident}/vendor_passthru" "node:get", "node:vendor_passthru";
    DELETE "/v1/nodes/{node_ident}/vendor_passthru" "node:get", "node:vendor_passthru";
    GET "/v1/nodes/{node_ident}/vendor_passthru/{method}" "node:get", "node:vendor_passthru";
    POST "/v1/nodes/{node_ident}/vendor_passthru/{method}" "node:get", "node:vendor_passthru";
    PUT "/v1/nodes/{node_ident}/vendor_passthru/{method}" "node:get", "node:vendor_passthru";
    PATCH "/v1/nodes/{node_ident}/vendor_passthru/{method}" "node:get", "node:vendor_passthru";
    DELETE "/v1/nodes/{node_ident}/vendor_passthru/{method}" "node:get", "node:vendor_passthru";
    GET "/v1/nodes/{node_ident}/portgroups" "node:get", "portgroup:list_all" | "portgroup:list";
    GET "/v1/nodes/{node_ident}/portgroups/detail" "node:get", "portgroup:list_all" | "portgroup:list";
    GET "/v1/nodes/{node_ident}/volume" "node:get", "volume:get";
    GET "/v1/nodes/{node_ident}/volume/connectors" "node:get", "volume:list_all" | "volume:list";
    GET "/v1/nodes/{node_ident}/volume/targets" "node:get", "volume:list_all" | "volume:list" sometimes "volume:view_target_properties";

    GET "/v1/ports" "port:list_all" | "port:list";
    POST "/v1/ports" "node:get", "port:create";
    GET "/v1/ports/detail" "port:list_all" | "port:list";
    GET "/v1/ports/{port_ident}" "node:get", "port:get";
    PATCH "/v1/ports/{port_ident}" "node:get", "port:update";
    DELETE "/v1/ports/{port_ident}" "node:get", "port:delete";

    GET "/v1/portgroups" "portgroup:list_all" | "portgroup:list";
    POST "/v1/portgroups" "node:get", "portgroup:create";
    GET "/v1/portgroups/detail" "portgroup:list_all" | "portgroup:list";
    GET "/v1/portgroups/{portgroup_ident}" "node:get", "portgroup:get";
    PATCH "/v1/portgroups/{portgroup_ident}" "node:get", "portgroup:update";
    DELETE "/v1/portgroups/{portgroup_ident}" "node:get", "portgroup:delete";
    GET "/v1/portgroups/{portgroup_ident}/ports" "node:get", "port:list_all" | "port:list";
    GET "/v1/portgroups/{portgroup_ident}/ports/detail" "node:get", "port:list_all" | "port:list";

    GET "/v1/chassis" "chassis:get";
    POST "/v1/chassis" "chassis:create";
    GET "/v1/chassis/detail" "chassis:get";
    GET "/v1/chassis/{chassis_uuid}" "chassis:get";
    PATCH "/v1/chassis/{chassis_uuid}" "chassis:update";
    DELETE "/v1/chassis/{chassis_uuid}" "chassis:delete";
    GET "/v1/chassis/{chassis_uuid}/nodes" "node:list_all" | "node:list";
    GET "/v1/chassis/{chassis_uuid}/nodes/detail" "node:list_all" | "node:list";

    GET "/v1/volume" "volume:get";
    GET "/v1/volume/connectors" "volume:list_all" | "volume:list";
    POST "/v1/volume/connectors" "node:get", "volume:create";
    GET "/v1/volume/connectors/{uuid}" "node:get", "volume:get";
    PATCH "/v1/volume/connectors/{uuid}" "node:get", "volume:update";
    DELETE "/v1/volume/connectors/{uuid}" "node:get", "volume:delete";
    GET "/v1/volume/targets" "volume:list_all" | "volume:list" sometimes "volume:view_target_properties";
    POST "/v1/volume/targets" "node:get", "volume:create" sometimes "volume:view_target_properties";
    GET "/v1/volume/targets/{uuid}" "node:get", "volume:get" sometimes "volume:view_target_properties";
    PATCH "/v1/volume/targets/{uuid}" "node:get", "volume:update" sometimes "volume:view_target_properties";
    DELETE "/v1/volume/targets/{uuid}" "node:get", "volume:delete";

    GET "/v1/drivers" "driver:get";
    GET "/v1/drivers/{driver_name}" "driver:get";
    GET "/v1/drivers/{driver_name}/properties" "driver:get_properties";
    GET "/v1/drivers/{driver_name}/raid/logical_disk_properties" "driver:get_raid_logical_disk_properties";
    GET "/v1/drivers/{driver_name}/vendor_passthru/methods" "driver:vendor_passthru";
    POST "/v1/drivers/{driver_name}/vendor_passthru/methods" "driver:vendor_passthru";
    PUT "/v1/drivers/{driver_name}/vendor_passthru/methods" "driver:vendor_passthru";
    PATCH "/v1/drivers/{driver_name}/vendor_passthru/methods" "driver:vendor_passthru";
    DELETE "/v1/drivers/{driver_name}/vendor_passthru/methods" "driver:vendor_passthru";
    GET "/v1/drivers/{driver_name}/vendor_passthru" "driver:vendor_passthru";
    POST "/v1/drivers/{driver_name}/vendor_passthru" "driver:vendor_passthru";
    PUT "/v1/drivers/{driver_name}/vendor_passthru" "driver:vendor_passthru";
    PATCH "/v1/drivers/{driver_name}/vendor_passthru" "driver:vendor_passthru";
    DELETE "/v1/drivers/{driver_name}/vendor_passthru" "driver:vendor_passthru";
    GET "/v1/drivers/{driver_name}/vendor_passthru/{method}" "driver:vendor_passthru";
    POST "/v1/drivers/{driver_name}/vendor_passthru/{method}" "driver:vendor_passthru";
    PUT "/v1/drivers/{driver_name}/vendor_passthru/{method}" "driver:vendor_passthru";
    PATCH "/v1/drivers/{driver_name}/vendor_passthru/{method}" "driver:vendor_passthru";
    DELETE "/v1/drivers/{driver_name}/vendor_passthru/{method}" "driver:vendor_passthru";

    GET "/v1/conductors" "conductor:get";
    GET "/v1/conductors/{hostname}" "conductor:get";

    GET "/v1/deploy_templates" "deploy_template:get";
    POST "/v1/deploy_templates" "deploy_template:create";
    GET "/v1/deploy_templates/{template_ident}" "deploy_template:get";
    PATCH "/v1/deploy_templates/{template_ident}" "deploy_template:update";
    DELETE "/v1/deploy_templates/{template_ident}" "deploy_template:delete";

    GET "/v1/allocations" "allocation:list_all" | "allocation:list";
    POST "/v1/allocations" "allocation:create" | "allocation:create_restricted";
    GET "/v1/allocations/{allocation_ident}" "allocation:get";
    PATCH "/v1/allocations/{allocation_ident}" "allocation:get", "allocation:update";
    DELETE "/v1/allocations/{allocation_ident}" "allocation:get", "allocation:delete";

    GET "/v1/runbooks" "runbook:list_all" | "runbook:list";
    POST "/v1/runbooks" "runbook:create";
    GET "/v1/runbooks/{runbook_ident}" "runbook:get";
    PATCH "/v1/runbooks/{runbook_ident}" "runbook:get" sometimes
        "runbook:update", "runbook:update:owner", "runbook:update:public";
    DELETE "/v1/runbooks/{runbook_ident}" "runbook:get", "runbook:delete";
    GET "/v1/runbooks/{runbook_ident}/traits" "runbook:get";
    PUT "/v1/runbooks/{runbook_ident}/traits" "runbook:get", "runbook:update";
    DELETE "/v1/runbooks/{runbook_ident}/traits" "runbook:get", "runbook:update";
    PUT "/v1/runbooks/{runbook_ident}/traits/{trait}" "runbook:get", "runbook:update";
    DELETE "/v1/runbooks/{runbook_ident}/traits/{trait}" "runbook:get", "runbook:update";

    GET "/v1/inspection_rules" "inspection_rule:get" | "inspection_rule:list_all";
    POST "/v1/inspection_rules" "inspection_rule:create";
    GET "/v1/inspection_rules/{uuid}" "inspection_rule:get";
    PATCH "/v1/inspection_rules/{uuid}" "inspection_rule:update";
    DELETE "/v1/inspection_rules/{uuid}" "inspection_rule:delete";

    GET "/v1/shards" "shards:get";

    POST "/v1/events" "events:post";
    GET "/v1/events/stream" "node:list_all" | "node:list";

    GET "/v1/lookup" "driver:ipa_lookup";
    POST "/v1/continue_inspection" "driver:ipa_continue_inspection";
    POST "/v1/heartbeat/{node_ident}" "node:ipa_heartbeat";
    POST "/v1/agent/{node_uuid}/progress" "node:ipa_heartbeat";
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::routes::ROUTES;

    #[test]
    fn every_route_names_its_rules() {
        let routes: BTreeSet<(&str, &str)> =
            ROUTES.iter().map(|row| (row.method.as_str(), row.path)).collect();
        let told: BTreeSet<(&str, &str)> = ENFORCED.iter().map(|row| (row.method, row.path)).collect();
        assert_eq!(ENFORCED.len(), told.len(), "a route is there twice");
        let untold: Vec<_> = routes.difference(&told).collect();
        assert!(untold.is_empty(), "say in enforced.rs which rules these routes ask: {untold:?}");
        let gone: Vec<_> = told.difference(&routes).collect();
        assert!(gone.is_empty(), "no such routes: {gone:?}");
    }

    #[test]
    fn every_rule_is_known() {
        let known: BTreeSet<&str> = policy::TABLE.iter().map(|row| row.name).collect();
        for row in ENFORCED {
            for rule in row.always.iter().copied().flatten().chain(row.sometimes) {
                assert!(known.contains(rule), "{} {}: {rule}", row.method, row.path);
            }
        }
    }

    #[test]
    fn every_rule_is_enforced_by_some_route() {
        let told: BTreeSet<&str> = ENFORCED
            .iter()
            .flat_map(|row| row.always.iter().copied().flatten().chain(row.sometimes))
            .chain(SHOWN)
            .chain(BLOCKS)
            .copied()
            .collect();
        let untold: Vec<&str> =
            policy::TABLE.iter().map(|row| row.name).filter(|name| !told.contains(name)).collect();
        assert_eq!(untold, UNASKED.iter().map(|(name, _)| *name).collect::<Vec<_>>());
    }
}
