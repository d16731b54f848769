-- Several conductors: who works on a flow, and since which registration. A conductor's `epoch` grows when it registers and
-- when it is declared dead; what an earlier epoch decided is refused. A flow of nobody is taken up by somebody.
ALTER TABLE conductors ADD COLUMN epoch BIGINT NOT NULL DEFAULT 0;
ALTER TABLE flows ADD COLUMN conductor TEXT COLLATE "C" NOT NULL DEFAULT '';
ALTER TABLE journal ADD COLUMN conductor TEXT COLLATE "C";
ALTER TABLE journal ADD COLUMN epoch BIGINT;
DROP INDEX flows_deadline_at_index;
CREATE INDEX flows_conductor_deadline_at_index ON flows (conductor, deadline_at);
