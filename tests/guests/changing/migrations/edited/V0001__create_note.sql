-- Not what V0001 was: an applied migration never changes, and this one did.
CREATE TABLE note (
    -- Its life: append only.
    place INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    text TEXT NOT NULL,
    number INTEGER NOT NULL CHECK (number > 0) -- The version that wrote it.
) STRICT;
