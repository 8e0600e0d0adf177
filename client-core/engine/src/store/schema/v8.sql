ALTER TABLE joined ADD COLUMN hash BLOB; -- of what we had said last when they came
UPDATE joined SET hash = (
    SELECT c.out_hash FROM conversations c WHERE c.grp = joined.grp AND c.out_counter = joined.counter
);
