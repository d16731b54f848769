-- Looks at the power of machines that failed, or found another state than the stored one: how many in a row. Apart from
-- the nodes, so that counting is no change of a node.

CREATE TABLE power_failures (
    node_uuid TEXT NOT NULL PRIMARY KEY REFERENCES nodes (uuid) ON DELETE CASCADE,
    failures INTEGER NOT NULL,
    counted_at INTEGER NOT NULL
) STRICT;
