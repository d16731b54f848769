//! Bodies of requests and replies that are no objects of a resource, as rows.

use api_types::{BIOS_SETTING, Json, Member, Schema};
use model::{BootDevice, BootMode, IndicatorState, MediaDevice, PowerTarget};
use provision::Verb;

const fn needed(name: &'static str, schema: Schema) -> Member {
    Member::needed(name, schema)
}

const fn optional(name: &'static str, schema: Schema) -> Member {
    Member::optional(name, schema)
}

const INTEGER: Schema = Schema::Plain(Json::Integer.only());
const INTEGER_OR_NULL: Schema = Schema::Plain(Json::Integer.or_null());
const UUID: Schema = Schema::Plain(Json::Uuid.only());
const LINKS: Schema = Schema::Plain(Json::Links.only());
const LIST: Schema = Schema::ListOf(&Schema::OBJECT);
const DEVICE: Schema = Schema::Word(|| BootDevice::ALL.iter().map(|device| device.as_str()).collect());

/// `PUT states/power`
pub(crate) const POWER: Schema = Schema::Members(&[
    needed("target", Schema::Word(|| PowerTarget::ALL.map(PowerTarget::as_str).to_vec())),
    optional("timeout", INTEGER),
]);
/// `PUT states/provision`
pub(crate) const PROVISION: Schema = Schema::Members(&[
    needed("target", Schema::Word(|| Verb::all().map(Verb::as_str).collect())),
    optional("configdrive", Schema::Any),
    optional("clean_steps", LIST),
    optional("deploy_steps", LIST),
    optional("service_steps", LIST),
    optional("rescue_password", Schema::TEXT),
    optional("disable_ramdisk", Schema::FLAG),
    optional("runbook", Schema::TEXT),
]);
/// `PUT states/raid`
pub(crate) const RAID: Schema = Schema::Open(&[optional("logical_disks", LIST)]);
/// `PUT states/boot_mode`
pub(crate) const BOOT_MODE: Schema = Schema::Members(&[needed(
    "target",
    Schema::Word(|| BootMode::ALL.iter().map(|mode| mode.as_str()).collect()),
)]);
/// `PUT states/secure_boot`
pub(crate) const SECURE_BOOT: Schema = Schema::Members(&[needed("target", Schema::FLAG)]);
/// `PUT states/console`
pub(crate) const SET_CONSOLE: Schema = Schema::Members(&[needed("enabled", Schema::FLAG)]);
/// `GET states/console`
pub(crate) const CONSOLE: Schema = Schema::Members(&[
    needed("console_enabled", Schema::FLAG),
    optional("console_info", Schema::Open(&[optional("type", Schema::TEXT), optional("url", Schema::TEXT)])),
]);
/// `GET bios/{setting_name}`: the setting under its name.
pub(crate) const BIOS: Schema = Schema::MapOf(&Schema::Shown(&BIOS_SETTING));
/// What a light does.
const LIGHT: Schema = Schema::Word(|| IndicatorState::ALL.map(IndicatorState::as_str).to_vec());
/// `GET management/indicators`
pub(crate) const INDICATORS: Schema = Schema::Members(&[needed(
    "indicators",
    Schema::ListOf(&Schema::Members(&[
        needed("name", Schema::TEXT),
        needed("component", Schema::TEXT),
        needed("readonly", Schema::FLAG),
        needed("states", Schema::ListOf(&LIGHT)),
        needed("links", LINKS),
    ])),
)]);
/// `GET management/indicators/{indicator}`
pub(crate) const INDICATOR: Schema = Schema::Members(&[needed("state", LIGHT)]);
/// `PUT management/indicators/{indicator}`; the state may be in capitals.
pub(crate) const SET_INDICATOR: Schema = Schema::Members(&[needed("state", Schema::TEXT)]);
/// `GET vmedia`
pub(crate) const MEDIA: Schema = Schema::ListOf(&Schema::Members(&[
    needed("media_types", Schema::TEXTS),
    needed("inserted", Schema::FLAG),
    optional("image", Schema::TEXT),
]));
/// `POST vmedia`
pub(crate) const ATTACH_MEDIA: Schema = Schema::Members(&[
    needed("device_type", Schema::Word(|| MediaDevice::ALL.map(MediaDevice::as_str).to_vec())),
    needed("image_url", Schema::TEXT),
    optional("image_download_source", Schema::Word(|| vec!["http", "local", "swift"])),
]);
/// `GET vendor_passthru/methods`
pub(crate) const METHODS: Schema = Schema::MapOf(&Schema::Members(&[
    needed("http_methods", Schema::TEXTS),
    needed("async", Schema::FLAG),
    needed("description", Schema::TEXT),
    needed("attach", Schema::FLAG),
    optional("require_exclusive_lock", Schema::FLAG),
]));
/// `PUT maintenance`
pub(crate) const MAINTENANCE: Schema = Schema::Members(&[optional("reason", Schema::TEXT)]);
/// `PUT management/boot_device`
pub(crate) const SET_BOOT_DEVICE: Schema =
    Schema::Members(&[needed("boot_device", DEVICE), optional("persistent", Schema::FLAG)]);
/// `GET management/boot_device`
pub(crate) const BOOT_DEVICE: Schema =
    Schema::Members(&[optional("boot_device", DEVICE), optional("persistent", Schema::FLAG)]);
/// `GET management/boot_device/supported`
pub(crate) const BOOT_DEVICES: Schema =
    Schema::Members(&[needed("supported_boot_devices", Schema::ListOf(&DEVICE))]);
/// `GET validate`: an interface, and what is wrong with it.
pub(crate) const VERDICTS: Schema =
    Schema::MapOf(&Schema::Members(&[optional("result", Schema::FLAG), optional("reason", Schema::TEXT)]));
/// `GET` and `PUT traits`
pub(crate) const TRAITS: Schema = Schema::Members(&[needed("traits", Schema::TEXTS)]);
/// `POST vifs`; what else is said goes on to the network.
pub(crate) const VIF: Schema = Schema::Open(&[
    needed("id", Schema::TEXT),
    optional("port_uuid", Schema::TEXT),
    optional("portgroup_uuid", Schema::TEXT),
]);
/// `GET vifs`
pub(crate) const VIFS: Schema =
    Schema::Members(&[needed("vifs", Schema::ListOf(&Schema::Open(&[needed("id", Schema::TEXT)])))]);
/// `GET inventory`
pub(crate) const INVENTORY: Schema =
    Schema::Members(&[needed("inventory", Schema::OBJECT), needed("plugin_data", Schema::OBJECT)]);
/// `GET children`
pub(crate) const CHILDREN: Schema = Schema::Members(&[
    needed("children", Schema::ListOf(&UUID)),
    needed("links", Schema::Members(&[needed("href", Schema::TEXT), needed("rel", Schema::TEXT)])),
]);
/// `GET progress`
pub(crate) const PROGRESS: Schema = Schema::Members(&[
    optional("flow", Schema::TEXT),
    optional("step", Schema::TEXT),
    optional("phase", Schema::TEXT),
    optional("bytes_done", INTEGER),
    optional("bytes_total", INTEGER),
    optional("since", Schema::TEXT),
    optional("deadline", Schema::TEXT),
    optional("started_at", Schema::TEXT),
    optional("doing", Schema::TEXT),
    optional("failure", Schema::TEXT),
    needed("remaining", LIST),
    needed("node", Schema::OBJECT),
    optional("held_by", Schema::TEXT),
    optional("held_until", Schema::TEXT),
    optional("last_boot", Schema::OBJECT),
    optional("last_error", Schema::TEXT),
    optional("code", Schema::TEXT),
    optional("documentation", Schema::TEXT),
]);
/// `GET boot-trace`
pub(crate) const BOOT_TRACE: Schema = Schema::Members(&[
    needed("node_uuid", Schema::TEXT),
    needed(
        "attempts",
        Schema::ListOf(&Schema::Members(&[
            needed("started_at", Schema::TEXT),
            optional("intent", Schema::TEXT),
            needed("stage", Schema::TEXT),
            needed("restarts", INTEGER),
            needed("under_way", Schema::FLAG),
            needed("summary", Schema::TEXT),
            optional("code", Schema::TEXT),
            optional("documentation", Schema::TEXT),
            optional("next_step", Schema::TEXT),
            needed("events", LIST),
        ])),
    ),
]);
/// `GET /v1/volume`
pub(crate) const VOLUME: Schema =
    Schema::Members(&[needed("connectors", LINKS), needed("links", LINKS), needed("targets", LINKS)]);
/// `GET properties` of a driver: a name, and what it is for.
pub(crate) const PROPERTIES: Schema = Schema::MapOf(&Schema::TEXT);
/// `GET /v1/shards`
pub(crate) const SHARDS: Schema = Schema::Members(&[needed(
    "shards",
    Schema::ListOf(&Schema::Members(&[needed("name", Schema::TEXT_OR_NULL), needed("count", INTEGER)])),
)]);
/// What the network service tells of.
const NETWORK_EVENTS: Schema =
    Schema::Word(|| vec!["network.bind_port", "network.unbind_port", "network.delete_port"]);
/// `POST /v1/events`
pub(crate) const EVENTS: Schema = Schema::Members(&[needed(
    "events",
    Schema::ListOf(&Schema::Members(&[
        needed("event", NETWORK_EVENTS),
        needed("port_id", UUID),
        needed("mac_address", Schema::Plain(Json::Mac.only())),
        needed("status", Schema::TEXT),
        optional("device_id", UUID),
        optional("binding:host_id", Schema::TEXT),
        optional("binding:vnic_type", Schema::TEXT),
    ])),
)]);
/// `GET /v1/lookup`
pub(crate) const LOOKUP: Schema =
    Schema::Members(&[needed("node", Schema::OBJECT), needed("config", Schema::OBJECT)]);
/// `POST /v1/heartbeat`
pub(crate) const INSPECTION: Schema = Schema::Open(&[needed("inventory", Schema::OBJECT)]);
/// `POST heartbeat`
pub(crate) const HEARTBEAT: Schema = Schema::Members(&[
    needed("callback_url", Schema::TEXT),
    optional("agent_token", Schema::TEXT),
    optional("agent_version", Schema::TEXT),
    optional("agent_verify_ca", Schema::TEXT),
    optional("agent_status", Schema::Word(|| vec!["start", "end", "error"])),
    optional("agent_status_message", Schema::TEXT),
]);
/// `POST /v1/agent/{node_uuid}/progress`
pub(crate) const REPORT: Schema = Schema::Members(&[
    needed("agent_token", Schema::TEXT),
    needed("command", Schema::TEXT),
    needed("phase", Schema::TEXT),
    needed("bytes_done", INTEGER),
    optional("bytes_total", INTEGER_OR_NULL),
]);
