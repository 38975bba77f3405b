CREATE TABLE taken (
    -- Its life: append only. The events that took effect, in their order; one that took effect twice would be here twice.
    arrival INTEGER PRIMARY KEY AUTOINCREMENT,
    event_id TEXT NOT NULL,
    subject TEXT NOT NULL,
    n INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    trace TEXT NOT NULL,
    principal TEXT -- of who called others to find out
) STRICT;

CREATE TABLE note (
    -- Its life: written once, never changed.
    id TEXT NOT NULL PRIMARY KEY,
    body TEXT NOT NULL
) STRICT;

CREATE TABLE broken (
    -- Its life: a subject whose events fail while its row is here.
    subject TEXT NOT NULL PRIMARY KEY
) STRICT;
