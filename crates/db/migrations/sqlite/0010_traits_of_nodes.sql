-- A node's traits stand in its own row, in order, commas between them: nobody asks for nodes by trait alone, and whoever
-- reads a node wants them.
ALTER TABLE nodes ADD COLUMN traits TEXT;
UPDATE nodes SET traits = (
    SELECT string_agg(trait, ',') FROM (SELECT trait FROM node_traits WHERE node_id = nodes.id ORDER BY trait)
);
DROP TABLE node_traits;
