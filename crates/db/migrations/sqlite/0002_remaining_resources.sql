-- The remaining resources of the API.
-- Times are microseconds since 1970, booleans 0 or 1, identifiers and JSON text.

CREATE TABLE chassis (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    uuid TEXT NOT NULL UNIQUE,
    description TEXT,
    extra TEXT NOT NULL DEFAULT '{}',
    created_at INTEGER NOT NULL,
    updated_at INTEGER
) STRICT;

CREATE TABLE portgroups (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    uuid TEXT NOT NULL UNIQUE,
    node_uuid TEXT NOT NULL REFERENCES nodes (uuid) ON DELETE CASCADE,
    address TEXT UNIQUE,
    name TEXT UNIQUE,
    mode TEXT NOT NULL,
    standalone_ports_supported INTEGER NOT NULL CHECK (standalone_ports_supported IN (0, 1)),
    physical_network TEXT,
    category TEXT,
    properties TEXT NOT NULL DEFAULT '{}',
    extra TEXT NOT NULL DEFAULT '{}',
    internal_info TEXT NOT NULL DEFAULT '{}',
    created_at INTEGER NOT NULL,
    updated_at INTEGER
) STRICT;
CREATE INDEX portgroups_node_uuid_index ON portgroups (node_uuid);

-- `node_uuid` is unique: a node serves one allocation.
CREATE TABLE allocations (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    uuid TEXT NOT NULL UNIQUE,
    name TEXT UNIQUE,
    node_uuid TEXT UNIQUE REFERENCES nodes (uuid),
    state TEXT NOT NULL,
    last_error TEXT,
    resource_class TEXT,
    owner TEXT,
    traits TEXT NOT NULL DEFAULT '[]',
    candidate_nodes TEXT NOT NULL DEFAULT '[]',
    conductor TEXT,
    extra TEXT NOT NULL DEFAULT '{}',
    created_at INTEGER NOT NULL,
    updated_at INTEGER
) STRICT;
CREATE INDEX allocations_state_index ON allocations (state);

CREATE TABLE deploy_templates (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    uuid TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL UNIQUE,
    extra TEXT NOT NULL DEFAULT '{}',
    created_at INTEGER NOT NULL,
    updated_at INTEGER
) STRICT;

CREATE TABLE deploy_template_steps (
    owner_id INTEGER NOT NULL REFERENCES deploy_templates (id) ON DELETE CASCADE,
    position INTEGER NOT NULL,
    interface TEXT NOT NULL,
    step TEXT NOT NULL,
    args TEXT NOT NULL DEFAULT '{}',
    priority INTEGER NOT NULL,
    PRIMARY KEY (owner_id, position)
) STRICT;

CREATE TABLE runbooks (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    uuid TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL UNIQUE,
    description TEXT,
    disable_ramdisk INTEGER NOT NULL CHECK (disable_ramdisk IN (0, 1)),
    public INTEGER NOT NULL CHECK (public IN (0, 1)),
    owner TEXT,
    traits TEXT NOT NULL DEFAULT '[]',
    extra TEXT NOT NULL DEFAULT '{}',
    created_at INTEGER NOT NULL,
    updated_at INTEGER
) STRICT;

CREATE TABLE runbook_steps (
    owner_id INTEGER NOT NULL REFERENCES runbooks (id) ON DELETE CASCADE,
    position INTEGER NOT NULL,
    interface TEXT NOT NULL,
    step TEXT NOT NULL,
    args TEXT NOT NULL DEFAULT '{}',
    priority INTEGER NOT NULL,
    PRIMARY KEY (owner_id, position)
) STRICT;

CREATE TABLE inspection_rules (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    uuid TEXT NOT NULL UNIQUE,
    description TEXT,
    phase TEXT,
    priority INTEGER NOT NULL,
    sensitive INTEGER NOT NULL CHECK (sensitive IN (0, 1)),
    conditions TEXT NOT NULL DEFAULT '[]',
    actions TEXT NOT NULL DEFAULT '[]',
    created_at INTEGER NOT NULL,
    updated_at INTEGER
) STRICT;

CREATE TABLE volume_connectors (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    uuid TEXT NOT NULL UNIQUE,
    node_uuid TEXT NOT NULL REFERENCES nodes (uuid) ON DELETE CASCADE,
    type TEXT NOT NULL,
    connector_id TEXT NOT NULL,
    extra TEXT NOT NULL DEFAULT '{}',
    created_at INTEGER NOT NULL,
    updated_at INTEGER,
    UNIQUE (type, connector_id)
) STRICT;
CREATE INDEX volume_connectors_node_uuid_index ON volume_connectors (node_uuid);

CREATE TABLE volume_targets (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    uuid TEXT NOT NULL UNIQUE,
    node_uuid TEXT NOT NULL REFERENCES nodes (uuid) ON DELETE CASCADE,
    volume_type TEXT NOT NULL,
    volume_id TEXT NOT NULL,
    boot_index INTEGER NOT NULL,
    properties TEXT NOT NULL DEFAULT '{}',
    extra TEXT NOT NULL DEFAULT '{}',
    created_at INTEGER NOT NULL,
    updated_at INTEGER,
    UNIQUE (node_uuid, boot_index)
) STRICT;

CREATE TABLE bios_settings (
    node_uuid TEXT NOT NULL REFERENCES nodes (uuid) ON DELETE CASCADE,
    name TEXT NOT NULL,
    value TEXT,
    attribute_type TEXT,
    allowable_values TEXT,
    lower_bound INTEGER,
    max_length INTEGER,
    min_length INTEGER,
    read_only INTEGER CHECK (read_only IN (0, 1)),
    reset_required INTEGER CHECK (reset_required IN (0, 1)),
    is_unique INTEGER CHECK (is_unique IN (0, 1)),
    created_at INTEGER NOT NULL,
    updated_at INTEGER,
    PRIMARY KEY (node_uuid, name)
) STRICT;

CREATE TABLE firmware_components (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    node_uuid TEXT NOT NULL REFERENCES nodes (uuid) ON DELETE CASCADE,
    component TEXT NOT NULL,
    initial_version TEXT,
    current_version TEXT,
    last_version_flashed TEXT,
    vendor TEXT,
    model TEXT,
    serial_number TEXT,
    created_at INTEGER NOT NULL,
    updated_at INTEGER,
    UNIQUE (node_uuid, component)
) STRICT;

CREATE TABLE node_inventory (
    node_uuid TEXT NOT NULL PRIMARY KEY REFERENCES nodes (uuid) ON DELETE CASCADE,
    inventory TEXT NOT NULL,
    plugin_data TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER
) STRICT;
