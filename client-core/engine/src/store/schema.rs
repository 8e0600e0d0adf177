//! What lies in the database, and how an older one becomes today's.

use rusqlite::Connection;

use super::StoreError;

/// Each step brings the schema from the version of its place to the next. Steps are only ever added.
const STEPS: [&str; 4] = [V1, V2, V3, WHISPERS];

const V1: &str = "
CREATE TABLE me (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    account BLOB NOT NULL,
    device INTEGER NOT NULL,
    registration_id INTEGER NOT NULL,
    identity_key BLOB NOT NULL,
    signing_key BLOB NOT NULL,
    mailbox_key BLOB NOT NULL,
    links BLOB NOT NULL,
    relay TEXT NOT NULL,
    keyserver TEXT NOT NULL,
    handle_name TEXT,
    registered INTEGER NOT NULL DEFAULT 0,     -- the keyserver has the account
    announced INTEGER NOT NULL DEFAULT 0,      -- it was told that others can write now
    stock INTEGER,                             -- one-time prekeys at the keyserver, when last asked
    next_prekey_id INTEGER NOT NULL,
    drained_to INTEGER NOT NULL DEFAULT 0,     -- last Seq that is kept
    expired_through INTEGER NOT NULL DEFAULT 0
);

-- Deposit tokens of our own mailbox, as the relay knows them.
CREATE TABLE tokens (
    token BLOB PRIMARY KEY,
    class INTEGER NOT NULL,                    -- 1 request, 2 contact
    contact INTEGER REFERENCES contacts (id),
    granted INTEGER NOT NULL DEFAULT 0,
    revoked INTEGER NOT NULL DEFAULT 0
);

CREATE TABLE prekeys (
    kind INTEGER NOT NULL,                     -- 1 signed, 2 last-resort Kyber, 3 one-time, 4 one-time Kyber
    id INTEGER NOT NULL,
    key BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    published INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (kind, id)
);

-- First messages that came under a last-resort key: each is accepted once.
CREATE TABLE kyber_uses (
    kyber_id INTEGER NOT NULL,
    signed_id INTEGER NOT NULL,
    base_key BLOB NOT NULL,
    used_at INTEGER NOT NULL,
    PRIMARY KEY (kyber_id, signed_id, base_key)
);

CREATE TABLE contacts (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    account BLOB NOT NULL UNIQUE,
    name TEXT NOT NULL UNIQUE COLLATE NOCASE,
    handle TEXT,
    claimed_handle TEXT,
    keyserver TEXT,
    links BLOB NOT NULL,
    standing INTEGER NOT NULL,                 -- 1 request, 2 accepted, 3 blocked
    verified INTEGER NOT NULL DEFAULT 0,
    their_token BLOB,                          -- the contact token that they gave us
    introduced_from INTEGER,                   -- counter of the first text that carried our token
    introduced INTEGER NOT NULL DEFAULT 0,     -- they have our token
    out_counter INTEGER NOT NULL DEFAULT 0,
    out_hash BLOB,
    lamport INTEGER NOT NULL DEFAULT 0,        -- of this conversation: a common one would tell each about the others
    fetch_attempts INTEGER NOT NULL DEFAULT 0,
    fetch_due INTEGER NOT NULL DEFAULT 0,
    fetch_reason TEXT,
    created_at INTEGER NOT NULL
);

CREATE TABLE sessions (
    contact INTEGER NOT NULL REFERENCES contacts (id),
    device INTEGER NOT NULL,
    record BLOB NOT NULL,
    PRIMARY KEY (contact, device)
) WITHOUT ROWID;

-- How far each device of a contact has come in writing to us.
CREATE TABLE authors (
    contact INTEGER NOT NULL REFERENCES contacts (id),
    device INTEGER NOT NULL,
    counter INTEGER NOT NULL,
    hash BLOB NOT NULL,
    PRIMARY KEY (contact, device)
) WITHOUT ROWID;

CREATE TABLE messages (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    contact INTEGER NOT NULL REFERENCES contacts (id),
    outgoing INTEGER NOT NULL,
    device INTEGER NOT NULL,                   -- the author's
    counter INTEGER NOT NULL,
    message_id BLOB NOT NULL,
    lamport INTEGER NOT NULL,
    sent_at INTEGER NOT NULL,
    kept_at INTEGER NOT NULL,
    text TEXT NOT NULL,
    state INTEGER NOT NULL,                    -- 1 queued, 2 sent, 3 delivered, 4 read
    UNIQUE (contact, outgoing, device, counter),
    UNIQUE (contact, outgoing, message_id)
);
CREATE INDEX messages_in_order ON messages (contact, lamport, message_id);
CREATE INDEX messages_unread ON messages (contact, id) WHERE outgoing = 0 AND state < 4;
CREATE INDEX messages_queued ON messages (id) WHERE outgoing = 1 AND state = 1;
CREATE INDEX messages_delivered ON messages (contact, device, counter) WHERE outgoing = 1 AND state = 3;

-- What waits for a session: encrypted and moved to the outbox as soon as there is one with every device.
CREATE TABLE unsealed (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    contact INTEGER NOT NULL REFERENCES contacts (id),
    message INTEGER REFERENCES messages (id),
    content BLOB NOT NULL
);
CREATE INDEX unsealed_of ON unsealed (contact, id);

-- Sealed envelopes that no relay has confirmed.
CREATE TABLE outbox (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    deposit_id BLOB NOT NULL UNIQUE,
    contact INTEGER NOT NULL REFERENCES contacts (id),
    message INTEGER REFERENCES messages (id),
    relay TEXT NOT NULL,
    mailbox BLOB NOT NULL,
    token BLOB NOT NULL,
    envelope BLOB NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    due INTEGER NOT NULL DEFAULT 0,
    reason TEXT
);
CREATE INDEX outbox_in_order ON outbox (mailbox, id);
CREATE INDEX outbox_message ON outbox (message);

-- Receipts that are not composed yet: held back a moment, so that they go together and tell no exact times.
CREATE TABLE receipts (
    contact INTEGER NOT NULL REFERENCES contacts (id),
    kind INTEGER NOT NULL,                     -- 1 delivered, 2 read up to here
    device INTEGER NOT NULL,                   -- the author's
    counter INTEGER NOT NULL,
    due INTEGER NOT NULL,
    PRIMARY KEY (contact, kind, device, counter)
) WITHOUT ROWID;
CREATE INDEX receipts_due ON receipts (due);
";

const V2: &str = "
-- The newest root of each keyserver's log that was believed.
CREATE TABLE roots (
    keyserver BLOB PRIMARY KEY,                -- fingerprint
    root BLOB NOT NULL
) WITHOUT ROWID;

ALTER TABLE me ADD COLUMN watched_at INTEGER NOT NULL DEFAULT 0; -- when the log was last asked what it says of us
";

const V3: &str = "
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
";

const WHISPERS: &str = "
-- What is needed to whisper with a contact.
CREATE TABLE whispers (
    contact INTEGER PRIMARY KEY REFERENCES contacts (id),
    ours BLOB,                                 -- the key that we gave them
    theirs BLOB,                               -- the key that they gave us
    their_device INTEGER,                      -- which device of theirs has it
    presence INTEGER NOT NULL DEFAULT 0,       -- they may know when we are there
    typing INTEGER NOT NULL DEFAULT 1          -- and when we type
);
UPDATE contacts SET introduced = 0, introduced_from = NULL; -- they have no key of ours yet
";

pub(super) fn upgrade(db: &Connection) -> Result<(), StoreError> {
    let known = i64::try_from(STEPS.len()).unwrap_or(i64::MAX);
    let found: i64 = db.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    if found > known {
        return Err(StoreError::Newer { found, known });
    }
    for (step, version) in STEPS.iter().zip(1i64..).skip(usize::try_from(found).unwrap_or(0)) {
        let tx = db.unchecked_transaction()?;
        tx.execute_batch(step)?;
        tx.pragma_update(None, "user_version", version)?;
        tx.commit()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_database_of_each_earlier_schema_becomes_todays() {
        let shape = |db: &Connection| -> Vec<String> {
            let mut tables = db.prepare("SELECT sql FROM sqlite_master WHERE sql NOT NULL ORDER BY name").unwrap();
            tables.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
        };
        let today = Connection::open_in_memory().unwrap();
        upgrade(&today).unwrap();
        for version in 1..STEPS.len() {
            let db = Connection::open_in_memory().unwrap();
            for step in STEPS.iter().take(version) {
                db.execute_batch(step).unwrap();
            }
            db.pragma_update(None, "user_version", i64::try_from(version).unwrap()).unwrap();
            upgrade(&db).unwrap();
            assert_eq!(shape(&db), shape(&today));
        }
    }
}
