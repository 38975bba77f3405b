-- Accounts: users, their addresses and preferences, the keys that tokens are signed with, and logins that failed.
-- Ids are UUIDv7 as text, which sort by age; times are RFC 3339 in UTC with milliseconds, which sort as text.

CREATE TABLE user (
    -- Its life: registered by whom it is of; changed and deleted by them or an admin. Nothing of it is left behind.
    id TEXT NOT NULL PRIMARY KEY,
    email TEXT NOT NULL UNIQUE COLLATE NOCASE, -- As it was typed. All of it is ASCII, whose letters NOCASE knows.
    password_hash TEXT NOT NULL, -- argon2id with its cost and its salt, as a PHC string.
    first_name TEXT NOT NULL,
    last_name TEXT NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL
) STRICT;

CREATE INDEX user_by_created_at ON user (
    -- GET /users.
    created_at, id
);

CREATE TABLE user_address (
    -- Its life: added, replaced and deleted by its user or an admin; goes with its user.
    id TEXT NOT NULL PRIMARY KEY,
    user_id TEXT NOT NULL REFERENCES user (id) ON DELETE CASCADE,
    address_line1 TEXT NOT NULL,
    address_line2 TEXT,
    city TEXT NOT NULL,
    state TEXT,
    postal_code TEXT NOT NULL,
    country TEXT NOT NULL CHECK (length(country) = 2), -- ISO 3166-1 alpha-2.
    is_default INTEGER NOT NULL CHECK (is_default IN (0, 1))
) STRICT;

CREATE INDEX user_address_by_user ON user_address (
    -- GET /users/{id}/addresses: the oldest first; what goes with a user.
    user_id, id
);

CREATE UNIQUE INDEX user_address_default ON user_address (
    -- A user has one default at most. The handlers see to it that there is one where there is any address.
    user_id
) WHERE is_default = 1;

CREATE TABLE user_preference (
    -- Its life: set and deleted by its user or an admin; goes with its user.
    id TEXT NOT NULL PRIMARY KEY,
    user_id TEXT NOT NULL REFERENCES user (id) ON DELETE CASCADE,
    preference_key TEXT NOT NULL,
    preference_value TEXT NOT NULL,
    -- One per user and key. GET /users/{id}/preferences: by key.
    UNIQUE (user_id, preference_key)
) STRICT;

CREATE TABLE signing_key (
    -- Its life: made at the first login, and at the first one that finds the one before too old. That one is then retired: its
    -- private half is gone at once, its public half is served until the last token that it signed has expired, and deleted when
    -- the next key is made.
    id TEXT NOT NULL PRIMARY KEY, -- The key id, `kid`, of tokens and of the key set.
    public_key BLOB NOT NULL CHECK (length(public_key) = 32),
    private_key BLOB CHECK (length(private_key) = 32), -- NULL once it is retired.
    created_at TEXT NOT NULL,
    retired_at TEXT,
    CONSTRAINT private_until_retired CHECK ((private_key IS NULL) = (retired_at IS NOT NULL))
) STRICT;

CREATE UNIQUE INDEX signing_key_active ON signing_key (
    -- POST /sessions: the one key that signs. Two first logins at once cannot make two.
    (retired_at IS NULL)
) WHERE retired_at IS NULL;

CREATE TABLE login_failure (
    -- Its life: counted up by logins that fail; deleted by one that succeeds, with its user, and by any later one that fails once
    -- its window is over.
    email TEXT NOT NULL, -- In lower case. There may be no user with it.
    peer TEXT NOT NULL, -- The client's address; of IPv6 the network of 64 bits.
    failures INTEGER NOT NULL CHECK (failures > 0),
    since TEXT NOT NULL, -- When the first one failed: the window begins.
    PRIMARY KEY (email, peer)
) STRICT, WITHOUT ROWID;

CREATE INDEX login_failure_by_since ON login_failure (
    -- POST /sessions: those whose window is over.
    since
);
