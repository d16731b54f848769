//! Nodes: the table of their fields.
//!
//! Rules between fields (states, conflicts) belong to who updates nodes; here are types, lengths and names alone.

use microversion::{Version, shown_value, since};
use model::{
    BootMode, ChassisUuid, Fault, InterfaceKind, JsonObject, NODE_NAMES_RESERVED, Node, NodeUuid, PowerState,
    ProvisionState, validate_hostname, validate_logical_name,
};
use serde_json::Value;

use crate::link::write_object_links;
use crate::mask::write_masked;
use crate::shown::{self, shows};
use crate::value::{flag, object, some_text, text_up_to, uuid};
use crate::{Context, Field, Invalid, Json, Resource, Writer};

/// Nodes.
pub const NODE: Resource<Node> = Resource { name: "node", collection: "nodes", fields: FIELDS };

type Row = Field<Node>;

pub(crate) const FIELDS: &[Row] =
    &[
        Row::new("allocation_uuid", Json::Uuid.or_null(), 52, "null", |n, _, w| {
            w.opt_text(n.allocation_uuid.as_deref());
        }),
        Row::new("automated_clean", Json::Flag.or_null(), 47, "null", |n, _, w| {
            w.opt_flag(n.automated_clean);
        })
        .writable(47, 47, |n, v, _| {
            n.automated_clean = flag(&v);
            Ok(())
        }),
        Row::new("bios_interface", Json::Text.or_null(), 40, "computed from config", |n, _, w| {
            w.opt_text(n.interfaces.get(InterfaceKind::Bios));
        })
        .writable(40, 40, |n, v, _| {
            n.interfaces.set(InterfaceKind::Bios, some_text("/bios_interface", v, 255)?);
            Ok(())
        }),
        Row::new("boot_interface", Json::Text.or_null(), 31, "computed from config", |n, _, w| {
            w.opt_text(n.interfaces.get(InterfaceKind::Boot));
        })
        .writable(31, 31, |n, v, _| {
            n.interfaces.set(InterfaceKind::Boot, some_text("/boot_interface", v, 255)?);
            Ok(())
        }),
        Row::new("boot_mode", Json::Text.or_null(), 75, "null", |n, _, w| {
            w.opt_text(n.boot_mode.map(BootMode::as_str));
        })
        .create_only(75, |n, v, _| {
            n.boot_mode = boot_mode(&v)?;
            Ok(())
        }),
        Row::new("chassis_uuid", Json::Uuid.or_null(), 1, "null", |n, _, w| {
            w.opt_uuid(n.chassis_uuid.map(ChassisUuid::as_uuid));
        })
        .writable(1, 1, |n, v, _| {
            n.chassis_uuid = uuid("/chassis_uuid", &v)?.map(ChassisUuid::from_uuid);
            Ok(())
        }),
        Row::new("clean_step", Json::Object.only(), 7, "{}", |n, _, w| w.object(&n.clean_step)),
        Row::new("conductor", Json::Text.or_null(), 49, "computed", |n, c, w| {
            w.opt_text((c.conductor_of)(n).as_deref());
        }),
        Row::new("conductor_group", Json::Text.only(), 46, "\"\"", |n, _, w| w.text(&n.conductor_group))
            .writable(46, 46, |n, v, _| {
                n.conductor_group = group(v)?;
                Ok(())
            }),
        Row::new("console_enabled", Json::Flag.only(), 1, "false", |n, _, w| w.flag(n.console_enabled))
            .create_only(1, |n, v, _| {
                n.console_enabled = flag(&v).unwrap_or(false);
                Ok(())
            }),
        Row::new("console_interface", Json::Text.or_null(), 31, "computed from config", |n, _, w| {
            w.opt_text(n.interfaces.get(InterfaceKind::Console));
        })
        .writable(31, 31, |n, v, _| {
            n.interfaces.set(InterfaceKind::Console, some_text("/console_interface", v, 255)?);
            Ok(())
        }),
        Row::new("created_at", Json::Time.only(), 1, "now", |n, _, w| w.time(n.created_at)),
        Row::new("deploy_interface", Json::Text.or_null(), 31, "computed from config", |n, _, w| {
            w.opt_text(n.interfaces.get(InterfaceKind::Deploy));
        })
        .writable(31, 31, |n, v, _| {
            n.interfaces.set(InterfaceKind::Deploy, some_text("/deploy_interface", v, 255)?);
            Ok(())
        }),
        Row::new("deploy_step", Json::Object.only(), 44, "{}", |n, _, w| w.object(&n.deploy_step)),
        Row::new("description", Json::Text.or_null(), 51, "null", |n, _, w| {
            w.opt_text(n.description.as_deref());
        })
        .writable(51, 51, |n, v, _| {
            n.description = text_up_to("/description", v, 4096)?;
            Ok(())
        }),
        Row::new("disable_power_off", Json::Flag.only(), 95, "false", |n, _, w| w.flag(n.disable_power_off))
            .writable(95, 95, |n, v, _| {
                n.disable_power_off = flag(&v).unwrap_or(false);
                Ok(())
            }),
        Row::new("driver", Json::Text.only(), 1, "required", |n, _, w| w.text(&n.driver)).writable(
            1,
            1,
            |n, v, _| {
                n.driver = some_text("/driver", v, 255)?
                    .ok_or_else(|| Invalid::at("/driver", "a value is required"))?;
                Ok(())
            },
        ),
        Row::new("driver_info", Json::Object.only(), 1, "{}", driver_info).writable(1, 1, |n, v, _| {
            n.driver_info = object(v);
            Ok(())
        }),
        Row::new("driver_internal_info", Json::Object.only(), 3, "{}", driver_internal_info),
        Row::new("extra", Json::Object.only(), 1, "{}", |n, _, w| w.object(&n.extra)).writable(
            1,
            1,
            |n, v, _| {
                n.extra = object(v);
                Ok(())
            },
        ),
        Row::new("fault", Json::Text.or_null(), 42, "null", |n, _, w| w.opt_text(n.fault.map(Fault::as_str))),
        Row::new("firmware_interface", Json::Text.or_null(), 86, "computed from config", |n, _, w| {
            w.opt_text(n.interfaces.get(InterfaceKind::Firmware));
        })
        .writable(86, 86, |n, v, _| {
            n.interfaces.set(InterfaceKind::Firmware, some_text("/firmware_interface", v, 255)?);
            Ok(())
        }),
        Row::new("health", Json::Text.or_null(), 109, "null", |n, _, w| w.opt_text(n.health.as_deref())),
        Row::new("inspect_interface", Json::Text.or_null(), 31, "computed from config", |n, _, w| {
            w.opt_text(n.interfaces.get(InterfaceKind::Inspect));
        })
        .writable(31, 31, |n, v, _| {
            n.interfaces.set(InterfaceKind::Inspect, some_text("/inspect_interface", v, 255)?);
            Ok(())
        }),
        Row::new("inspection_finished_at", Json::Time.or_null(), 6, "null", |n, _, w| {
            w.opt_time(n.inspection_finished_at);
        }),
        Row::new("inspection_started_at", Json::Time.or_null(), 6, "null", |n, _, w| {
            w.opt_time(n.inspection_started_at);
        }),
        Row::new("instance_info", Json::Object.only(), 1, "{}", |n, c, w| {
            secrets(&n.instance_info, &["configdrive", "image_url"], c.reveal || c.shown.instance_secrets, w);
        })
        .writable(1, 1, |n, v, _| {
            n.instance_info = object(v);
            Ok(())
        }),
        Row::new("instance_name", Json::Text.or_null(), 104, "null", |n, _, w| {
            w.opt_text(n.instance_name.as_deref());
        })
        .writable(104, 104, |n, v, _| {
            n.instance_name = some_text("/instance_name", v, 255)?;
            Ok(())
        }),
        Row::new("instance_uuid", Json::Uuid.or_null(), 1, "null", |n, _, w| {
            w.opt_text(n.instance_uuid.as_deref());
        })
        .writable(1, 1, |n, v, _| {
            n.instance_uuid = uuid("/instance_uuid", &v)?.map(|uuid| uuid.to_string());
            Ok(())
        })
        .short(),
        Row::new("last_error", Json::Text.or_null(), 1, "null", last_error),
        Row::new("lessee", Json::Text.or_null(), 65, "null", |n, _, w| w.opt_text(n.lessee.as_deref()))
            .writable(65, 65, |n, v, _| {
                n.lessee = text_up_to("/lessee", v, 255)?;
                Ok(())
            }),
        Row::new("links", Json::Links.only(), 1, "links", |n, c, w| links(n, c, w, None)).short(),
        Row::new("maintenance", Json::Flag.only(), 1, "false", |n, _, w| w.flag(n.maintenance))
            .writable(1, 1, |n, v, _| {
                n.maintenance = flag(&v).unwrap_or(false);
                Ok(())
            })
            .short(),
        Row::new("maintenance_reason", Json::Text.or_null(), 1, "null", |n, _, w| {
            w.opt_text(n.maintenance_reason.as_deref());
        }),
        Row::new("management_interface", Json::Text.or_null(), 31, "computed from config", |n, _, w| {
            w.opt_text(n.interfaces.get(InterfaceKind::Management));
        })
        .writable(31, 31, |n, v, _| {
            n.interfaces.set(InterfaceKind::Management, some_text("/management_interface", v, 255)?);
            Ok(())
        }),
        Row::new("name", Json::Text.or_null(), 5, "null", |n, _, w| w.opt_text(n.name.as_deref()))
            .writable(5, 5, |n, v, version| {
                n.name = name(v, version)?;
                Ok(())
            })
            .short(),
        Row::new("network_data", Json::Object.only(), 66, "{}", |n, _, w| w.object(&n.network_data))
            .writable(66, 66, |n, v, _| {
                check_network_data(&v)?;
                n.network_data = object(v);
                Ok(())
            }),
        Row::new("network_interface", Json::Text.or_null(), 20, "computed from config", |n, _, w| {
            w.opt_text(n.interfaces.get(InterfaceKind::Network));
        })
        .writable(20, 20, |n, v, _| {
            n.interfaces.set(InterfaceKind::Network, some_text("/network_interface", v, 255)?);
            Ok(())
        }),
        Row::new("owner", Json::Text.or_null(), 50, "null; project id for project admins", |n, _, w| {
            w.opt_text(n.owner.as_deref());
        })
        .writable(50, 50, |n, v, _| {
            n.owner = text_up_to("/owner", v, 255)?;
            Ok(())
        }),
        Row::new("parent_node", Json::Uuid.or_null(), 83, "null", |n, _, w| {
            w.opt_uuid(n.parent_node.map(NodeUuid::as_uuid));
        })
        .writable(83, 83, |n, v, _| {
            n.parent_node = uuid("/parent_node", &v)?.map(NodeUuid::from_uuid);
            Ok(())
        }),
        Row::new("portgroups", Json::Links.only(), 24, "links", |n, c, w| links(n, c, w, Some("portgroups"))),
        Row::new("ports", Json::Links.only(), 1, "links", |n, c, w| links(n, c, w, Some("ports"))),
        Row::new("power_interface", Json::Text.or_null(), 31, "computed from config", |n, _, w| {
            w.opt_text(n.interfaces.get(InterfaceKind::Power));
        })
        .writable(31, 31, |n, v, _| {
            n.interfaces.set(InterfaceKind::Power, some_text("/power_interface", v, 255)?);
            Ok(())
        }),
        Row::new("power_state", Json::Text.or_null(), 1, "null", |n, _, w| {
            w.opt_text(n.power_state.map(PowerState::as_str));
        })
        .short(),
        Row::new("properties", Json::Object.only(), 1, "{}", |n, _, w| w.object(&n.properties)).writable(
            1,
            1,
            |n, v, _| {
                n.properties = object(v);
                Ok(())
            },
        ),
        Row::new("protected", Json::Flag.only(), 48, "false", |n, _, w| w.flag(n.protected)).patch_only(
            48,
            |n, v, _| {
                n.protected = flag(&v).unwrap_or(false);
                Ok(())
            },
        ),
        Row::new("protected_reason", Json::Text.or_null(), 48, "null", |n, _, w| {
            w.opt_text(n.protected_reason.as_deref());
        })
        .patch_only(48, |n, v, _| {
            n.protected_reason = text_up_to("/protected_reason", v, 65535)?;
            Ok(())
        }),
        Row::new("provision_state", Json::Text.only(), 1, "enroll (available below 1.11)", |n, c, w| {
            provision_state(n, c, w);
        })
        .short(),
        Row::new("provision_updated_at", Json::Time.or_null(), 1, "null", |n, _, w| {
            w.opt_time(n.provision_updated_at);
        }),
        Row::new("raid_config", Json::Object.only(), 12, "{}", |n, _, w| w.object(&n.raid_config)),
        Row::new("raid_interface", Json::Text.or_null(), 31, "computed from config", |n, _, w| {
            w.opt_text(n.interfaces.get(InterfaceKind::Raid));
        })
        .writable(31, 31, |n, v, _| {
            n.interfaces.set(InterfaceKind::Raid, some_text("/raid_interface", v, 255)?);
            Ok(())
        }),
        Row::new("rescue_interface", Json::Text.or_null(), 38, "computed from config", |n, _, w| {
            w.opt_text(n.interfaces.get(InterfaceKind::Rescue));
        })
        .writable(38, 38, |n, v, _| {
            n.interfaces.set(InterfaceKind::Rescue, some_text("/rescue_interface", v, 255)?);
            Ok(())
        }),
        Row::new("reservation", Json::Text.or_null(), 1, "null", reservation),
        Row::new(
            "resource_class",
            Json::Text.or_null(),
            21,
            "[DEFAULT]default_resource_class (null)",
            |n, _, w| w.opt_text(n.resource_class.as_deref()),
        )
        .writable(21, 21, |n, v, _| {
            n.resource_class = text_up_to("/resource_class", v, 80)?;
            Ok(())
        }),
        Row::new("retired", Json::Flag.only(), 61, "false", |n, _, w| w.flag(n.retired)).writable(
            61,
            61,
            |n, v, _| {
                n.retired = flag(&v).unwrap_or(false);
                Ok(())
            },
        ),
        Row::new("retired_reason", Json::Text.or_null(), 61, "null", |n, _, w| {
            w.opt_text(n.retired_reason.as_deref());
        })
        .writable(61, 61, |n, v, _| {
            n.retired_reason = text_up_to("/retired_reason", v, 65535)?;
            Ok(())
        }),
        Row::new("secure_boot", Json::Flag.or_null(), 75, "null", |n, _, w| w.opt_flag(n.secure_boot))
            .create_only(75, |n, v, _| {
                n.secure_boot = flag(&v);
                Ok(())
            }),
        Row::new("service_step", Json::Object.only(), 87, "{}", |n, _, w| w.object(&n.service_step)),
        Row::new("shard", Json::Text.or_null(), 82, "null", |n, _, w| w.opt_text(n.shard.as_deref()))
            .writable(82, 82, |n, v, _| {
                n.shard = text_up_to("/shard", v, 255)?;
                Ok(())
            }),
        Row::new("states", Json::Links.only(), 14, "links", |n, c, w| links(n, c, w, Some("states"))),
        Row::new("storage_interface", Json::Text.or_null(), 33, "computed from config", |n, _, w| {
            w.opt_text(n.interfaces.get(InterfaceKind::Storage));
        })
        .writable(33, 33, |n, v, _| {
            n.interfaces.set(InterfaceKind::Storage, some_text("/storage_interface", v, 255)?);
            Ok(())
        }),
        Row::new("target_power_state", Json::Text.or_null(), 1, "null", |n, _, w| {
            w.opt_text(n.target_power_state.map(|target| target.end().as_str()));
        }),
        Row::new("target_provision_state", Json::Text.or_null(), 1, "null", |n, _, w| {
            w.opt_text(n.target_provision_state.map(ProvisionState::as_str));
        }),
        Row::new("target_raid_config", Json::Object.only(), 12, "{}", |n, _, w| {
            w.object(&n.target_raid_config);
        }),
        Row::new("traits", Json::Texts.only(), 37, "[]", |n, _, w| {
            w.texts(n.traits.iter().map(model::Trait::as_str));
        }),
        Row::new("updated_at", Json::Time.or_null(), 1, "null", |n, _, w| w.opt_time(n.updated_at)),
        Row::new("uuid", Json::Uuid.only(), 1, "generated", |n, _, w| w.uuid(n.uuid.as_uuid()))
            .create_only(1, |n, v, _| {
                n.uuid = uuid("/uuid", &v)?.map_or_else(NodeUuid::random, NodeUuid::from_uuid);
                Ok(())
            })
            .short(),
        Row::new("vendor_interface", Json::Text.or_null(), 31, "computed from config", |n, _, w| {
            w.opt_text(n.interfaces.get(InterfaceKind::Vendor));
        })
        .writable(31, 31, |n, v, _| {
            n.interfaces.set(InterfaceKind::Vendor, some_text("/vendor_interface", v, 255)?);
            Ok(())
        }),
        Row::new("volume", Json::Links.only(), 32, "links", |n, c, w| links(n, c, w, Some("volume"))),
    ];

fn links(node: &Node, cx: &Context<'_>, out: &mut Writer, below: Option<&'static str>) {
    write_object_links(out, cx, "nodes", node.uuid.as_uuid(), below);
}

/// An object with its secrets masked, unless they are `open`.
fn secrets(object: &JsonObject, also: &[&str], open: bool, out: &mut Writer) {
    if open { out.object(object) } else { write_masked(out, object.as_str(), also) }
}

fn driver_info(node: &Node, cx: &Context<'_>, out: &mut Writer) {
    if cx.reveal || shows(&cx.shown.driver_info, node) {
        return secrets(&node.driver_info, &[], cx.reveal || cx.shown.driver_secrets, out);
    }
    out.raw(shown::DRIVER_INFO);
}

fn driver_internal_info(node: &Node, cx: &Context<'_>, out: &mut Writer) {
    if cx.reveal || shows(&cx.shown.driver_internal_info, node) {
        return secrets(&node.driver_internal_info, &[], cx.reveal || cx.shown.driver_secrets, out);
    }
    out.raw(shown::DRIVER_INTERNAL_INFO);
}

fn last_error(node: &Node, cx: &Context<'_>, out: &mut Writer) {
    if cx.reveal || shows(&cx.shown.last_error, node) {
        return out.opt_text(node.last_error.as_deref());
    }
    out.text(shown::LAST_ERROR);
}

fn reservation(node: &Node, cx: &Context<'_>, out: &mut Writer) {
    if !cx.reveal && !shows(&cx.shown.reservation, node) {
        return out.text(shown::RESERVATION);
    }
    let lease = node.lease.as_ref().filter(|lease| lease.expires_at > cx.now);
    out.opt_text(lease.map(|lease| lease.holder.as_str()));
}

/// The state under the name that the caller's version has for it.
fn provision_state(node: &Node, cx: &Context<'_>, out: &mut Writer) {
    out.opt_text(shown_value("node.provision_state", node.provision_state.as_str(), cx.version));
}

fn name(value: Value, version: Version) -> Result<Option<String>, Invalid> {
    let Value::String(name) = value else { return Ok(None) };
    check_node_name(&name, version)?;
    Ok(Some(name))
}

/// Checks the name of a node: a logical name that is no part of a route; in old versions a host name.
pub fn check_node_name(name: &str, version: Version) -> Result<(), Invalid> {
    let problem = |error: model::InvalidName| Invalid::at("/name", error.to_string());
    if !version.at_least(const { since("unrestricted-names") }) {
        validate_hostname(name).map_err(problem)?;
    }
    validate_logical_name(name).map_err(problem)?;
    if NODE_NAMES_RESERVED.contains(&name) {
        return Err(problem(model::InvalidName::Reserved(name.to_owned())));
    }
    Ok(())
}

fn boot_mode(value: &Value) -> Result<Option<BootMode>, Invalid> {
    let parse = |text: &str| text.parse().map_err(|error: String| Invalid::at("/boot_mode", error));
    value.as_str().map(parse).transpose()
}

/// Conductor groups are compared in lower case.
fn group(value: Value) -> Result<String, Invalid> {
    let group = text_up_to("/conductor_group", value, 255)?.unwrap_or_default().to_lowercase();
    match group.chars().find(|c| !(c.is_ascii_alphanumeric() || "-._".contains(*c))) {
        None => Ok(group),
        Some(character) => {
            let problem = format!("'{character}' is not allowed; use letters, digits and - . _");
            Err(Invalid::at("/conductor_group", problem))
        }
    }
}

/// Checks the outline of OpenStack's `network_data`: lists of objects under `links`, `networks` and `services`.
pub fn check_network_data(value: &Value) -> Result<(), Invalid> {
    let Some(map) = value.as_object() else { return Ok(()) };
    for (key, value) in map {
        let path = format!("/network_data/{key}");
        if !["links", "networks", "services"].contains(&key.as_str()) {
            return Err(Invalid::at(path, "expected links, networks or services"));
        }
        if !value.as_array().is_some_and(|list| list.iter().all(Value::is_object)) {
            return Err(Invalid::at(path, "expected a list of objects"));
        }
    }
    Ok(())
}
