CREATE TABLE note (
    -- Its life: written once, never changed.
    id TEXT NOT NULL PRIMARY KEY,
    body TEXT NOT NULL
) STRICT;

CREATE TABLE note_reference (
    -- Its life: append only. The key is checked when a unit of work ends, not before.
    id TEXT NOT NULL PRIMARY KEY,
    note_id TEXT NOT NULL REFERENCES note (id) DEFERRABLE INITIALLY DEFERRED
) STRICT;

CREATE TRIGGER note_rollback BEFORE INSERT ON note
-- Ends the whole transaction, not the statement alone: for the test of aborted batches.
WHEN new.body = 'raise-rollback'
BEGIN
    SELECT RAISE (ROLLBACK, 'rolled back by a trigger');
END;
