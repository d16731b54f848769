-- What ramdisks reported of a machine and nobody has worked on yet: the last report of each node.

CREATE TABLE inspection_reports (
    node_uuid TEXT COLLATE "C" NOT NULL PRIMARY KEY REFERENCES nodes (uuid) ON DELETE CASCADE,
    inventory TEXT COLLATE "C" NOT NULL,
    plugin_data TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL
);
