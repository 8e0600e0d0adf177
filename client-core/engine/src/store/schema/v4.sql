-- Whom we talk with: one person, or a group.
CREATE TABLE groups (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    group_id BLOB NOT NULL UNIQUE,
    name TEXT NOT NULL,                        -- as the group's changes have it now
    standing INTEGER NOT NULL,                 -- 1 heard of, 2 asked to join, 3 a member, 4 no longer
    left_at INTEGER NOT NULL DEFAULT 0,        -- when somebody last left, or was put out
    typing INTEGER NOT NULL DEFAULT 0          -- its members may know when we type, and we are shown when they do
);

CREATE TABLE conversations (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    contact INTEGER UNIQUE REFERENCES contacts (id),
    grp INTEGER UNIQUE REFERENCES groups (id),
    lamport INTEGER NOT NULL DEFAULT 0,        -- of this conversation: a common one would tell each about the others
    out_counter INTEGER NOT NULL DEFAULT 0,
    out_hash BLOB,
    active_at INTEGER NOT NULL DEFAULT 0,      -- when something was last said
    muted_until INTEGER NOT NULL DEFAULT 0,
    archived INTEGER NOT NULL DEFAULT 0,
    draft TEXT,
    receipts INTEGER NOT NULL DEFAULT 1,       -- whether the others are told what was read
    timer_s INTEGER,                           -- seconds after which what is said disappears
    timer_lamport INTEGER NOT NULL DEFAULT 0,  -- place of what set it
    timer_message BLOB,
    CHECK ((contact IS NULL) <> (grp IS NULL))
);
CREATE INDEX conversations_active ON conversations (archived, active_at);
INSERT INTO conversations (contact, lamport, out_counter, out_hash, active_at)
    SELECT id, lamport, out_counter, out_hash, coalesce((SELECT max(kept_at) FROM messages m WHERE m.contact = c.id), created_at)
    FROM contacts c;
ALTER TABLE contacts DROP COLUMN lamport;
ALTER TABLE contacts DROP COLUMN out_counter;
ALTER TABLE contacts DROP COLUMN out_hash;

DROP INDEX messages_in_order;
DROP INDEX messages_unread;
DROP INDEX messages_queued;
DROP INDEX messages_delivered;
DROP INDEX unsealed_of;
DROP INDEX outbox_in_order;
DROP INDEX outbox_message;
DROP INDEX receipts_due;
ALTER TABLE authors RENAME TO old_authors;
ALTER TABLE receipts RENAME TO old_receipts;
ALTER TABLE unsealed RENAME TO old_unsealed;
ALTER TABLE outbox RENAME TO old_outbox;
ALTER TABLE messages RENAME TO old_messages;

-- How far each device has come in writing to a conversation.
CREATE TABLE authors (
    conversation INTEGER NOT NULL REFERENCES conversations (id),
    contact INTEGER NOT NULL REFERENCES contacts (id),
    device INTEGER NOT NULL,
    counter INTEGER NOT NULL,
    hash BLOB NOT NULL,
    PRIMARY KEY (conversation, contact, device)
) WITHOUT ROWID;
INSERT INTO authors SELECT c.id, o.contact, o.device, o.counter, o.hash
    FROM old_authors o JOIN conversations c ON c.contact = o.contact;

CREATE TABLE messages (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    conversation INTEGER NOT NULL REFERENCES conversations (id),
    author INTEGER NOT NULL,                   -- a contact; 0: us
    device INTEGER NOT NULL,                   -- the author's
    counter INTEGER NOT NULL,
    message_id BLOB NOT NULL,
    lamport INTEGER NOT NULL,
    sent_at INTEGER NOT NULL,
    kept_at INTEGER NOT NULL,
    text TEXT NOT NULL,                        -- as it is now; empty when it was taken back
    state INTEGER NOT NULL,                    -- 1 queued, 2 sent, 3 delivered, 4 read
    reply_author INTEGER,                      -- author and message id of what this answers
    reply_id BLOB,
    mentions BLOB,                             -- accounts, one after the other
    forwarded INTEGER NOT NULL DEFAULT 0,
    deleted INTEGER NOT NULL DEFAULT 0,        -- taken back by its author
    timer_s INTEGER,                           -- seconds that it may be seen
    expires_at INTEGER,                        -- when it goes
    UNIQUE (conversation, author, device, counter),
    UNIQUE (conversation, author, message_id)
);
INSERT INTO messages (id, conversation, author, device, counter, message_id, lamport, sent_at, kept_at, text, state)
    SELECT m.id, c.id, CASE WHEN m.outgoing THEN 0 ELSE m.contact END, m.device, m.counter, m.message_id, m.lamport,
        m.sent_at, m.kept_at, m.text, m.state
    FROM old_messages m JOIN conversations c ON c.contact = m.contact;
CREATE INDEX messages_in_order ON messages (conversation, lamport, message_id);
CREATE INDEX messages_unread ON messages (conversation, id) WHERE author > 0 AND state < 4;
CREATE INDEX messages_queued ON messages (id) WHERE author = 0 AND state = 1;
CREATE INDEX messages_delivered ON messages (conversation, device, counter) WHERE author = 0 AND state = 3;
CREATE INDEX messages_expiring ON messages (expires_at) WHERE expires_at NOT NULL;

-- Who has a message of ours to a group. A row goes once all have read it.
CREATE TABLE heard (
    message INTEGER NOT NULL REFERENCES messages (id) ON DELETE CASCADE,
    contact INTEGER NOT NULL REFERENCES contacts (id),
    state INTEGER NOT NULL,                    -- 3 delivered, 4 read
    PRIMARY KEY (message, contact)
) WITHOUT ROWID;

-- What was said about messages that are here. It goes with them.
CREATE TABLE edits (
    message INTEGER NOT NULL REFERENCES messages (id) ON DELETE CASCADE,
    lamport INTEGER NOT NULL,                  -- 0: what it said first
    edit_id BLOB NOT NULL,
    at INTEGER NOT NULL,                       -- by its author's clock
    text TEXT NOT NULL,
    PRIMARY KEY (message, lamport, edit_id)
) WITHOUT ROWID;
CREATE TABLE reactions (
    message INTEGER NOT NULL REFERENCES messages (id) ON DELETE CASCADE,
    by INTEGER NOT NULL,                       -- a contact; 0: us
    emoji TEXT NOT NULL,                       -- empty: taken away again
    lamport INTEGER NOT NULL,
    said_id BLOB NOT NULL,
    PRIMARY KEY (message, by)
) WITHOUT ROWID;
CREATE TABLE pins (
    message INTEGER PRIMARY KEY REFERENCES messages (id) ON DELETE CASCADE,
    pinned INTEGER NOT NULL,
    lamport INTEGER NOT NULL,
    said_id BLOB NOT NULL
);

-- What was said about messages that have not come. They are named as both sides name them.
CREATE TABLE remarks (
    conversation INTEGER NOT NULL REFERENCES conversations (id),
    by INTEGER NOT NULL,                       -- a contact; 0: us
    said_id BLOB NOT NULL,
    author INTEGER NOT NULL,
    message_id BLOB NOT NULL,
    lamport INTEGER NOT NULL,
    at INTEGER NOT NULL,                       -- by the clock of who said it
    kind INTEGER NOT NULL,                     -- 1 edit, 2 taken back, 3 reaction, 4 pinned, 5 no longer pinned
    text TEXT NOT NULL,
    kept_at INTEGER NOT NULL,
    PRIMARY KEY (conversation, by, said_id)
) WITHOUT ROWID;
CREATE INDEX remarks_of ON remarks (conversation, author, message_id);
CREATE INDEX remarks_old ON remarks (kept_at);

-- Messages that were here and are no more: what comes about them, or as them again, is not kept.
CREATE TABLE gone (
    conversation INTEGER NOT NULL REFERENCES conversations (id),
    author INTEGER NOT NULL,
    message_id BLOB NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (conversation, author, message_id)
) WITHOUT ROWID;
CREATE INDEX gone_old ON gone (at);

-- The index of what messages say. What is removed from a message is removed from it at once, not when it is merged.
CREATE VIRTUAL TABLE words USING fts5 (text, content = 'messages', content_rowid = 'id', tokenize = 'unicode61');
INSERT INTO words (words, rank) VALUES ('secure-delete', 1);
INSERT INTO words (rowid, text) SELECT id, text FROM messages;
CREATE TRIGGER words_of_new AFTER INSERT ON messages BEGIN
    INSERT INTO words (rowid, text) VALUES (new.id, new.text);
END;
CREATE TRIGGER words_of_gone AFTER DELETE ON messages BEGIN
    INSERT INTO words (words, rowid, text) VALUES ('delete', old.id, old.text);
END;
CREATE TRIGGER words_of_changed AFTER UPDATE OF text ON messages BEGIN
    INSERT INTO words (words, rowid, text) VALUES ('delete', old.id, old.text);
    INSERT INTO words (rowid, text) VALUES (new.id, new.text);
END;

-- What waits for a session with a contact, or for all of a group to have our sender key.
CREATE TABLE unsealed (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    contact INTEGER REFERENCES contacts (id),
    grp INTEGER REFERENCES groups (id),
    only_for BLOB,                             -- accounts of the group, one after the other; NULL: all
    message INTEGER REFERENCES messages (id) ON DELETE SET NULL,
    content BLOB NOT NULL,
    CHECK ((contact IS NULL) <> (grp IS NULL))
);
INSERT INTO unsealed (id, contact, message, content) SELECT id, contact, message, content FROM old_unsealed;
CREATE INDEX unsealed_of ON unsealed (contact, id);
CREATE INDEX unsealed_to ON unsealed (grp, id);
CREATE INDEX unsealed_message ON unsealed (message);

-- What we said to a contact and nobody has confirmed: sent anew, byte for byte, when they ask for it.
CREATE TABLE unconfirmed (
    conversation INTEGER NOT NULL REFERENCES conversations (id),
    counter INTEGER NOT NULL,
    message INTEGER REFERENCES messages (id) ON DELETE CASCADE,
    content BLOB NOT NULL,
    again INTEGER NOT NULL DEFAULT 0,          -- how often it was sent anew
    PRIMARY KEY (conversation, counter)
);
CREATE INDEX unconfirmed_message ON unconfirmed (message);

-- Devices whose messages could not be opened, and how often they were asked for them.
CREATE TABLE asked_again (
    contact INTEGER NOT NULL REFERENCES contacts (id),
    device INTEGER NOT NULL,
    since INTEGER NOT NULL,
    times INTEGER NOT NULL,
    last INTEGER NOT NULL,
    unanswered INTEGER NOT NULL,               -- nothing of it was opened since
    PRIMARY KEY (contact, device)
) WITHOUT ROWID;

-- An envelope to many mailboxes.
CREATE TABLE bodies (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    envelope BLOB NOT NULL
);

-- Sealed envelopes that no relay has confirmed.
CREATE TABLE outbox (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    deposit_id BLOB NOT NULL UNIQUE,
    contact INTEGER NOT NULL REFERENCES contacts (id),
    message INTEGER REFERENCES messages (id) ON DELETE SET NULL,
    relay TEXT NOT NULL,
    mailbox BLOB NOT NULL,
    token BLOB NOT NULL,
    envelope BLOB,                             -- of this mailbox alone
    body INTEGER REFERENCES bodies (id),       -- or one to many
    attempts INTEGER NOT NULL DEFAULT 0,
    due INTEGER NOT NULL DEFAULT 0,
    reason TEXT,
    CHECK ((envelope IS NULL) <> (body IS NULL))
);
INSERT INTO outbox (id, deposit_id, contact, message, relay, mailbox, token, envelope, attempts, due, reason)
    SELECT id, deposit_id, contact, message, relay, mailbox, token, envelope, attempts, due, reason FROM old_outbox;
CREATE INDEX outbox_in_order ON outbox (mailbox, id);
CREATE INDEX outbox_message ON outbox (message);
CREATE INDEX outbox_body ON outbox (body) WHERE body NOT NULL;

-- Receipts that are not composed yet: held back a moment, so that they go together and tell no exact times.
CREATE TABLE receipts (
    contact INTEGER NOT NULL REFERENCES contacts (id),
    conversation INTEGER NOT NULL REFERENCES conversations (id),
    kind INTEGER NOT NULL,                     -- 1 delivered, 2 read up to here
    device INTEGER NOT NULL,                   -- the author's
    counter INTEGER NOT NULL,
    due INTEGER NOT NULL,
    PRIMARY KEY (contact, conversation, kind, device, counter)
) WITHOUT ROWID;
INSERT INTO receipts SELECT o.contact, c.id, o.kind, o.device, o.counter, o.due
    FROM old_receipts o JOIN conversations c ON c.contact = o.contact;
CREATE INDEX receipts_due ON receipts (due);

DROP TABLE old_authors;
DROP TABLE old_receipts;
DROP TABLE old_unsealed;
DROP TABLE old_outbox;
DROP TABLE old_messages;

-- The signed changes that a group consists of.
CREATE TABLE group_changes (
    grp INTEGER NOT NULL REFERENCES groups (id),
    hash BLOB NOT NULL,
    height INTEGER NOT NULL,
    bytes BLOB NOT NULL,
    PRIMARY KEY (grp, hash)
) WITHOUT ROWID;

-- How much we had said to a group when each member came.
CREATE TABLE joined (
    grp INTEGER NOT NULL REFERENCES groups (id),
    account BLOB NOT NULL,
    counter INTEGER NOT NULL,
    PRIMARY KEY (grp, account)
) WITHOUT ROWID;

-- The key with which this device writes to a group, and what seals that.
CREATE TABLE our_sender_keys (
    grp INTEGER PRIMARY KEY REFERENCES groups (id),
    record BLOB NOT NULL,
    secret BLOB NOT NULL,
    made_at INTEGER NOT NULL,
    messages INTEGER NOT NULL DEFAULT 0
);

-- Devices that were given it.
CREATE TABLE given_keys (
    grp INTEGER NOT NULL REFERENCES groups (id),
    contact INTEGER NOT NULL REFERENCES contacts (id),
    device INTEGER NOT NULL,
    has_it INTEGER NOT NULL DEFAULT 0,         -- it has been heard of since
    PRIMARY KEY (grp, contact, device)
) WITHOUT ROWID;

-- The keys with which others write to it.
CREATE TABLE sender_keys (
    grp INTEGER NOT NULL REFERENCES groups (id),
    contact INTEGER NOT NULL REFERENCES contacts (id),
    device INTEGER NOT NULL,
    distribution BLOB NOT NULL,
    record BLOB NOT NULL,
    known_at INTEGER NOT NULL,
    PRIMARY KEY (grp, contact, device, distribution)
) WITHOUT ROWID;

-- What was said by somebody of whom we do not know yet that they are members.
CREATE TABLE early (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    grp INTEGER NOT NULL REFERENCES groups (id),
    contact INTEGER NOT NULL REFERENCES contacts (id),
    device INTEGER NOT NULL,
    content BLOB NOT NULL
);
CREATE INDEX early_of ON early (grp, id);

-- What seals envelopes to a group. Their tokens for our mailbox are made from it.
CREATE TABLE group_secrets (
    grp INTEGER NOT NULL REFERENCES groups (id),
    secret BLOB NOT NULL,
    known_at INTEGER NOT NULL,
    by INTEGER NOT NULL,                       -- the contact who told it first; 0: us
    shared INTEGER NOT NULL DEFAULT 0,         -- somebody else has told it as well
    PRIMARY KEY (grp, secret)
) WITHOUT ROWID;
ALTER TABLE tokens ADD COLUMN grp INTEGER REFERENCES groups (id);

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
