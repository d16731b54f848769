-- Events say what they are about and who may see them: who sees everything sees all; others what is for everybody (1), or
-- what their part as `owner` or `lessee` shows (0), never what is for the whole system alone (2). Kept with the event,
-- because nodes change hands and go away.
ALTER TABLE events ADD COLUMN resource TEXT;
ALTER TABLE events ADD COLUMN owner TEXT;
ALTER TABLE events ADD COLUMN lessee TEXT;
ALTER TABLE events ADD COLUMN audience INTEGER NOT NULL DEFAULT 2 CHECK (audience IN (0, 1, 2));
CREATE INDEX events_node_uuid_id_index ON events (node_uuid, id);
