//! The table of microversions: what each one added, as rows.
//!
//! Gates are made of these rows (`Route`, `Param`, `Verb`) or tested against them (`Field`). Knows no HTTP.

use crate::release::{Change, Older, Release, field, param, releases, route, value, verb};

/// Every release of the API, oldest first.
pub const RELEASES: &[Release] = releases! {
    1 "baseline" "Baseline. Everything present when versioning arrived: nodes, ports, chassis, drivers, vendor passthru, maintenance endpoint, maintenance_reason, configdrive. Continue_inspection also answers at exactly this version"
        [Change::Behaviour("everything that is not named below")];
    2 "available-state" "Provision state 'available' is shown by that name; below it is shown as null (old NOSTATE)"
        [value("node.provision_state", "available", Older::Null)];
    3 "driver-internal-info" "Node field driver_internal_info (read only)"
        [field("node", "driver_internal_info")];
    4 "manage-and-provide" "States manageable/verifying; verbs manage and provide"
        [verb("manage"), verb("provide")];
    5 "node-names" "Node logical names: field name, and name in place of UUID in URLs (strict hostname form)"
        [field("node", "name"), Change::Behaviour("node names in URLs")];
    6 "inspection" "Inspection: verb inspect, states inspecting/inspect failed, fields inspection_started_at / inspection_finished_at"
        [field("node", "inspection_finished_at"), field("node", "inspection_started_at"), verb("inspect")];
    7 "clean-step" "Node field clean_step"
        [field("node", "clean_step")];
    8 "fields-selection" "Query parameter fields on GET of one resource or of lists"
        [param("nodes", "fields", 406), param("ports", "fields", 406), param("chassis", "fields", 406)];
    9 "filter-provision-state" "Node list filter provision_state"
        [param("nodes", "provision_state", 406)];
    10 "unrestricted-names" "Names may use all RFC 3986 unreserved characters"
        [Change::Behaviour("node names need not be host names")];
    11 "enroll-first" "New nodes start in enroll (were available)"
        [Change::Behaviour("new nodes start in enroll")];
    12 "raid" "RAID: node fields raid_config, target_raid_config; PUT states/raid; driver raid/logical_disk_properties"
        [route("PUT", "/v1/nodes/{node_ident}/states/raid", 406),
         route("GET", "/v1/drivers/{driver_name}/raid/logical_disk_properties", 406),
         field("node", "raid_config"), field("node", "target_raid_config")];
    13 "abort" "Verb abort (first for clean wait)"
        [verb("abort")];
    14 "links" "Links: node.states and driver.properties appear in bodies"
        [field("node", "states"), field("driver", "properties")];
    15 "manual-clean" "Manual cleaning: verb clean with clean_steps"
        [verb("clean")];
    16 "filter-driver" "Node list filter driver"
        [param("nodes", "driver", 406)];
    17 "adopt" "Verb adopt; states adopting, adopt failed"
        [verb("adopt")];
    18 "port-internal-info" "Port field internal_info (read only)"
        [field("port", "internal_info")];
    19 "port-advanced-net" "Port fields local_link_connection and pxe_enabled"
        [field("port", "local_link_connection"), field("port", "pxe_enabled")];
    20 "network-interface" "Node field network_interface"
        [field("node", "network_interface")];
    21 "resource-class" "Node field and filter resource_class"
        [field("node", "resource_class"), param("nodes", "resource_class", 406)];
    22 "ramdisk-endpoints" "Ramdisk endpoints GET /v1/lookup and POST /v1/heartbeat/{id} (replace vendor passthru)"
        [route("GET", "/v1/lookup", 404), route("POST", "/v1/heartbeat/{node_ident}", 404)];
    23 "portgroups" "Portgroups resource"
        [route("GET", "/v1/portgroups", 404), route("GET", "/v1/portgroups/detail", 404),
         route("POST", "/v1/portgroups", 404), route("GET", "/v1/portgroups/{portgroup_ident}", 404),
         route("PATCH", "/v1/portgroups/{portgroup_ident}", 404),
         route("DELETE", "/v1/portgroups/{portgroup_ident}", 404)];
    24 "portgroup-subcollections" "Sub-collections nodes/{id}/portgroups and portgroups/{id}/ports; port field portgroup_uuid; ports filter portgroup"
        [route("GET", "/v1/nodes/{node_ident}/portgroups", 404),
         route("GET", "/v1/nodes/{node_ident}/portgroups/detail", 404),
         route("GET", "/v1/portgroups/{portgroup_ident}/ports", 404),
         route("GET", "/v1/portgroups/{portgroup_ident}/ports/detail", 404), field("node", "portgroups"),
         field("port", "portgroup_uuid"), param("ports", "portgroup", 406)];
    25 "unset-chassis" "chassis_uuid may be removed from a node"
        [Change::Behaviour("chassis_uuid may be removed")];
    26 "portgroup-mode" "Portgroup fields mode and properties"
        [field("portgroup", "mode"), field("portgroup", "properties")];
    27 "soft-power" "Power targets 'soft power off', 'soft rebooting' and the timeout argument"
        [param("power", "timeout", 406), value("power.target", "soft power off", Older::Refused),
         value("power.target", "soft rebooting", Older::Refused)];
    28 "vifs" "nodes/{id}/vifs endpoints (attach, list, detach)"
        [route("GET", "/v1/nodes/{node_ident}/vifs", 404),
         route("POST", "/v1/nodes/{node_ident}/vifs", 404),
         route("DELETE", "/v1/nodes/{node_ident}/vifs/{vif_id}", 404)];
    29 "inject-nmi" "PUT management/inject_nmi"
        [route("PUT", "/v1/nodes/{node_ident}/management/inject_nmi", 404)];
    30 "dynamic-drivers" "Drivers: field type, filter type, detail=True, default_/enabled_ interface fields"
        [field("driver", "default_boot_interface"), field("driver", "default_console_interface"),
         field("driver", "default_deploy_interface"), field("driver", "default_inspect_interface"),
         field("driver", "default_management_interface"), field("driver", "default_network_interface"),
         field("driver", "default_power_interface"), field("driver", "default_raid_interface"),
         field("driver", "default_vendor_interface"), field("driver", "enabled_boot_interfaces"),
         field("driver", "enabled_console_interfaces"), field("driver", "enabled_deploy_interfaces"),
         field("driver", "enabled_inspect_interfaces"), field("driver", "enabled_management_interfaces"),
         field("driver", "enabled_network_interfaces"), field("driver", "enabled_power_interfaces"),
         field("driver", "enabled_raid_interfaces"), field("driver", "enabled_vendor_interfaces"),
         field("driver", "type"), param("drivers", "type", 406), param("drivers", "detail", 406)];
    31 "driver-interfaces" "Node fields for 8 interfaces: boot, console, deploy, inspect, management, power, raid, vendor"
        [field("node", "boot_interface"), field("node", "console_interface"),
         field("node", "deploy_interface"), field("node", "inspect_interface"),
         field("node", "management_interface"), field("node", "power_interface"),
         field("node", "raid_interface"), field("node", "vendor_interface")];
    32 "volume" "Volume connectors and targets"
        [route("GET", "/v1/nodes/{node_ident}/volume", 404),
         route("GET", "/v1/nodes/{node_ident}/volume/connectors", 404),
         route("GET", "/v1/nodes/{node_ident}/volume/targets", 404), route("GET", "/v1/volume", 404),
         route("GET", "/v1/volume/connectors", 404), route("POST", "/v1/volume/connectors", 404),
         route("GET", "/v1/volume/connectors/{uuid}", 404),
         route("PATCH", "/v1/volume/connectors/{uuid}", 404),
         route("DELETE", "/v1/volume/connectors/{uuid}", 404), route("GET", "/v1/volume/targets", 404),
         route("POST", "/v1/volume/targets", 404), route("GET", "/v1/volume/targets/{uuid}", 404),
         route("PATCH", "/v1/volume/targets/{uuid}", 404),
         route("DELETE", "/v1/volume/targets/{uuid}", 404), field("node", "volume")];
    33 "storage-interface" "Node storage_interface; driver default/enabled storage fields"
        [field("node", "storage_interface"), field("driver", "default_storage_interface"),
         field("driver", "enabled_storage_interfaces")];
    34 "physical-network" "Port field physical_network"
        [field("port", "physical_network")];
    35 "rebuild-configdrive" "configdrive accepted with rebuild"
        [param("provision", "rebuild with configdrive", 400)];
    36 "heartbeat-agent-version" "agent_version accepted in heartbeat"
        [param("heartbeat", "agent_version", 400)];
    37 "node-traits" "Node traits: field and nodes/{id}/traits endpoints"
        [route("GET", "/v1/nodes/{node_ident}/traits", 406),
         route("PUT", "/v1/nodes/{node_ident}/traits", 405),
         route("DELETE", "/v1/nodes/{node_ident}/traits", 404),
         route("PUT", "/v1/nodes/{node_ident}/traits/{trait}", 405),
         route("DELETE", "/v1/nodes/{node_ident}/traits/{trait}", 404), field("node", "traits")];
    38 "rescue" "Rescue: verbs rescue/unrescue, node rescue_interface, driver rescue fields"
        [field("node", "rescue_interface"), field("driver", "default_rescue_interface"),
         field("driver", "enabled_rescue_interfaces"), verb("rescue"), verb("unrescue")];
    39 "inspect-wait" "State 'inspect wait' shown (older clients see 'inspecting'); node/port/portgroup PATCH refused while inspecting"
        [value("node.provision_state", "inspect wait", Older::As("inspecting")),
         Change::Behaviour("objects of a node under inspection cannot be patched")];
    40 "bios-settings" "BIOS: node bios_interface, nodes/{id}/bios, driver bios fields"
        [route("GET", "/v1/nodes/{node_ident}/bios", 404),
         route("GET", "/v1/nodes/{node_ident}/bios/{setting_name}", 404), field("node", "bios_interface"),
         field("driver", "default_bios_interface"), field("driver", "enabled_bios_interfaces")];
    41 "abort-inspection" "abort accepted in inspect wait"
        [value("abort.from", "inspect wait", Older::Refused)];
    42 "fault" "Node field and filter fault"
        [field("node", "fault"), param("nodes", "fault", 406)];
    43 "list-detail" "detail=True on list calls"
        [param("nodes", "detail", 400), param("ports", "detail", 400), param("portgroups", "detail", 400),
         param("chassis", "detail", 400)];
    44 "deploy-step" "Node field deploy_step"
        [field("node", "deploy_step")];
    45 "reset-interfaces" "reset_interfaces query parameter on node PATCH"
        [param("node", "reset_interfaces", 406)];
    46 "conductor-group" "Node field and filter conductor_group"
        [field("node", "conductor_group"), param("nodes", "conductor_group", 406)];
    47 "automated-clean" "Node field automated_clean"
        [field("node", "automated_clean")];
    48 "protected" "Node fields protected and protected_reason"
        [field("node", "protected"), field("node", "protected_reason")];
    49 "conductors" "Conductors resource; node field and filter conductor"
        [route("GET", "/v1/conductors", 404), route("GET", "/v1/conductors/{hostname}", 404),
         field("node", "conductor"), param("nodes", "conductor", 406)];
    50 "owner" "Node field and filter owner"
        [field("node", "owner"), param("nodes", "owner", 406)];
    51 "description" "Node field description; filter description_contains (filter itself is not version checked)"
        [field("node", "description"),
         Change::Behaviour("description_contains filters nodes, at every version")];
    52 "allocations" "Allocations resource; node field allocation_uuid; nodes/{id}/allocation"
        [route("GET", "/v1/nodes/{node_ident}/allocation", 404),
         route("DELETE", "/v1/nodes/{node_ident}/allocation", 404), route("GET", "/v1/allocations", 404),
         route("POST", "/v1/allocations", 405), route("GET", "/v1/allocations/{allocation_ident}", 404),
         route("DELETE", "/v1/allocations/{allocation_ident}", 405), field("node", "allocation_uuid")];
    53 "smart-nic" "Port field is_smartnic"
        [field("port", "is_smartnic")];
    54 "events" "POST /v1/events"
        [route("POST", "/v1/events", 404)];
    55 "deploy-templates" "Deploy templates resource"
        [route("GET", "/v1/deploy_templates", 404), route("POST", "/v1/deploy_templates", 405),
         route("GET", "/v1/deploy_templates/{template_ident}", 404),
         route("PATCH", "/v1/deploy_templates/{template_ident}", 405),
         route("DELETE", "/v1/deploy_templates/{template_ident}", 405)];
    56 "build-configdrive" "configdrive may be a JSON object (meta_data, network_data, user_data)"
        [param("provision", "configdrive object", 400)];
    57 "patch-allocation" "PATCH of allocations (name, extra)"
        [route("PATCH", "/v1/allocations/{allocation_ident}", 405)];
    58 "allocation-backfill" "Allocation backfill: node in POST /v1/allocations"
        [param("allocation", "node", 400)];
    59 "configdrive-vendor-data" "vendor_data inside a JSON configdrive"
        [param("provision", "configdrive vendor_data", 400)];
    60 "allocation-owner" "Allocation field and filter owner"
        [field("allocation", "owner"), param("allocations", "owner", 406)];
    61 "retired" "Node fields retired and retired_reason; filter retired (filter not version checked)"
        [field("node", "retired"), field("node", "retired_reason"),
         Change::Behaviour("retired filters nodes, at every version")];
    62 "agent-token" "Agent token: lookup hands out a token, heartbeat carries agent_token"
        [Change::Behaviour("lookup hands out an agent token")];
    63 "indicators" "Indicators under management/indicators (code does not check the version)"
        [Change::Behaviour("indicators answer at every version")];
    64 "link-network-type" "local_link_connection.network_type (managed / unmanaged)"
        [value("port.local_link_connection", "network_type", Older::Refused)];
    65 "lessee" "Node field and filter lessee"
        [field("node", "lessee"), param("nodes", "lessee", 406)];
    66 "network-data" "Node field network_data"
        [field("node", "network_data")];
    67 "vif-port" "port_uuid / portgroup_uuid accepted in VIF attach"
        [param("vif", "port_uuid", 400), param("vif", "portgroup_uuid", 400)];
    68 "heartbeat-verify-ca" "agent_verify_ca (agent TLS certificate) in heartbeat"
        [param("heartbeat", "agent_verify_ca", 400)];
    69 "deploy-steps" "deploy_steps argument with active and rebuild"
        [param("provision", "deploy_steps", 406)];
    70 "clean-disable-ramdisk" "disable_ramdisk argument with clean"
        [param("provision", "clean with disable_ramdisk", 406)];
    71 "scoped-policies" "Marker version: scope based RBAC; no wire change"
        [Change::Behaviour("policies by scope")];
    72 "agent-status" "agent_status and agent_status_message in heartbeat"
        [param("heartbeat", "agent_status", 400), param("heartbeat", "agent_status_message", 400)];
    73 "deploy-undeploy-verbs" "Verbs deploy (=active) and undeploy (=deleted)"
        [verb("deploy")];
    74 "bios-registry" "BIOS registry fields, fields/detail query on bios"
        [field("bios_setting", "allowable_values"), field("bios_setting", "attribute_type"),
         field("bios_setting", "lower_bound"), field("bios_setting", "max_length"),
         field("bios_setting", "min_length"), field("bios_setting", "read_only"),
         field("bios_setting", "reset_required"), field("bios_setting", "unique"),
         field("bios_setting", "upper_bound"), param("bios", "fields", 400), param("bios", "detail", 400)];
    75 "boot-mode" "Node (and states) fields boot_mode and secure_boot, read only"
        [field("node", "boot_mode"), field("node", "secure_boot")];
    76 "set-boot-mode" "PUT states/boot_mode and states/secure_boot"
        [route("PUT", "/v1/nodes/{node_ident}/states/boot_mode", 404),
         route("PUT", "/v1/nodes/{node_ident}/states/secure_boot", 404)];
    77 "driver-fields" "fields selector on drivers list and driver show"
        [param("drivers", "fields", 406)];
    78 "node-history" "Node history endpoints"
        [route("GET", "/v1/nodes/{node_ident}/history", 404),
         route("GET", "/v1/nodes/{node_ident}/history/{event_uuid}", 404)];
    79 "allocation-by-name" "Allocation prefers a node whose name equals the allocation name (behaviour is unconditional in code)"
        [Change::Behaviour("an allocation prefers the node of its own name")];
    80 "self-owned-nodes" "Marker version: project admins may create/delete their own nodes"
        [Change::Behaviour("project admins may own nodes")];
    81 "node-inventory" "nodes/{id}/inventory"
        [route("GET", "/v1/nodes/{node_ident}/inventory", 404)];
    82 "shards" "Node field and filters shard, sharded; ports filter shard; GET /v1/shards"
        [route("GET", "/v1/shards", 404), field("node", "shard"), param("nodes", "shard", 406),
         param("nodes", "sharded", 406), param("ports", "shard", 406)];
    83 "child-nodes" "Child nodes: parent_node field, include_children / parent_node filters, nodes/{id}/children; steps may run on child nodes"
        [route("GET", "/v1/nodes/{node_ident}/children", 404), field("node", "parent_node"),
         param("nodes", "include_children", 406), param("nodes", "parent_node", 406)];
    84 "continue-inspection" "POST /v1/continue_inspection as a named endpoint, node_uuid query, lookup-style reply"
        [route("POST", "/v1/continue_inspection", 404), param("continue_inspection", "node_uuid", 404),
         Change::Behaviour("continue_inspection answers as lookup")];
    85 "unhold" "Verb unhold; states deploy hold, clean hold, service hold"
        [verb("unhold")];
    86 "firmware" "Firmware: node firmware_interface, nodes/{id}/firmware, driver firmware fields"
        [route("GET", "/v1/nodes/{node_ident}/firmware", 404), field("node", "firmware_interface"),
         field("driver", "default_firmware_interface"), field("driver", "enabled_firmware_interfaces")];
    87 "service" "Servicing: verb service with service_steps; node field service_step; states servicing, service wait, service failed"
        [field("node", "service_step"), verb("service")];
    88 "port-name" "Port field name; ports addressable by name"
        [field("port", "name"), Change::Behaviour("port names in URLs")];
    89 "attach-vmedia" "POST/DELETE nodes/{id}/vmedia"
        [route("POST", "/v1/nodes/{node_ident}/vmedia", 404),
         route("DELETE", "/v1/nodes/{node_ident}/vmedia", 404)];
    90 "vtep-keys" "OVN VTEP keys in local_link_connection"
        [value("port.local_link_connection", "vtep-logical-switch", Older::Refused),
         value("port.local_link_connection", "vtep-physical-switch", Older::Refused)];
    91 "no-json-suffix" "A trailing .json in a URL is no longer stripped"
        [Change::Behaviour("a trailing .json belongs to the name")];
    92 "runbooks" "Runbooks resource; runbook argument of the provision call"
        [route("GET", "/v1/runbooks", 404), route("POST", "/v1/runbooks", 405),
         route("GET", "/v1/runbooks/{runbook_ident}", 404),
         route("PATCH", "/v1/runbooks/{runbook_ident}", 405),
         route("DELETE", "/v1/runbooks/{runbook_ident}", 405), param("provision", "runbook", 406)];
    93 "get-vmedia" "GET nodes/{id}/vmedia"
        [route("GET", "/v1/nodes/{node_ident}/vmedia", 404)];
    94 "port-by-node-name" "node_ident in POST /v1/ports"
        [param("port", "node_ident", 406)];
    95 "disable-power-off" "Node field disable_power_off"
        [field("node", "disable_power_off")];
    96 "inspection-rules" "Inspection rules resource"
        [route("GET", "/v1/inspection_rules", 404), route("POST", "/v1/inspection_rules", 405),
         route("GET", "/v1/inspection_rules/{uuid}", 404),
         route("PATCH", "/v1/inspection_rules/{uuid}", 405),
         route("DELETE", "/v1/inspection_rules/{uuid}", 405)];
    97 "port-description" "Port field description; ports filter description_contains (filter not version checked)"
        [field("port", "description")];
    98 "escaped-patch-paths" "PATCH paths may address keys containing ~ or / with RFC 6901 escapes"
        [Change::Behaviour("escapes in patch paths are announced and refused")];
    99 "port-conductor-groups" "Ports and portgroups filter conductor_groups (not version checked)"
        [Change::Behaviour("conductor_groups filters ports, at every version")];
    100 "port-vendor" "Port field vendor"
        [field("port", "vendor")];
    101 "port-category" "Port field category"
        [field("port", "category")];
    102 "portgroup-physical-network" "Portgroup field physical_network"
        [field("portgroup", "physical_network")];
    103 "portgroup-category" "Portgroup field category"
        [field("portgroup", "category")];
    104 "instance-name" "Node field and filter instance_name, kept in step with instance_info.display_name"
        [field("node", "instance_name"), param("nodes", "instance_name", 406),
         Change::Behaviour("instance_name follows instance_info.display_name")];
    105 "vtep-keys-removed" "OVN VTEP keys removed again: hidden on read, 406 on write"
        [Change::Behaviour("VTEP keys are hidden and refused")];
    106 "portgroup-shard" "Portgroups filter shard"
        [param("portgroups", "shard", 406)];
    107 "request-id-header" "x-openstack-request-id header next to openstack-request-id (sent at every version in practice)"
        [Change::Behaviour("x-openstack-request-id beside openstack-request-id, at every version")];
    108 "service-disable-ramdisk" "disable_ramdisk with service"
        [param("provision", "service with disable_ramdisk", 406)];
    109 "health" "Node field health (OK, Warning, Critical or null)"
        [field("node", "health")];
    110 "abort-deploy-wait" "abort accepted in wait call-back"
        [value("abort.from", "wait call-back", Older::Refused)];
    111 "dynamic-portgroups" "Port available_for_dynamic_portgroup; portgroup dynamic_portgroup (read only)"
        [field("port", "available_for_dynamic_portgroup"), field("portgroup", "dynamic_portgroup")];
    112 "runbook-traits" "Runbook traits sub-resource and field, free-form runbook names, description; node needs one common trait with the runbook"
        [route("GET", "/v1/runbooks/{runbook_ident}/traits", 404),
         route("PUT", "/v1/runbooks/{runbook_ident}/traits", 404),
         route("DELETE", "/v1/runbooks/{runbook_ident}/traits", 404),
         route("PUT", "/v1/runbooks/{runbook_ident}/traits/{trait}", 404),
         route("DELETE", "/v1/runbooks/{runbook_ident}/traits/{trait}", 404),
         field("runbook", "description"), field("runbook", "traits"),
         Change::Behaviour("runbook names are logical names")];
    113 "history-project" "Node history detail field project"
        [field("node_history", "project")];
    114 "firmware-identity" "Firmware component fields vendor, model, serial_number"
        [field("firmware_component", "model"), field("firmware_component", "serial_number"),
         field("firmware_component", "vendor")];
    115 "history-states" "Node history detail fields state, target_provision_state, duration_seconds"
        [field("node_history", "duration_seconds"), field("node_history", "state"),
         field("node_history", "target_provision_state")];
};
