-- The copy that a machine keeps of a shared store, and what waits to be merged into it.

-- As the shared store has it.
CREATE TABLE incident (
    number    INTEGER PRIMARY KEY,
    head      TEXT NOT NULL,
    last_seq  INTEGER NOT NULL,
    last_hash TEXT NOT NULL
) STRICT;

-- Entries of incidents that are open or were read here, byte for byte.
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

-- Entries that the shared store does not have yet, in the order in which they were made. `incident` is a number of the
-- shared store, or a local one; `fact` is redacted JSON.
CREATE TABLE outbox (
    place       INTEGER PRIMARY KEY AUTOINCREMENT,
    uid         TEXT NOT NULL UNIQUE,
    incident    INTEGER NOT NULL,
    at          TEXT NOT NULL,
    recorded_at TEXT NOT NULL,
    actor       TEXT NOT NULL,
    fact        TEXT NOT NULL
) STRICT;

-- What every local id became: EL1 → E7, AL2 → A4, INC-L1 → INC-9, L3 → 12. Kept for ever: somebody may write of EL1 later.
CREATE TABLE renumbered (
    local TEXT PRIMARY KEY,
    given TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Which shared store this is a copy of.
CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Which number a local incident got.
CREATE TABLE alias (
    local  INTEGER PRIMARY KEY,
    number INTEGER NOT NULL
) STRICT;

-- The next local numbers; they are never given twice.
CREATE TABLE counter (
    name TEXT PRIMARY KEY,
    next INTEGER NOT NULL
) STRICT;
