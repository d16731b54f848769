-- What machines did while they booted, and which machine a firmware's UUID belongs to.
-- Times are microseconds since 1970, booleans 0 or 1, identifiers and JSON text.
-- Text is ordered by its bytes, as SQLite does.

-- `at` names a row among those of its node and writer; `starts` marks the first row of an attempt.
CREATE TABLE boot_events (
    node_uuid TEXT COLLATE "C" NOT NULL REFERENCES nodes (uuid) ON DELETE CASCADE,
    at BIGINT NOT NULL,
    writer TEXT COLLATE "C" NOT NULL,
    last_at BIGINT NOT NULL,
    count BIGINT NOT NULL,
    starts BIGINT NOT NULL CHECK (starts IN (0, 1)),
    told TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (node_uuid, at, writer)
);
CREATE INDEX boot_events_last_at_index ON boot_events (last_at);

CREATE TABLE boot_machines (
    machine_id TEXT COLLATE "C" PRIMARY KEY,
    node_uuid TEXT COLLATE "C" NOT NULL REFERENCES nodes (uuid) ON DELETE CASCADE
);
CREATE INDEX boot_machines_node_uuid_index ON boot_machines (node_uuid);
