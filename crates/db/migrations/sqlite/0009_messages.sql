-- Messages between processes: each is for one recipient, is taken once, and is dropped when nobody took it in time.
CREATE TABLE messages (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    recipient TEXT NOT NULL,
    reply_to TEXT,
    correlation TEXT NOT NULL,
    body TEXT NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT;
CREATE INDEX messages_recipient_id_index ON messages (recipient, id);
CREATE INDEX messages_expires_at_index ON messages (expires_at);

-- Up to which event something was published, and which process publishes it until when.
CREATE TABLE publishers (
    name TEXT NOT NULL PRIMARY KEY,
    position INTEGER NOT NULL,
    holder TEXT NOT NULL,
    held_until INTEGER NOT NULL
) STRICT;

-- The time by the one clock that all processes share.
CREATE VIEW clock (micros) AS SELECT CAST(unixepoch('subsec') * 1000000 AS INTEGER);
