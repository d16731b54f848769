//! The columns of a node, once: what is selected, inserted, compared and decoded follows from this one list.

use std::str::FromStr as _;

use model::{InterfaceKind, InterfaceSet, Lease, Node, Trait};

use crate::DbError;
use crate::session::{Cells, Param, Row};
use crate::stored::{Stored as _, text};

/// A column that callers may change.
pub(crate) struct Column {
    /// Its name in the table.
    pub(crate) name: &'static str,
    /// Its value in a node.
    pub(crate) param: fn(&Node) -> Param<'_>,
}

macro_rules! node_columns {
    (
        fields: $($field:ident)*;
        interfaces: $($kind:ident = $interface:literal)*;
    ) => {
        /// Every column but `id`, `revision`, `created_at` and `updated_at`, in the order of the selection.
        pub(crate) static COLUMNS: &[Column] = &[
            $(Column { name: stringify!($field), param: |node| node.$field.param() },)*
            $(Column { name: $interface, param: |node| interface(node, InterfaceKind::$kind) },)*
            Column { name: "lease_holder", param: |node| lease(node, |lease| text(&lease.holder)) },
            Column { name: "lease_expires_at", param: |node| lease(node, |lease| lease.expires_at.param()) },
            Column { name: "lease_reason", param: |node| lease(node, |lease| text(&lease.reason)) },
            Column { name: "traits", param: |node| traits(&node.traits) },
        ];

        /// The column of an interface.
        pub(crate) fn interface_column(kind: InterfaceKind) -> &'static str {
            match kind { $(InterfaceKind::$kind => $interface),* }
        }

        /// Reads a row selected by [`selection`].
        pub(crate) fn decode(row: &Row<'_>) -> Result<Node, DbError> {
            let mut cells = Cells::new(row);
            // Fields of a struct expression are evaluated in the order they are written, which is the selection's.
            Ok(Node {
                id: cells.take()?,
                revision: cells.take()?,
                created_at: cells.take()?,
                updated_at: cells.take()?,
                $($field: cells.take()?,)*
                interfaces: {
                    let mut set = InterfaceSet::default();
                    $(
                        if let Some(implementation) = cells.text()? {
                            set.choose(InterfaceKind::$kind, implementation);
                        }
                    )*
                    set
                },
                lease: decode_lease(&mut cells)?,
                traits: decode_traits(&mut cells)?,
            })
        }
    };
}

node_columns! {
    fields:
        uuid name driver driver_info driver_internal_info properties instance_info instance_uuid instance_name extra
        network_data chassis_uuid provision_state target_provision_state provision_updated_at power_state
        target_power_state last_error maintenance maintenance_reason fault lease_epoch console_enabled resource_class
        conductor_group automated_clean protected protected_reason retired retired_reason owner lessee description
        shard parent_node disable_power_off boot_mode secure_boot health clean_step deploy_step service_step
        raid_config target_raid_config allocation_uuid boot_intent inspection_started_at inspection_finished_at;
    interfaces:
        Bios = "bios_interface" Boot = "boot_interface" Console = "console_interface" Deploy = "deploy_interface"
        Firmware = "firmware_interface" Inspect = "inspect_interface" Management = "management_interface"
        Network = "network_interface" Power = "power_interface" Raid = "raid_interface" Rescue = "rescue_interface"
        Storage = "storage_interface" Vendor = "vendor_interface";
}

/// `SELECT … FROM nodes`.
pub(crate) fn selection() -> String {
    let columns = COLUMNS.iter().map(|column| column.name).collect::<Vec<_>>().join(", ");
    format!("SELECT id, revision, created_at, updated_at, {columns} FROM nodes")
}

fn interface(node: &Node, kind: InterfaceKind) -> Param<'_> {
    node.interfaces.get(kind).map_or(Param::Null, text)
}

fn lease<'n>(node: &'n Node, value: impl Fn(&'n Lease) -> Param<'n>) -> Param<'n> {
    node.lease.as_ref().map_or(Param::Null, value)
}

fn decode_lease(cells: &mut Cells<'_>) -> Result<Option<Lease>, DbError> {
    let holder: Option<String> = cells.take()?;
    let expires_at = cells.take::<Option<_>>()?;
    let reason: Option<String> = cells.take()?;
    Ok(match (holder, expires_at) {
        (Some(holder), Some(expires_at)) => {
            Some(Lease { holder, expires_at, reason: reason.unwrap_or_default() })
        }
        _ => None,
    })
}

fn traits(traits: &[Trait]) -> Param<'_> {
    let names = || traits.iter().map(Trait::as_str).collect::<Vec<_>>();
    if traits.is_empty() { Param::Null } else { Param::Text(names().join(",").into()) }
}

fn decode_traits(cells: &mut Cells<'_>) -> Result<Vec<Trait>, DbError> {
    cells.text()?.map_or_else(|| Ok(Vec::new()), parse_traits)
}

/// Reads the column `traits`.
pub(crate) fn parse_traits(names: &str) -> Result<Vec<Trait>, DbError> {
    let parse = |name| Trait::from_str(name).map_err(|_| DbError::Malformed { column: "traits".to_owned() });
    names.split(',').map(parse).collect()
}
