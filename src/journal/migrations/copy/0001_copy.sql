-- A machine's copy of a shared store, and the entries that are waiting to be merged into it.

-- The incidents as in the shared store. `head` is the summary as JSON.
CREATE TABLE incident (
    number    INTEGER PRIMARY KEY,
    head      TEXT NOT NULL,
    last_seq  INTEGER NOT NULL,
    last_hash TEXT NOT NULL
) STRICT;

-- The entries of incidents that are open or have been read on this machine, byte for byte.
CREATE TABLE entry (
    incident INTEGER NOT NULL,
    seq      INTEGER NOT NULL,
    text     TEXT NOT NULL,
    hash     TEXT NOT NULL,
    PRIMARY KEY (incident, seq)
) STRICT, WITHOUT ROWID;

CREATE TABLE body (
    digest TEXT PRIMARY KEY,
    zstd   BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- Entries that the shared store does not have yet, in the order in which they were written. `incident` is a number of the
-- shared store or a local number; `fact` is redacted JSON.
CREATE TABLE outbox (
    place       INTEGER PRIMARY KEY AUTOINCREMENT,
    uid         TEXT NOT NULL UNIQUE,
    incident    INTEGER NOT NULL,
    at          TEXT NOT NULL,
    recorded_at TEXT NOT NULL,
    actor       TEXT NOT NULL,
    fact        TEXT NOT NULL
) STRICT;

-- The final number of each local id: EL1 → E7, AL2 → A4, INC-L1 → INC-9, L3 → 12. Never deleted, because later texts may
-- refer to EL1.
CREATE TABLE renumbered (
    local TEXT PRIMARY KEY,
    given TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- The id of the shared store that this is a copy of.
CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- The final number of each local incident.
CREATE TABLE alias (
    local  INTEGER PRIMARY KEY,
    number INTEGER NOT NULL
) STRICT;

-- The next local numbers. No number is assigned twice.
CREATE TABLE counter (
    name TEXT PRIMARY KEY,
    next INTEGER NOT NULL
) STRICT;
