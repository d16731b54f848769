-- A node's traits stand in its own row, in order, commas between them: nobody asks for nodes by trait alone, and whoever
-- reads a node wants them.
ALTER TABLE nodes ADD COLUMN traits TEXT;
UPDATE nodes SET traits = (SELECT string_agg(trait, ',' ORDER BY trait COLLATE "C") FROM node_traits WHERE node_id = nodes.id);
DROP TABLE node_traits;
