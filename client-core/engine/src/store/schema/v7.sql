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
    kind INTEGER NOT NULL,                     -- 1 asked, 2 answered, 3 given changes, 4 answered about what was said to them alone
    grp INTEGER NOT NULL,                      -- 0: none
    device INTEGER NOT NULL,                   -- 0: whichever
    since INTEGER NOT NULL,
    last INTEGER NOT NULL,
    times INTEGER NOT NULL,
    PRIMARY KEY (contact, kind, grp, device)
) WITHOUT ROWID;

-- Seconds after which messages disappeared in its conversation when it came.
ALTER TABLE remarks ADD COLUMN timer_s INTEGER;
