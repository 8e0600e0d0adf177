-- Devices of contacts that a person has not agreed to.
CREATE TABLE new_devices (
    contact INTEGER NOT NULL REFERENCES contacts (id),
    device INTEGER NOT NULL,
    since INTEGER NOT NULL,
    listed INTEGER NOT NULL DEFAULT 1,         -- it stands in their newest list; else it went before anybody agreed
    kept_back INTEGER NOT NULL DEFAULT 0,      -- something that it said was not taken in
    PRIMARY KEY (contact, device)
) WITHOUT ROWID;
ALTER TABLE contacts ADD COLUMN policy INTEGER;                   -- what is done about new devices; NULL: as with all
ALTER TABLE contacts ADD COLUMN held INTEGER NOT NULL DEFAULT 0;  -- what we send waits until a person agrees
ALTER TABLE me ADD COLUMN policy INTEGER NOT NULL DEFAULT 1;      -- with all of whom nothing else was chosen
CREATE INDEX contacts_held ON contacts (id) WHERE held;
