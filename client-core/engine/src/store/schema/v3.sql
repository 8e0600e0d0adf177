ALTER TABLE me ADD COLUMN agreed_at INTEGER NOT NULL DEFAULT 0; -- when the log last said of us nothing that we have not said
ALTER TABLE me ADD COLUMN joined INTEGER NOT NULL DEFAULT 1; -- this device has stood in its account's list
ALTER TABLE me ADD COLUMN wanted BLOB;                       -- as a device that joins wants to stand there
ALTER TABLE me ADD COLUMN next_link BLOB;                    -- a device list that is signed, and not at the keyserver yet

ALTER TABLE contacts ADD COLUMN their_token_device INTEGER NOT NULL DEFAULT 1; -- whose mailbox their token opens
ALTER TABLE contacts ADD COLUMN looked_at INTEGER NOT NULL DEFAULT 0;          -- when their device list was last asked for

-- Auditors of keyservers' logs that a person chose.
CREATE TABLE auditors (
    address TEXT PRIMARY KEY
) WITHOUT ROWID;

-- What came of asking an auditor about a keyserver.
CREATE TABLE comparisons (
    auditor TEXT NOT NULL REFERENCES auditors (address) ON DELETE CASCADE,
    keyserver BLOB NOT NULL,                   -- fingerprint
    asked_at INTEGER NOT NULL,
    agreed_at INTEGER,                         -- when both last had the same root
    agreed_epoch INTEGER,
    behind_since INTEGER,                      -- since when it has not had what we know
    trouble TEXT,                              -- why nothing was compared the last time
    PRIMARY KEY (auditor, keyserver)
) WITHOUT ROWID;
