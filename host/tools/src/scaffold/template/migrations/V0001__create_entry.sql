-- A migration never changes once it was released: what comes next is V0002.

CREATE TABLE entry (
    -- Append only. Ids are UUIDv7 as text, and sort by their time: GET /{{name}} reads them backwards.
    id TEXT NOT NULL PRIMARY KEY,
    text TEXT NOT NULL,
    created_at TEXT NOT NULL -- RFC 3339 in UTC with milliseconds, which sorts as text.
) STRICT, WITHOUT ROWID;
