//! Handlers of version 1, one file per resource or concern of nodes.

pub(crate) mod agent_progress;
pub(crate) mod conductors;
pub(crate) mod drivers;
pub(crate) mod node_boot;
pub(crate) mod node_create;
pub(crate) mod node_delete;
pub(crate) mod node_history;
pub(crate) mod node_list;
pub(crate) mod node_maintenance;
pub(crate) mod node_management;
pub(crate) mod node_power;
pub(crate) mod node_progress;
pub(crate) mod node_provision;
pub(crate) mod node_show;
pub(crate) mod node_traits;
pub(crate) mod node_update;
pub(crate) mod node_vifs;
pub(crate) mod port_update;
pub(crate) mod ports;
pub(crate) mod ramdisk;
pub(crate) mod root;
