CREATE TABLE key_set (
    -- One row, replaced by PUT /relay/keys.
    id INTEGER PRIMARY KEY CHECK (id = 1),
    document TEXT NOT NULL
) STRICT;
