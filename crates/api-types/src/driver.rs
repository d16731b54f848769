//! Drivers, that is hardware types: the table of their fields.

use model::{HardwareType, InterfaceKind};

use crate::{Field, Json, Resource, Writer, write_links};

/// Drivers.
pub const DRIVER: Resource<DriverRow> = Resource { name: "driver", collection: "drivers", fields: FIELDS };

/// A driver as replies show it.
#[derive(Debug, Clone)]
pub struct DriverRow {
    /// The hardware type.
    pub hardware: HardwareType,
    /// Conductors that offer it.
    pub hosts: Vec<String>,
}

type Row = Field<DriverRow>;

const FIELDS: &[Row] = &[
    Row::new("default_bios_interface", Json::Text.or_null(), 40, "computed from config", |d, _, w| {
        w.opt_text(d.hardware.default_interface(InterfaceKind::Bios));
    }),
    Row::new("default_boot_interface", Json::Text.or_null(), 30, "computed from config", |d, _, w| {
        w.opt_text(d.hardware.default_interface(InterfaceKind::Boot));
    }),
    Row::new("default_console_interface", Json::Text.or_null(), 30, "computed from config", |d, _, w| {
        w.opt_text(d.hardware.default_interface(InterfaceKind::Console));
    }),
    Row::new("default_deploy_interface", Json::Text.or_null(), 30, "computed from config", |d, _, w| {
        w.opt_text(d.hardware.default_interface(InterfaceKind::Deploy));
    }),
    Row::new("default_firmware_interface", Json::Text.or_null(), 86, "computed from config", |d, _, w| {
        w.opt_text(d.hardware.default_interface(InterfaceKind::Firmware));
    }),
    Row::new("default_inspect_interface", Json::Text.or_null(), 30, "computed from config", |d, _, w| {
        w.opt_text(d.hardware.default_interface(InterfaceKind::Inspect));
    }),
    Row::new("default_management_interface", Json::Text.or_null(), 30, "computed from config", |d, _, w| {
        w.opt_text(d.hardware.default_interface(InterfaceKind::Management));
    }),
    Row::new("default_network_interface", Json::Text.or_null(), 30, "computed from config", |d, _, w| {
        w.opt_text(d.hardware.default_interface(InterfaceKind::Network));
    }),
    Row::new("default_power_interface", Json::Text.or_null(), 30, "computed from config", |d, _, w| {
        w.opt_text(d.hardware.default_interface(InterfaceKind::Power));
    }),
    Row::new("default_raid_interface", Json::Text.or_null(), 30, "computed from config", |d, _, w| {
        w.opt_text(d.hardware.default_interface(InterfaceKind::Raid));
    }),
    Row::new("default_rescue_interface", Json::Text.or_null(), 38, "computed from config", |d, _, w| {
        w.opt_text(d.hardware.default_interface(InterfaceKind::Rescue));
    }),
    Row::new("default_storage_interface", Json::Text.or_null(), 33, "computed from config", |d, _, w| {
        w.opt_text(d.hardware.default_interface(InterfaceKind::Storage));
    }),
    Row::new("default_vendor_interface", Json::Text.or_null(), 30, "computed from config", |d, _, w| {
        w.opt_text(d.hardware.default_interface(InterfaceKind::Vendor));
    }),
    Row::new("enabled_bios_interfaces", Json::Texts.only(), 40, "config", |d, _, w| {
        enabled(d, w, InterfaceKind::Bios);
    }),
    Row::new("enabled_boot_interfaces", Json::Texts.only(), 30, "config", |d, _, w| {
        enabled(d, w, InterfaceKind::Boot);
    }),
    Row::new("enabled_console_interfaces", Json::Texts.only(), 30, "config", |d, _, w| {
        enabled(d, w, InterfaceKind::Console);
    }),
    Row::new("enabled_deploy_interfaces", Json::Texts.only(), 30, "config", |d, _, w| {
        enabled(d, w, InterfaceKind::Deploy);
    }),
    Row::new("enabled_firmware_interfaces", Json::Texts.only(), 86, "config", |d, _, w| {
        enabled(d, w, InterfaceKind::Firmware);
    }),
    Row::new("enabled_inspect_interfaces", Json::Texts.only(), 30, "config", |d, _, w| {
        enabled(d, w, InterfaceKind::Inspect);
    }),
    Row::new("enabled_management_interfaces", Json::Texts.only(), 30, "config", |d, _, w| {
        enabled(d, w, InterfaceKind::Management);
    }),
    Row::new("enabled_network_interfaces", Json::Texts.only(), 30, "config", |d, _, w| {
        enabled(d, w, InterfaceKind::Network);
    }),
    Row::new("enabled_power_interfaces", Json::Texts.only(), 30, "config", |d, _, w| {
        enabled(d, w, InterfaceKind::Power);
    }),
    Row::new("enabled_raid_interfaces", Json::Texts.only(), 30, "config", |d, _, w| {
        enabled(d, w, InterfaceKind::Raid);
    }),
    Row::new("enabled_rescue_interfaces", Json::Texts.only(), 38, "config", |d, _, w| {
        enabled(d, w, InterfaceKind::Rescue);
    }),
    Row::new("enabled_storage_interfaces", Json::Texts.only(), 33, "config", |d, _, w| {
        enabled(d, w, InterfaceKind::Storage);
    }),
    Row::new("enabled_vendor_interfaces", Json::Texts.only(), 30, "config", |d, _, w| {
        enabled(d, w, InterfaceKind::Vendor);
    }),
    Row::new("hosts", Json::Texts.only(), 1, "-", |d, _, w| w.texts(d.hosts.iter().map(String::as_str)))
        .short(),
    Row::new("links", Json::Links.only(), 1, "links", |d, c, w| {
        write_links(w, c.base, &["drivers", &d.hardware.name]);
    })
    .short(),
    Row::new("name", Json::Text.only(), 1, "-", |d, _, w| w.text(&d.hardware.name)).short(),
    Row::new("properties", Json::Links.only(), 14, "links", |d, c, w| {
        write_links(w, c.base, &["drivers", &d.hardware.name, "properties"]);
    })
    .short(),
    Row::new("type", Json::Text.only(), 30, "dynamic", |_, _, w| w.text("dynamic")).short(),
];

fn enabled(row: &DriverRow, out: &mut Writer, kind: InterfaceKind) {
    let names = row.hardware.interfaces.get(&kind);
    out.texts(names.into_iter().flatten().map(String::as_str));
}
