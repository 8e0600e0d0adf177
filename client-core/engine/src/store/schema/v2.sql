-- The newest root of each keyserver's log that was believed.
CREATE TABLE roots (
    keyserver BLOB PRIMARY KEY,                -- fingerprint
    root BLOB NOT NULL
) WITHOUT ROWID;

ALTER TABLE me ADD COLUMN watched_at INTEGER NOT NULL DEFAULT 0; -- when the log was last asked what it says of us
