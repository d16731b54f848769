//! Nodes and ports with something in every field.

use std::str::FromStr as _;

use db::{Db, NodeQuery, Scope};
use model::{
    BootIntent, BootMode, ChassisUuid, Fault, InterfaceKind, JsonObject, Lease, MacAddr, Node, NodeUuid,
    Port, PortgroupUuid, PowerState, PowerTarget, ProvisionState, Timestamp, Trait,
};

pub(crate) fn time(micros: i64) -> Timestamp {
    Timestamp::from_micros(micros)
}

pub(crate) fn json(text: &str) -> JsonObject {
    JsonObject::parse(text).unwrap()
}

pub(crate) fn mac(last: u16) -> MacAddr {
    let [high, low] = last.to_be_bytes();
    MacAddr::new([0x52, 0x54, 0, 0x12, high, low])
}

/// A node with defaults.
pub(crate) fn bare() -> Node {
    Node::new("ipmi", time(1_700_000_000_000_000))
}

/// A node without a default left; `tag` makes its values its own.
pub(crate) fn full(tag: &str) -> Node {
    let text = |what: &str| Some(format!("{what}-{tag}"));
    let object = |what: &str| json(&format!(r#"{{"{what}": "{tag} ß"}}"#));
    let mut node = Node::new(format!("driver-{tag}"), time(1_700_000_000_000_001));
    node.name = text("name");
    node.driver_info = object("driver_info");
    node.driver_internal_info = object("driver_internal_info");
    node.properties = object("properties");
    node.instance_info = object("instance_info");
    node.instance_uuid = text("instance");
    node.instance_name = text("instance-name");
    node.extra = object("extra");
    node.network_data = object("network_data");
    node.chassis_uuid = Some(ChassisUuid::random());
    node.provision_state = ProvisionState::DeployWait;
    node.target_provision_state = Some(ProvisionState::Active);
    node.provision_updated_at = Some(time(1_700_000_000_000_002));
    node.power_state = Some(PowerState::On);
    node.target_power_state = Some(PowerTarget::SoftReboot);
    node.last_error = text("error");
    node.maintenance = true;
    node.maintenance_reason = text("maintenance");
    node.fault = Some(Fault::RescueAbort);
    node.lease = Some(Lease {
        holder: format!("holder-{tag}"),
        expires_at: time(1_700_000_000_000_003),
        reason: format!("reason-{tag}"),
    });
    node.lease_epoch = 7;
    node.console_enabled = true;
    for kind in InterfaceKind::ALL {
        node.interfaces.set(kind, Some(format!("{kind}-{tag}")));
    }
    node.resource_class = text("class");
    node.traits = vec![Trait::from_str("CUSTOM_A").unwrap(), Trait::from_str("HW_CPU_X86_VMX").unwrap()];
    node.conductor_group = format!("group-{tag}");
    node.automated_clean = Some(false);
    node.protected = true;
    node.protected_reason = text("protected");
    node.retired = true;
    node.retired_reason = text("retired");
    node.owner = text("owner");
    node.lessee = text("lessee");
    node.description = text("description");
    node.shard = text("shard");
    node.parent_node = Some(NodeUuid::random());
    node.disable_power_off = true;
    node.boot_mode = Some(BootMode::Uefi);
    node.secure_boot = Some(true);
    node.health = text("health");
    node.clean_step = object("clean_step");
    node.deploy_step = object("deploy_step");
    node.service_step = object("service_step");
    node.raid_config = object("raid_config");
    node.target_raid_config = object("target_raid_config");
    node.allocation_uuid = text("allocation");
    node.boot_intent = BootIntent::Ramdisk;
    node.inspection_started_at = Some(time(1_700_000_000_000_004));
    node.inspection_finished_at = Some(time(1_700_000_000_000_005));
    node
}

/// A port without a default left.
pub(crate) fn full_port(node: NodeUuid, last: u16) -> Port {
    let mut port = Port::new(node, mac(last), time(1_700_000_000_000_000));
    port.name = Some(format!("port-{last}"));
    port.pxe_enabled = false;
    port.local_link_connection = json(r#"{"switch_id": "aa:bb"}"#);
    port.portgroup_uuid = Some(PortgroupUuid::random());
    port.physical_network = Some("physnet".to_owned());
    port.is_smartnic = true;
    port.available_for_dynamic_portgroup = false;
    port.description = Some(format!("Port number {last}"));
    port.vendor = Some("vendor".to_owned());
    port.category = Some("category".to_owned());
    port.extra = json(r#"{"a": 1}"#);
    port.internal_info = json(r#"{"tenant_vif_port_id": "x"}"#);
    port
}

/// All nodes, parts included.
pub(crate) fn everything() -> NodeQuery {
    let mut query = NodeQuery::new(Scope::All);
    query.filter.include_children = true;
    query
}

/// Stores nodes in order.
pub(crate) async fn store(db: &Db, nodes: Vec<Node>) -> Vec<Node> {
    let mut stored = Vec::new();
    for node in nodes {
        stored.push(db.create_node(node).await.unwrap());
    }
    stored
}
