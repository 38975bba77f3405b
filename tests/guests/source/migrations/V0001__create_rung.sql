CREATE TABLE rung (
    -- Its life: append only. The timers that rang, in the order in which they took effect.
    arrival INTEGER PRIMARY KEY AUTOINCREMENT,
    event_id TEXT NOT NULL,
    subject TEXT NOT NULL,
    n INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    trace TEXT NOT NULL,
    source TEXT NOT NULL
) STRICT;
