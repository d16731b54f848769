-- What machines did while they booted, and which machine a firmware's UUID belongs to.
-- Times are microseconds since 1970, booleans 0 or 1, identifiers and JSON text.

-- `at` names a row among those of its node and writer; `starts` marks the first row of an attempt.
CREATE TABLE boot_events (
    node_uuid TEXT NOT NULL REFERENCES nodes (uuid) ON DELETE CASCADE,
    at INTEGER NOT NULL,
    writer TEXT NOT NULL,
    last_at INTEGER NOT NULL,
    count INTEGER NOT NULL,
    starts INTEGER NOT NULL CHECK (starts IN (0, 1)),
    told TEXT NOT NULL,
    PRIMARY KEY (node_uuid, at, writer)
) STRICT, WITHOUT ROWID;
CREATE INDEX boot_events_last_at_index ON boot_events (last_at);

CREATE TABLE boot_machines (
    machine_id TEXT PRIMARY KEY,
    node_uuid TEXT NOT NULL REFERENCES nodes (uuid) ON DELETE CASCADE
) STRICT;
CREATE INDEX boot_machines_node_uuid_index ON boot_machines (node_uuid);
