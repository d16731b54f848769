//! Every route as a row. From which version on a route answers is said by the releases (`microversion`).

use api_types::{
    ALLOCATION, BIOS_SETTING, CHASSIS, CONDUCTOR, DEPLOY_TEMPLATE, DRIVER, FIRMWARE_COMPONENT, HISTORY,
    INSPECTION_RULE, NODE, NODE_STATES, PORT, PORTGROUP, RUNBOOK, Schema, VOLUME_CONNECTOR, VOLUME_TARGET,
};
use axum::routing::MethodFilter;
use futures_util::future::BoxFuture;
use http::Method;

use crate::bodies;
use crate::operation::Operation;
use crate::params::{self, DETAIL, FIELDS, PAGE, VIEW};
use crate::reply::Answer;
use crate::request::Request;
use crate::v1::{
    agent_progress, conductors, drivers, node_boot, node_create, node_delete, node_history, node_list,
    node_maintenance, node_management, node_power, node_progress, node_provision, node_show, node_traits,
    node_update, node_vifs, port_update, ports, ramdisk, root,
};
use crate::v1::{allocations, continue_inspection, node_allocation};
use crate::v1::{chassis, portgroup_update, portgroups, volume, volume_connectors, volume_targets};
use crate::v1::{deploy_templates, event_stream, events, inspection_rules, node_children, node_inventory};
use crate::v1::{node_bios, node_console, node_firmware, node_indicators, node_media, node_raid, vendor};
use crate::v1::{node_boot_trace, openapi, runbook_traits, runbooks, shards};

/// One route.
#[derive(Debug)]
pub(crate) struct Route {
    /// The method.
    pub(crate) method: Method,
    /// The path, with its open parts in braces.
    pub(crate) path: &'static str,
    /// What answers.
    pub(crate) handler: fn(Request) -> BoxFuture<'static, Answer>,
    /// What it takes and gives.
    pub(crate) operation: Option<Operation>,
}

impl Route {
    /// The method as the router wants it.
    pub(crate) fn filter(&self) -> MethodFilter {
        match self.method {
            Method::POST => MethodFilter::POST,
            Method::PUT => MethodFilter::PUT,
            Method::PATCH => MethodFilter::PATCH,
            Method::DELETE => MethodFilter::DELETE,
            _ => MethodFilter::GET,
        }
    }
}

macro_rules! routes {
    ($($method:ident $path:literal $handler:path $(, $operation:expr)?;)*) => {
        /// All routes; rows of the same path stand together.
        pub(crate) static ROUTES: &[Route] = &[
            $(Route {
                method: Method::$method,
                path: $path,
                handler: |request| Box::pin($handler(request)),
                operation: routes!(@operation $($operation)?),
            },)*
        ];
    };
    (@operation) => { None };
    (@operation $operation:expr) => { Some($operation) };
}

routes! {
    GET "/" root::root,
        Operation::get(Schema::OBJECT);
    GET "/v1" root::v1,
        Operation::get(Schema::OBJECT);
    GET "/v1/openapi.json" openapi::show,
        Operation::get(Schema::OBJECT);

    GET "/v1/nodes" node_list::list,
        Operation::list("nodes", &NODE).asks("nodes", &[PAGE, VIEW, params::NODES]);
    POST "/v1/nodes" node_create::create,
        Operation::create(&NODE);
    GET "/v1/nodes/detail" node_list::detail,
        Operation::detail("nodes", &NODE).asks("nodes", &[PAGE, params::NODES]);
    GET "/v1/nodes/validate" node_management::validate_named,
        Operation::get(bodies::VERDICTS).asks("node", &[params::WHICH_NODE]);
    GET "/v1/nodes/{node_ident}" node_show::show,
        Operation::show("nodes", &NODE);
    PATCH "/v1/nodes/{node_ident}" node_update::update,
        Operation::update(&NODE).asks("node", &[params::RESET_INTERFACES]);
    DELETE "/v1/nodes/{node_ident}" node_delete::delete,
        Operation::done();
    GET "/v1/nodes/{node_ident}/validate" node_management::validate,
        Operation::get(bodies::VERDICTS);
    GET "/v1/nodes/{node_ident}/states" node_show::states,
        Operation::get(Schema::Part(&NODE, &NODE_STATES));
    PUT "/v1/nodes/{node_ident}/states/power" node_power::set_power,
        Operation::begun().takes(bodies::POWER);
    PUT "/v1/nodes/{node_ident}/states/provision" node_provision::provision,
        Operation::begun().takes(bodies::PROVISION);
    PUT "/v1/nodes/{node_ident}/states/raid" node_raid::set,
        Operation::done().takes(bodies::RAID);
    PUT "/v1/nodes/{node_ident}/states/boot_mode" node_boot::set_boot_mode,
        Operation::begun().takes(bodies::BOOT_MODE);
    PUT "/v1/nodes/{node_ident}/states/secure_boot" node_boot::set_secure_boot,
        Operation::begun().takes(bodies::SECURE_BOOT);
    GET "/v1/nodes/{node_ident}/states/console" node_console::show,
        Operation::get(bodies::CONSOLE);
    PUT "/v1/nodes/{node_ident}/states/console" node_console::set,
        Operation::begun().takes(bodies::SET_CONSOLE);
    PUT "/v1/nodes/{node_ident}/maintenance" node_maintenance::set,
        Operation::begun().takes(bodies::MAINTENANCE);
    DELETE "/v1/nodes/{node_ident}/maintenance" node_maintenance::clear,
        Operation::begun();
    GET "/v1/nodes/{node_ident}/management/boot_device" node_boot::boot_device,
        Operation::get(bodies::BOOT_DEVICE);
    PUT "/v1/nodes/{node_ident}/management/boot_device" node_boot::set_boot_device,
        Operation::done().takes(bodies::SET_BOOT_DEVICE);
    GET "/v1/nodes/{node_ident}/management/boot_device/supported" node_boot::supported_boot_devices,
        Operation::get(bodies::BOOT_DEVICES);
    PUT "/v1/nodes/{node_ident}/management/inject_nmi" node_management::inject_nmi,
        Operation::done();
    GET "/v1/nodes/{node_ident}/management/indicators" node_indicators::list,
        Operation::get(bodies::INDICATORS);
    GET "/v1/nodes/{node_ident}/management/indicators/{indicator}" node_indicators::show,
        Operation::get(bodies::INDICATOR);
    PUT "/v1/nodes/{node_ident}/management/indicators/{indicator}" node_indicators::set,
        Operation::done().takes(bodies::SET_INDICATOR);
    GET "/v1/nodes/{node_ident}/vendor_passthru/methods" vendor::methods,
        Operation::get(bodies::METHODS);
    POST "/v1/nodes/{node_ident}/vendor_passthru/methods" vendor::call;
    PUT "/v1/nodes/{node_ident}/vendor_passthru/methods" vendor::call;
    PATCH "/v1/nodes/{node_ident}/vendor_passthru/methods" vendor::call;
    DELETE "/v1/nodes/{node_ident}/vendor_passthru/methods" vendor::call;
    GET "/v1/nodes/{node_ident}/vendor_passthru" vendor::call;
    POST "/v1/nodes/{node_ident}/vendor_passthru" vendor::call;
    PUT "/v1/nodes/{node_ident}/vendor_passthru" vendor::call;
    PATCH "/v1/nodes/{node_ident}/vendor_passthru" vendor::call;
    DELETE "/v1/nodes/{node_ident}/vendor_passthru" vendor::call;
    GET "/v1/nodes/{node_ident}/vendor_passthru/{method}" vendor::call;
    POST "/v1/nodes/{node_ident}/vendor_passthru/{method}" vendor::call;
    PUT "/v1/nodes/{node_ident}/vendor_passthru/{method}" vendor::call;
    PATCH "/v1/nodes/{node_ident}/vendor_passthru/{method}" vendor::call;
    DELETE "/v1/nodes/{node_ident}/vendor_passthru/{method}" vendor::call;
    GET "/v1/nodes/{node_ident}/vmedia" node_media::list,
        Operation::get(bodies::MEDIA);
    POST "/v1/nodes/{node_ident}/vmedia" node_media::attach,
        Operation::done().takes(bodies::ATTACH_MEDIA);
    DELETE "/v1/nodes/{node_ident}/vmedia" node_media::detach,
        Operation::done().asks("vmedia", &[params::DEVICE_TYPES]);
    GET "/v1/nodes/{node_ident}/bios" node_bios::list,
        Operation::list("bios", &BIOS_SETTING).asks("bios", &[VIEW]);
    GET "/v1/nodes/{node_ident}/bios/{setting_name}" node_bios::show,
        Operation::get(bodies::BIOS);
    GET "/v1/nodes/{node_ident}/firmware" node_firmware::list,
        Operation::list("firmware", &FIRMWARE_COMPONENT).asks("firmware", &[VIEW]);
    GET "/v1/nodes/{node_ident}/traits" node_traits::list,
        Operation::get(bodies::TRAITS);
    PUT "/v1/nodes/{node_ident}/traits" node_traits::replace,
        Operation::done().takes(bodies::TRAITS);
    DELETE "/v1/nodes/{node_ident}/traits" node_traits::clear,
        Operation::done();
    PUT "/v1/nodes/{node_ident}/traits/{trait}" node_traits::add,
        Operation::done();
    DELETE "/v1/nodes/{node_ident}/traits/{trait}" node_traits::remove,
        Operation::done();
    GET "/v1/nodes/{node_ident}/vifs" node_vifs::list,
        Operation::get(bodies::VIFS);
    POST "/v1/nodes/{node_ident}/vifs" node_vifs::attach,
        Operation::done().takes(bodies::VIF);
    DELETE "/v1/nodes/{node_ident}/vifs/{vif_id}" node_vifs::detach,
        Operation::done();
    GET "/v1/nodes/{node_ident}/history" node_history::list,
        Operation::list("history", &HISTORY).asks("history", &[PAGE, DETAIL]);
    GET "/v1/nodes/{node_ident}/history/{event_uuid}" node_history::show,
        Operation::get(Schema::Shown(&HISTORY));
    GET "/v1/nodes/{node_ident}/ports" ports::list_of_node,
        Operation::list("ports", &PORT).asks("ports", &[PAGE, VIEW, params::PORTS]);
    POST "/v1/nodes/{node_ident}/ports" ports::not_below_node;
    GET "/v1/nodes/{node_ident}/ports/detail" ports::detail_of_node,
        Operation::detail("ports", &PORT).asks("ports", &[PAGE, params::PORTS]);
    GET "/v1/nodes/{node_ident}/ports/{port_ident}" ports::not_below_node;
    PATCH "/v1/nodes/{node_ident}/ports/{port_ident}" ports::not_below_node;
    DELETE "/v1/nodes/{node_ident}/ports/{port_ident}" ports::not_below_node;
    GET "/v1/nodes/{node_ident}/progress" node_progress::show,
        Operation::get(bodies::PROGRESS);
    GET "/v1/nodes/{node_ident}/boot-trace" node_boot_trace::show,
        Operation::get(bodies::BOOT_TRACE);
    GET "/v1/nodes/{node_ident}/inventory" node_inventory::show,
        Operation::get(bodies::INVENTORY);
    GET "/v1/nodes/{node_ident}/allocation" node_allocation::show,
        Operation::show("allocations", &ALLOCATION);
    DELETE "/v1/nodes/{node_ident}/allocation" node_allocation::delete,
        Operation::done();
    GET "/v1/nodes/{node_ident}/children" node_children::list,
        Operation::get(bodies::CHILDREN);
    GET "/v1/nodes/{node_ident}/portgroups" portgroups::list_of_node,
        Operation::list("portgroups", &PORTGROUP).asks("portgroups", &[PAGE, VIEW, params::PORTGROUPS]);
    GET "/v1/nodes/{node_ident}/portgroups/detail" portgroups::detail_of_node,
        Operation::detail("portgroups", &PORTGROUP).asks("portgroups", &[PAGE, params::PORTGROUPS]);
    GET "/v1/nodes/{node_ident}/volume" volume::of_node,
        Operation::get(bodies::VOLUME);
    GET "/v1/nodes/{node_ident}/volume/connectors" volume_connectors::list_of_node,
        Operation::list("connectors", &VOLUME_CONNECTOR).asks("volume", &[PAGE, VIEW, params::NODE]);
    GET "/v1/nodes/{node_ident}/volume/targets" volume_targets::list_of_node,
        Operation::list("targets", &VOLUME_TARGET).asks("volume", &[PAGE, VIEW, params::NODE]);

    GET "/v1/ports" ports::list,
        Operation::list("ports", &PORT).asks("ports", &[PAGE, VIEW, params::PORTS]);
    POST "/v1/ports" ports::create,
        Operation::create(&PORT);
    GET "/v1/ports/detail" ports::detail,
        Operation::detail("ports", &PORT).asks("ports", &[PAGE, params::PORTS]);
    GET "/v1/ports/{port_ident}" ports::show,
        Operation::show("ports", &PORT);
    PATCH "/v1/ports/{port_ident}" port_update::update,
        Operation::update(&PORT);
    DELETE "/v1/ports/{port_ident}" port_update::delete,
        Operation::done();

    GET "/v1/portgroups" portgroups::list,
        Operation::list("portgroups", &PORTGROUP).asks("portgroups", &[PAGE, VIEW, params::PORTGROUPS]);
    POST "/v1/portgroups" portgroups::create,
        Operation::create(&PORTGROUP);
    GET "/v1/portgroups/detail" portgroups::detail,
        Operation::detail("portgroups", &PORTGROUP).asks("portgroups", &[PAGE, params::PORTGROUPS]);
    GET "/v1/portgroups/{portgroup_ident}" portgroups::show,
        Operation::show("portgroups", &PORTGROUP);
    PATCH "/v1/portgroups/{portgroup_ident}" portgroup_update::update,
        Operation::update(&PORTGROUP);
    DELETE "/v1/portgroups/{portgroup_ident}" portgroup_update::delete,
        Operation::done();
    GET "/v1/portgroups/{portgroup_ident}/ports" ports::list_of_portgroup,
        Operation::list("ports", &PORT).asks("ports", &[PAGE, VIEW, params::PORTS]);
    GET "/v1/portgroups/{portgroup_ident}/ports/detail" ports::detail_of_portgroup,
        Operation::detail("ports", &PORT).asks("ports", &[PAGE, params::PORTS]);

    GET "/v1/chassis" chassis::list,
        Operation::list("chassis", &CHASSIS);
    POST "/v1/chassis" chassis::create,
        Operation::create(&CHASSIS);
    GET "/v1/chassis/detail" chassis::detail,
        Operation::detail("chassis", &CHASSIS);
    GET "/v1/chassis/{chassis_uuid}" chassis::show,
        Operation::show("chassis", &CHASSIS);
    PATCH "/v1/chassis/{chassis_uuid}" chassis::update,
        Operation::update(&CHASSIS);
    DELETE "/v1/chassis/{chassis_uuid}" chassis::delete,
        Operation::done();
    GET "/v1/chassis/{chassis_uuid}/nodes" chassis::nodes,
        Operation::list("nodes", &NODE).asks("nodes", &[PAGE, VIEW, params::NODES]);
    GET "/v1/chassis/{chassis_uuid}/nodes/detail" chassis::nodes_detail,
        Operation::detail("nodes", &NODE).asks("nodes", &[PAGE, params::NODES]);

    GET "/v1/volume" volume::root,
        Operation::get(bodies::VOLUME);
    GET "/v1/volume/connectors" volume_connectors::list,
        Operation::list("connectors", &VOLUME_CONNECTOR).asks("volume", &[PAGE, VIEW, params::NODE]);
    POST "/v1/volume/connectors" volume_connectors::create,
        Operation::create(&VOLUME_CONNECTOR);
    GET "/v1/volume/connectors/{uuid}" volume_connectors::show,
        Operation::show("volume", &VOLUME_CONNECTOR);
    PATCH "/v1/volume/connectors/{uuid}" volume_connectors::update,
        Operation::update(&VOLUME_CONNECTOR);
    DELETE "/v1/volume/connectors/{uuid}" volume_connectors::delete,
        Operation::done();
    GET "/v1/volume/targets" volume_targets::list,
        Operation::list("targets", &VOLUME_TARGET).asks("volume", &[PAGE, VIEW, params::NODE]);
    POST "/v1/volume/targets" volume_targets::create,
        Operation::create(&VOLUME_TARGET);
    GET "/v1/volume/targets/{uuid}" volume_targets::show,
        Operation::show("volume", &VOLUME_TARGET);
    PATCH "/v1/volume/targets/{uuid}" volume_targets::update,
        Operation::update(&VOLUME_TARGET);
    DELETE "/v1/volume/targets/{uuid}" volume_targets::delete,
        Operation::done();

    GET "/v1/drivers" drivers::list,
        Operation::list("drivers", &DRIVER).asks("drivers", &[params::DRIVER_TYPE, VIEW]);
    GET "/v1/drivers/{driver_name}" drivers::show,
        Operation::show("drivers", &DRIVER);
    GET "/v1/drivers/{driver_name}/properties" drivers::properties,
        Operation::get(bodies::PROPERTIES);
    GET "/v1/drivers/{driver_name}/raid/logical_disk_properties" node_raid::properties,
        Operation::get(bodies::PROPERTIES);
    GET "/v1/drivers/{driver_name}/vendor_passthru/methods" vendor::driver_methods,
        Operation::get(bodies::METHODS);
    POST "/v1/drivers/{driver_name}/vendor_passthru/methods" vendor::driver_call;
    PUT "/v1/drivers/{driver_name}/vendor_passthru/methods" vendor::driver_call;
    PATCH "/v1/drivers/{driver_name}/vendor_passthru/methods" vendor::driver_call;
    DELETE "/v1/drivers/{driver_name}/vendor_passthru/methods" vendor::driver_call;
    GET "/v1/drivers/{driver_name}/vendor_passthru" vendor::driver_call;
    POST "/v1/drivers/{driver_name}/vendor_passthru" vendor::driver_call;
    PUT "/v1/drivers/{driver_name}/vendor_passthru" vendor::driver_call;
    PATCH "/v1/drivers/{driver_name}/vendor_passthru" vendor::driver_call;
    DELETE "/v1/drivers/{driver_name}/vendor_passthru" vendor::driver_call;
    GET "/v1/drivers/{driver_name}/vendor_passthru/{method}" vendor::driver_call;
    POST "/v1/drivers/{driver_name}/vendor_passthru/{method}" vendor::driver_call;
    PUT "/v1/drivers/{driver_name}/vendor_passthru/{method}" vendor::driver_call;
    PATCH "/v1/drivers/{driver_name}/vendor_passthru/{method}" vendor::driver_call;
    DELETE "/v1/drivers/{driver_name}/vendor_passthru/{method}" vendor::driver_call;

    GET "/v1/conductors" conductors::list,
        Operation::list("conductors", &CONDUCTOR);
    GET "/v1/conductors/{hostname}" conductors::show,
        Operation::show("conductors", &CONDUCTOR);

    GET "/v1/allocations" allocations::list,
        Operation::list("allocations", &ALLOCATION).asks("allocations", &[PAGE, FIELDS, params::ALLOCATIONS]);
    POST "/v1/allocations" allocations::create,
        Operation::create(&ALLOCATION);
    GET "/v1/allocations/{allocation_ident}" allocations::show,
        Operation::show("allocations", &ALLOCATION);
    PATCH "/v1/allocations/{allocation_ident}" allocations::update,
        Operation::update(&ALLOCATION);
    DELETE "/v1/allocations/{allocation_ident}" allocations::delete,
        Operation::done();

    GET "/v1/deploy_templates" deploy_templates::list,
        Operation::list("deploy_templates", &DEPLOY_TEMPLATE);
    POST "/v1/deploy_templates" deploy_templates::create,
        Operation::create(&DEPLOY_TEMPLATE);
    GET "/v1/deploy_templates/{template_ident}" deploy_templates::show,
        Operation::show("deploy_templates", &DEPLOY_TEMPLATE);
    PATCH "/v1/deploy_templates/{template_ident}" deploy_templates::update,
        Operation::update(&DEPLOY_TEMPLATE);
    DELETE "/v1/deploy_templates/{template_ident}" deploy_templates::delete,
        Operation::done();

    GET "/v1/runbooks" runbooks::list,
        Operation::list("runbooks", &RUNBOOK).asks("runbooks", &[PAGE, VIEW, params::PROJECT]);
    POST "/v1/runbooks" runbooks::create,
        Operation::create(&RUNBOOK);
    GET "/v1/runbooks/{runbook_ident}" runbooks::show,
        Operation::show("runbooks", &RUNBOOK);
    PATCH "/v1/runbooks/{runbook_ident}" runbooks::update,
        Operation::update(&RUNBOOK);
    DELETE "/v1/runbooks/{runbook_ident}" runbooks::delete,
        Operation::done();
    GET "/v1/runbooks/{runbook_ident}/traits" runbook_traits::list,
        Operation::get(bodies::TRAITS);
    PUT "/v1/runbooks/{runbook_ident}/traits" runbook_traits::replace,
        Operation::done().takes(bodies::TRAITS);
    DELETE "/v1/runbooks/{runbook_ident}/traits" runbook_traits::clear,
        Operation::done();
    PUT "/v1/runbooks/{runbook_ident}/traits/{trait}" runbook_traits::add,
        Operation::done();
    DELETE "/v1/runbooks/{runbook_ident}/traits/{trait}" runbook_traits::remove,
        Operation::done();

    GET "/v1/inspection_rules" inspection_rules::list,
        Operation::list("inspection_rules", &INSPECTION_RULE).asks("inspection_rules", &[PAGE, VIEW, params::PHASE]);
    POST "/v1/inspection_rules" inspection_rules::create,
        Operation::create(&INSPECTION_RULE);
    GET "/v1/inspection_rules/{uuid}" inspection_rules::show,
        Operation::show("inspection_rules", &INSPECTION_RULE);
    PATCH "/v1/inspection_rules/{uuid}" inspection_rules::update,
        Operation::update(&INSPECTION_RULE);
    DELETE "/v1/inspection_rules/{uuid}" inspection_rules::delete,
        Operation::done();

    GET "/v1/shards" shards::list,
        Operation::get(bodies::SHARDS);

    POST "/v1/events" events::post,
        Operation::done().takes(bodies::EVENTS);

    GET "/v1/events/stream" event_stream::stream,
        Operation::follow().asks("events/stream", &[params::EVENTS]);

    GET "/v1/lookup" ramdisk::lookup,
        Operation::get(bodies::LOOKUP).asks("lookup", &[params::LOOKUP]);
    POST "/v1/continue_inspection" continue_inspection::post,
        Operation::begun().takes(bodies::INSPECTION).asks("continue_inspection", &[params::NODE_UUID]);
    POST "/v1/heartbeat/{node_ident}" ramdisk::heartbeat,
        Operation::begun().takes(bodies::HEARTBEAT);
    POST "/v1/agent/{node_uuid}/progress" agent_progress::report,
        Operation::done().takes(bodies::REPORT);
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn rows_of_a_path_stand_together_and_none_is_double() {
        let mut seen = BTreeSet::new();
        let mut last = "";
        for row in ROUTES {
            assert!(row.path == last || !seen.iter().any(|(path, _)| *path == row.path), "{}", row.path);
            assert!(seen.insert((row.path, row.method.to_string())), "{} {}", row.method, row.path);
            last = row.path;
        }
    }
    #[test]
    fn every_row_says_what_it_takes_and_gives() {
        // Handlers that refuse everything, and those that hand everything on to a vendor's method.
        let is_silent = |path: &str| {
            path.starts_with("/v1/nodes/{node_ident}/ports") || path.contains("/vendor_passthru")
        };
        for row in ROUTES.iter().filter(|row| row.operation.is_none()) {
            assert!(is_silent(row.path), "{} {} has no operation", row.method, row.path);
        }
    }
}
