-- Looks at the power of machines that failed, or found another state than the stored one: how many in a row. Apart from
-- the nodes, so that counting is no change of a node.

CREATE TABLE power_failures (
    node_uuid TEXT COLLATE "C" NOT NULL PRIMARY KEY REFERENCES nodes (uuid) ON DELETE CASCADE,
    failures BIGINT NOT NULL,
    counted_at BIGINT NOT NULL
);
