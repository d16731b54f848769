-- What ramdisks reported of a machine and nobody has worked on yet: the last report of each node.

CREATE TABLE inspection_reports (
    node_uuid TEXT NOT NULL PRIMARY KEY REFERENCES nodes (uuid) ON DELETE CASCADE,
    inventory TEXT NOT NULL,
    plugin_data TEXT NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;
