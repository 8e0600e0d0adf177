ALTER TABLE joined ADD COLUMN hash BLOB; -- of what we had said last when they came
UPDATE joined SET hash = (
    SELECT c.out_hash FROM conversations c WHERE c.grp = joined.grp AND c.out_counter = joined.counter
);

ALTER TABLE contacts ADD COLUMN kept_back INTEGER NOT NULL DEFAULT 0; -- a stranger said something that was not taken in
