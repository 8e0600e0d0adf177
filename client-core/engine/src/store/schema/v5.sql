-- Devices that said something to a group, or gave their key, before they were known here as a member's. The group may be
-- one of which nothing else is known yet.
CREATE TABLE unheard (
    group_id BLOB NOT NULL,
    account BLOB NOT NULL,
    device INTEGER NOT NULL,
    PRIMARY KEY (group_id, account, device)
) WITHOUT ROWID;
CREATE INDEX unheard_of ON unheard (account);
