CREATE TABLE seen (
    -- Its life: a row when an event first takes effect. One that took effect again is counted, so that it shows.
    place INTEGER PRIMARY KEY AUTOINCREMENT,
    event_id TEXT NOT NULL UNIQUE,
    note_id TEXT NOT NULL UNIQUE,
    arrivals INTEGER NOT NULL DEFAULT 1,
    written_by INTEGER NOT NULL, -- The version of the one that published it.
    taken_by INTEGER NOT NULL -- The version of the one that took it.
) STRICT;
