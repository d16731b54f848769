-- Nodes, ports, conductors, flows, journal, history, events, users, settings.
-- Times are microseconds since 1970, booleans 0 or 1, identifiers and JSON text.

-- Nodes. `revision` counts writes: every write names the one it was decided on.
CREATE TABLE nodes (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    revision INTEGER NOT NULL,
    uuid TEXT NOT NULL UNIQUE,
    name TEXT UNIQUE,
    driver TEXT NOT NULL,
    driver_info TEXT NOT NULL DEFAULT '{}',
    driver_internal_info TEXT NOT NULL DEFAULT '{}',
    properties TEXT NOT NULL DEFAULT '{}',
    instance_info TEXT NOT NULL DEFAULT '{}',
    instance_uuid TEXT UNIQUE,
    instance_name TEXT,
    extra TEXT NOT NULL DEFAULT '{}',
    network_data TEXT NOT NULL DEFAULT '{}',
    chassis_uuid TEXT,
    provision_state TEXT NOT NULL,
    target_provision_state TEXT,
    provision_updated_at INTEGER,
    power_state TEXT,
    target_power_state TEXT,
    last_error TEXT,
    maintenance INTEGER NOT NULL CHECK (maintenance IN (0, 1)),
    maintenance_reason TEXT,
    fault TEXT,
    lease_holder TEXT,
    lease_expires_at INTEGER,
    lease_reason TEXT,
    lease_epoch INTEGER NOT NULL,
    console_enabled INTEGER NOT NULL CHECK (console_enabled IN (0, 1)),
    bios_interface TEXT,
    boot_interface TEXT,
    console_interface TEXT,
    deploy_interface TEXT,
    firmware_interface TEXT,
    inspect_interface TEXT,
    management_interface TEXT,
    network_interface TEXT,
    power_interface TEXT,
    raid_interface TEXT,
    rescue_interface TEXT,
    storage_interface TEXT,
    vendor_interface TEXT,
    resource_class TEXT,
    conductor_group TEXT NOT NULL,
    automated_clean INTEGER CHECK (automated_clean IN (0, 1)),
    protected INTEGER NOT NULL CHECK (protected IN (0, 1)),
    protected_reason TEXT,
    retired INTEGER NOT NULL CHECK (retired IN (0, 1)),
    retired_reason TEXT,
    owner TEXT,
    lessee TEXT,
    description TEXT,
    shard TEXT,
    parent_node TEXT,
    disable_power_off INTEGER NOT NULL CHECK (disable_power_off IN (0, 1)),
    boot_mode TEXT,
    secure_boot INTEGER CHECK (secure_boot IN (0, 1)),
    health TEXT,
    clean_step TEXT NOT NULL DEFAULT '{}',
    deploy_step TEXT NOT NULL DEFAULT '{}',
    service_step TEXT NOT NULL DEFAULT '{}',
    raid_config TEXT NOT NULL DEFAULT '{}',
    target_raid_config TEXT NOT NULL DEFAULT '{}',
    allocation_uuid TEXT,
    boot_intent TEXT NOT NULL,
    inspection_started_at INTEGER,
    inspection_finished_at INTEGER,
    created_at INTEGER NOT NULL,
    updated_at INTEGER
) STRICT;
CREATE INDEX nodes_provision_state_index ON nodes (provision_state);
CREATE INDEX nodes_conductor_group_driver_index ON nodes (conductor_group, driver);
CREATE INDEX nodes_resource_class_index ON nodes (resource_class) WHERE resource_class IS NOT NULL;
CREATE INDEX nodes_owner_index ON nodes (owner) WHERE owner IS NOT NULL;
CREATE INDEX nodes_lessee_index ON nodes (lessee) WHERE lessee IS NOT NULL;
CREATE INDEX nodes_shard_index ON nodes (shard) WHERE shard IS NOT NULL;
CREATE INDEX nodes_parent_node_index ON nodes (parent_node) WHERE parent_node IS NOT NULL;
CREATE INDEX nodes_chassis_uuid_index ON nodes (chassis_uuid) WHERE chassis_uuid IS NOT NULL;
CREATE INDEX nodes_lease_holder_index ON nodes (lease_holder) WHERE lease_holder IS NOT NULL;

CREATE TABLE node_traits (
    node_id INTEGER NOT NULL REFERENCES nodes (id) ON DELETE CASCADE,
    trait TEXT NOT NULL,
    PRIMARY KEY (node_id, trait)
) STRICT, WITHOUT ROWID;

-- Ports. `updated_at` never repeats: writes are checked against it.
CREATE TABLE ports (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    uuid TEXT NOT NULL UNIQUE,
    node_uuid TEXT NOT NULL REFERENCES nodes (uuid) ON DELETE CASCADE,
    address TEXT NOT NULL UNIQUE,
    name TEXT UNIQUE,
    pxe_enabled INTEGER NOT NULL CHECK (pxe_enabled IN (0, 1)),
    local_link_connection TEXT NOT NULL DEFAULT '{}',
    portgroup_uuid TEXT,
    physical_network TEXT,
    is_smartnic INTEGER NOT NULL CHECK (is_smartnic IN (0, 1)),
    available_for_dynamic_portgroup INTEGER NOT NULL CHECK (available_for_dynamic_portgroup IN (0, 1)),
    description TEXT,
    vendor TEXT,
    category TEXT,
    extra TEXT NOT NULL DEFAULT '{}',
    internal_info TEXT NOT NULL DEFAULT '{}',
    created_at INTEGER NOT NULL,
    updated_at INTEGER
) STRICT;
CREATE INDEX ports_node_uuid_index ON ports (node_uuid);
CREATE INDEX ports_portgroup_uuid_index ON ports (portgroup_uuid) WHERE portgroup_uuid IS NOT NULL;

-- Conductors and what they offer.
CREATE TABLE conductors (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    hostname TEXT NOT NULL UNIQUE,
    conductor_group TEXT NOT NULL,
    online INTEGER NOT NULL CHECK (online IN (0, 1)),
    created_at INTEGER NOT NULL,
    updated_at INTEGER
) STRICT;

CREATE TABLE conductor_drivers (
    conductor_id INTEGER NOT NULL REFERENCES conductors (id) ON DELETE CASCADE,
    hardware_type TEXT NOT NULL,
    properties TEXT NOT NULL DEFAULT '{}',
    PRIMARY KEY (conductor_id, hardware_type)
) STRICT;

CREATE TABLE conductor_interfaces (
    conductor_id INTEGER NOT NULL,
    hardware_type TEXT NOT NULL,
    interface_type TEXT NOT NULL,
    position INTEGER NOT NULL,
    implementation TEXT NOT NULL,
    PRIMARY KEY (conductor_id, hardware_type, interface_type, position),
    FOREIGN KEY (conductor_id, hardware_type) REFERENCES conductor_drivers (conductor_id, hardware_type) ON DELETE CASCADE
) STRICT;

-- Flows under way, one per node at most; `record` is the engine's.
CREATE TABLE flows (
    node_uuid TEXT NOT NULL PRIMARY KEY REFERENCES nodes (uuid) ON DELETE CASCADE,
    flow TEXT NOT NULL,
    kind TEXT NOT NULL,
    record TEXT NOT NULL,
    deadline_at INTEGER,
    updated_at INTEGER NOT NULL
) STRICT;
CREATE INDEX flows_deadline_at_index ON flows (deadline_at) WHERE deadline_at IS NOT NULL;

-- An effect is written down before it is carried out, its outcome after.
CREATE TABLE journal (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    node_uuid TEXT NOT NULL REFERENCES nodes (uuid) ON DELETE CASCADE,
    flow TEXT NOT NULL,
    seq INTEGER NOT NULL,
    step TEXT NOT NULL,
    effect TEXT NOT NULL,
    intent_at INTEGER NOT NULL,
    outcome TEXT,
    outcome_at INTEGER,
    UNIQUE (flow, seq)
) STRICT;
CREATE INDEX journal_node_uuid_id_index ON journal (node_uuid, id);

CREATE TABLE node_history (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    uuid TEXT NOT NULL UNIQUE,
    node_uuid TEXT NOT NULL REFERENCES nodes (uuid) ON DELETE CASCADE,
    event_type TEXT NOT NULL,
    severity TEXT NOT NULL,
    event TEXT NOT NULL,
    conductor TEXT,
    user_id TEXT,
    project TEXT,
    state TEXT,
    target TEXT,
    duration_seconds INTEGER,
    created_at INTEGER NOT NULL
) STRICT;
CREATE INDEX node_history_node_uuid_id_index ON node_history (node_uuid, id);

-- Events outlive their node.
CREATE TABLE events (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL,
    node_uuid TEXT,
    payload TEXT NOT NULL,
    at INTEGER NOT NULL
) STRICT;
CREATE INDEX events_at_index ON events (at);

CREATE TABLE users (
    name TEXT NOT NULL PRIMARY KEY,
    password_hash TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER
) STRICT;

CREATE TABLE settings (
    key TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
) STRICT;
