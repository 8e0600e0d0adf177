-- Groups into which we are asked by somebody whom we have not accepted.
CREATE TABLE group_requests (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    group_id BLOB NOT NULL,
    contact INTEGER NOT NULL REFERENCES contacts (id),
    name TEXT NOT NULL,                        -- what it is called, as they say
    members INTEGER NOT NULL,                  -- how many are in it, as they say
    known BLOB NOT NULL,                       -- accounts of contacts among them, one after the other, as they say
    since BLOB NOT NULL,                       -- the change that put us in
    height INTEGER NOT NULL,
    secret BLOB,                               -- what seals to the group, so that what comes is known for what it is
    at INTEGER NOT NULL,
    state INTEGER NOT NULL DEFAULT 1,          -- 1 open, 2 refused, 3 accepted
    UNIQUE (group_id, contact)
);

ALTER TABLE joined ADD COLUMN here INTEGER NOT NULL DEFAULT 0; -- something about the group has come from them
UPDATE joined SET here = 1;

-- How often somebody was asked for what was missed, and answered. One row for each device and group, for a day.
CREATE TABLE times (
    contact INTEGER NOT NULL REFERENCES contacts (id),
    kind INTEGER NOT NULL,                     -- 1 asked, 2 answered, 3 given changes, 4 answered about what was said to them alone,
                                               -- 5 asked back for changes, 6 told changes, 7 asked whether we are in
    grp INTEGER NOT NULL,                      -- 0: none
    device INTEGER NOT NULL,                   -- 0: whichever
    since INTEGER NOT NULL,
    last INTEGER NOT NULL,
    times INTEGER NOT NULL,
    PRIMARY KEY (contact, kind, grp, device)
) WITHOUT ROWID;

-- Seconds after which messages disappeared in its conversation when it came.
ALTER TABLE remarks ADD COLUMN timer_s INTEGER;

-- What was not read stands in the order of the conversation, as it is shown and marked read.
DROP INDEX messages_unread;
CREATE INDEX messages_unread ON messages (conversation, lamport, message_id) WHERE author > 0 AND state < 4;

-- What others said and did not come.
CREATE TABLE gaps (
    conversation INTEGER NOT NULL REFERENCES conversations (id),
    contact INTEGER NOT NULL REFERENCES contacts (id),
    device INTEGER NOT NULL,
    first INTEGER NOT NULL,                    -- counters, both included; if the last is less, what is here is not what the
    last INTEGER NOT NULL,                     -- author says came before
    lamport INTEGER NOT NULL,                  -- place of what came behind
    message_id BLOB NOT NULL,
    PRIMARY KEY (conversation, contact, device, first)
) WITHOUT ROWID;
ALTER TABLE messages ADD COLUMN late INTEGER NOT NULL DEFAULT 0; -- something that its author said later was here before

-- Which devices have a message of ours.
ALTER TABLE heard RENAME TO old_heard;
CREATE TABLE heard (
    message INTEGER NOT NULL REFERENCES messages (id) ON DELETE CASCADE,
    contact INTEGER NOT NULL REFERENCES contacts (id),
    device INTEGER NOT NULL,                   -- 0: one of theirs, it is not known which
    state INTEGER NOT NULL,                    -- 3 delivered, 4 read
    PRIMARY KEY (message, contact, device)
) WITHOUT ROWID;
CREATE INDEX heard_unread ON heard (contact, device, message) WHERE state < 4;
INSERT INTO heard SELECT message, contact, 0, state FROM old_heard;
DROP TABLE old_heard;

ALTER TABLE conversations ADD COLUMN hidden INTEGER NOT NULL DEFAULT 0; -- a person deleted it, and nothing was said since

ALTER TABLE pins ADD COLUMN by INTEGER;        -- a contact; 0: us; NULL: it is not known who
CREATE INDEX pins_newest ON pins (lamport, said_id) WHERE pinned;
