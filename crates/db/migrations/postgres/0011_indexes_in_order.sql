-- Lists are pages in the order of the rows' numbers: an index that ends with the number gives such a page of what is asked
-- for. One without it is passed over for a look through all rows when a page is asked for by a parameter.
DROP INDEX nodes_provision_state_index;
CREATE INDEX nodes_provision_state_id_index ON nodes (provision_state, id);
DROP INDEX nodes_resource_class_index;
CREATE INDEX nodes_resource_class_id_index ON nodes (resource_class, id) WHERE resource_class IS NOT NULL;
DROP INDEX nodes_owner_index;
CREATE INDEX nodes_owner_id_index ON nodes (owner, id) WHERE owner IS NOT NULL;
DROP INDEX nodes_lessee_index;
CREATE INDEX nodes_lessee_id_index ON nodes (lessee, id) WHERE lessee IS NOT NULL;
DROP INDEX nodes_shard_index;
CREATE INDEX nodes_shard_id_index ON nodes (shard, id) WHERE shard IS NOT NULL;
DROP INDEX nodes_parent_node_index;
CREATE INDEX nodes_parent_node_id_index ON nodes (parent_node, id) WHERE parent_node IS NOT NULL;
DROP INDEX nodes_chassis_uuid_index;
CREATE INDEX nodes_chassis_uuid_id_index ON nodes (chassis_uuid, id) WHERE chassis_uuid IS NOT NULL;
