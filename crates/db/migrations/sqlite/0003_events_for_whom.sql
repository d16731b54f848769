-- Events say what they are about and who may see them: system callers see all, others what `owner`, `lessee` or `public`
-- say. Kept with the event, because nodes change hands and go away.
ALTER TABLE events ADD COLUMN resource TEXT;
ALTER TABLE events ADD COLUMN owner TEXT;
ALTER TABLE events ADD COLUMN lessee TEXT;
ALTER TABLE events ADD COLUMN public INTEGER NOT NULL DEFAULT 0 CHECK (public IN (0, 1));
CREATE INDEX events_node_uuid_id_index ON events (node_uuid, id);
