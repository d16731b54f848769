//! Every route as a row. From which version on a route answers is said by the releases (`microversion`).

use axum::routing::MethodFilter;
use futures_util::future::BoxFuture;
use http::Method;

use crate::reply::Answer;
use crate::request::Request;
use crate::v1::{
    agent_progress, conductors, drivers, node_boot, node_create, node_delete, node_history, node_list,
    node_maintenance, node_management, node_power, node_progress, node_provision, node_show, node_traits,
    node_update, node_vifs, port_update, ports, ramdisk, root,
};
use crate::v1::{chassis, portgroup_update, portgroups, volume, volume_connectors, volume_targets};
use crate::v1::{deploy_templates, events, inspection_rules, node_children, node_inventory};
use crate::v1::{runbook_traits, runbooks, shards};

/// One route.
#[derive(Debug)]
pub(crate) struct Route {
    /// The method.
    pub(crate) method: Method,
    /// The path, with its open parts in braces.
    pub(crate) path: &'static str,
    /// What answers.
    pub(crate) handler: fn(Request) -> BoxFuture<'static, Answer>,
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
    ($($method:ident $path:literal $handler:path;)*) => {
        /// All routes; rows of the same path stand together.
        pub(crate) static ROUTES: &[Route] = &[
            $(Route { method: Method::$method, path: $path, handler: |request| Box::pin($handler(request)) },)*
        ];
    };
}

routes! {
    GET "/" root::root;
    GET "/v1" root::v1;

    GET "/v1/nodes" node_list::list;
    POST "/v1/nodes" node_create::create;
    GET "/v1/nodes/detail" node_list::detail;
    GET "/v1/nodes/validate" node_management::validate_named;
    GET "/v1/nodes/{node_ident}" node_show::show;
    PATCH "/v1/nodes/{node_ident}" node_update::update;
    DELETE "/v1/nodes/{node_ident}" node_delete::delete;
    GET "/v1/nodes/{node_ident}/validate" node_management::validate;
    GET "/v1/nodes/{node_ident}/states" node_show::states;
    PUT "/v1/nodes/{node_ident}/states/power" node_power::set_power;
    PUT "/v1/nodes/{node_ident}/states/provision" node_provision::provision;
    PUT "/v1/nodes/{node_ident}/states/raid" node_boot::set_raid;
    PUT "/v1/nodes/{node_ident}/states/boot_mode" node_boot::set_boot_mode;
    PUT "/v1/nodes/{node_ident}/states/secure_boot" node_boot::set_secure_boot;
    GET "/v1/nodes/{node_ident}/states/console" node_management::console;
    PUT "/v1/nodes/{node_ident}/states/console" node_management::set_console;
    PUT "/v1/nodes/{node_ident}/maintenance" node_maintenance::set;
    DELETE "/v1/nodes/{node_ident}/maintenance" node_maintenance::clear;
    GET "/v1/nodes/{node_ident}/management/boot_device" node_boot::boot_device;
    PUT "/v1/nodes/{node_ident}/management/boot_device" node_boot::set_boot_device;
    GET "/v1/nodes/{node_ident}/management/boot_device/supported" node_boot::supported_boot_devices;
    PUT "/v1/nodes/{node_ident}/management/inject_nmi" node_management::inject_nmi;
    GET "/v1/nodes/{node_ident}/traits" node_traits::list;
    PUT "/v1/nodes/{node_ident}/traits" node_traits::replace;
    DELETE "/v1/nodes/{node_ident}/traits" node_traits::clear;
    PUT "/v1/nodes/{node_ident}/traits/{trait}" node_traits::add;
    DELETE "/v1/nodes/{node_ident}/traits/{trait}" node_traits::remove;
    GET "/v1/nodes/{node_ident}/vifs" node_vifs::list;
    POST "/v1/nodes/{node_ident}/vifs" node_vifs::attach;
    DELETE "/v1/nodes/{node_ident}/vifs/{vif_id}" node_vifs::detach;
    GET "/v1/nodes/{node_ident}/history" node_history::list;
    GET "/v1/nodes/{node_ident}/history/{event_uuid}" node_history::show;
    GET "/v1/nodes/{node_ident}/ports" ports::list_of_node;
    POST "/v1/nodes/{node_ident}/ports" ports::not_below_node;
    GET "/v1/nodes/{node_ident}/ports/detail" ports::detail_of_node;
    GET "/v1/nodes/{node_ident}/ports/{port_ident}" ports::not_below_node;
    PATCH "/v1/nodes/{node_ident}/ports/{port_ident}" ports::not_below_node;
    DELETE "/v1/nodes/{node_ident}/ports/{port_ident}" ports::not_below_node;
    GET "/v1/nodes/{node_ident}/progress" node_progress::show;
    GET "/v1/nodes/{node_ident}/inventory" node_inventory::show;
    GET "/v1/nodes/{node_ident}/children" node_children::list;
    GET "/v1/nodes/{node_ident}/portgroups" portgroups::list_of_node;
    GET "/v1/nodes/{node_ident}/portgroups/detail" portgroups::detail_of_node;
    GET "/v1/nodes/{node_ident}/volume" volume::of_node;
    GET "/v1/nodes/{node_ident}/volume/connectors" volume_connectors::list_of_node;
    GET "/v1/nodes/{node_ident}/volume/targets" volume_targets::list_of_node;

    GET "/v1/ports" ports::list;
    POST "/v1/ports" ports::create;
    GET "/v1/ports/detail" ports::detail;
    GET "/v1/ports/{port_ident}" ports::show;
    PATCH "/v1/ports/{port_ident}" port_update::update;
    DELETE "/v1/ports/{port_ident}" port_update::delete;

    GET "/v1/portgroups" portgroups::list;
    POST "/v1/portgroups" portgroups::create;
    GET "/v1/portgroups/detail" portgroups::detail;
    GET "/v1/portgroups/{portgroup_ident}" portgroups::show;
    PATCH "/v1/portgroups/{portgroup_ident}" portgroup_update::update;
    DELETE "/v1/portgroups/{portgroup_ident}" portgroup_update::delete;
    GET "/v1/portgroups/{portgroup_ident}/ports" ports::list_of_portgroup;
    GET "/v1/portgroups/{portgroup_ident}/ports/detail" ports::detail_of_portgroup;

    GET "/v1/chassis" chassis::list;
    POST "/v1/chassis" chassis::create;
    GET "/v1/chassis/detail" chassis::detail;
    GET "/v1/chassis/{chassis_uuid}" chassis::show;
    PATCH "/v1/chassis/{chassis_uuid}" chassis::update;
    DELETE "/v1/chassis/{chassis_uuid}" chassis::delete;
    GET "/v1/chassis/{chassis_uuid}/nodes" chassis::nodes;
    GET "/v1/chassis/{chassis_uuid}/nodes/detail" chassis::nodes_detail;

    GET "/v1/volume" volume::root;
    GET "/v1/volume/connectors" volume_connectors::list;
    POST "/v1/volume/connectors" volume_connectors::create;
    GET "/v1/volume/connectors/{uuid}" volume_connectors::show;
    PATCH "/v1/volume/connectors/{uuid}" volume_connectors::update;
    DELETE "/v1/volume/connectors/{uuid}" volume_connectors::delete;
    GET "/v1/volume/targets" volume_targets::list;
    POST "/v1/volume/targets" volume_targets::create;
    GET "/v1/volume/targets/{uuid}" volume_targets::show;
    PATCH "/v1/volume/targets/{uuid}" volume_targets::update;
    DELETE "/v1/volume/targets/{uuid}" volume_targets::delete;

    GET "/v1/drivers" drivers::list;
    GET "/v1/drivers/{driver_name}" drivers::show;
    GET "/v1/drivers/{driver_name}/properties" drivers::properties;

    GET "/v1/conductors" conductors::list;
    GET "/v1/conductors/{hostname}" conductors::show;

    GET "/v1/deploy_templates" deploy_templates::list;
    POST "/v1/deploy_templates" deploy_templates::create;
    GET "/v1/deploy_templates/{template_ident}" deploy_templates::show;
    PATCH "/v1/deploy_templates/{template_ident}" deploy_templates::update;
    DELETE "/v1/deploy_templates/{template_ident}" deploy_templates::delete;

    GET "/v1/runbooks" runbooks::list;
    POST "/v1/runbooks" runbooks::create;
    GET "/v1/runbooks/{runbook_ident}" runbooks::show;
    PATCH "/v1/runbooks/{runbook_ident}" runbooks::update;
    DELETE "/v1/runbooks/{runbook_ident}" runbooks::delete;
    GET "/v1/runbooks/{runbook_ident}/traits" runbook_traits::list;
    PUT "/v1/runbooks/{runbook_ident}/traits" runbook_traits::replace;
    DELETE "/v1/runbooks/{runbook_ident}/traits" runbook_traits::clear;
    PUT "/v1/runbooks/{runbook_ident}/traits/{trait}" runbook_traits::add;
    DELETE "/v1/runbooks/{runbook_ident}/traits/{trait}" runbook_traits::remove;

    GET "/v1/inspection_rules" inspection_rules::list;
    POST "/v1/inspection_rules" inspection_rules::create;
    GET "/v1/inspection_rules/{uuid}" inspection_rules::show;
    PATCH "/v1/inspection_rules/{uuid}" inspection_rules::update;
    DELETE "/v1/inspection_rules/{uuid}" inspection_rules::delete;

    GET "/v1/shards" shards::list;

    POST "/v1/events" events::post;

    GET "/v1/lookup" ramdisk::lookup;
    POST "/v1/heartbeat/{node_ident}" ramdisk::heartbeat;
    POST "/v1/agent/{node_uuid}/progress" agent_progress::report;
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
}
