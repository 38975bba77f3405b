CREATE TABLE note (
    -- Its life: append only.
    place INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    text TEXT NOT NULL,
    number INTEGER NOT NULL -- The version that wrote it.
) STRICT;
