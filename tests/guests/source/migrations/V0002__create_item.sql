CREATE TABLE item (
    -- Its life: what /source/items is told. Others keep copies of it, by the events that are published with each change.
    id TEXT PRIMARY KEY,
    n INTEGER NOT NULL,
    note TEXT NOT NULL
) STRICT;
