-- One row per incident: its summary for lists (derived from the entries, see incident::Summary) and the next numbers.
CREATE TABLE incident (
    number        INTEGER PRIMARY KEY,
    head          TEXT NOT NULL,
    last_seq      INTEGER NOT NULL,
    last_hash     TEXT NOT NULL,
    next_evidence INTEGER NOT NULL,
    next_action   INTEGER NOT NULL
) STRICT;

-- The entries. `text` is the hashed text. Rows are never updated, and are deleted only by a purge.
CREATE TABLE entry (
    incident INTEGER NOT NULL,
    seq      INTEGER NOT NULL,
    text     TEXT NOT NULL,
    hash     TEXT NOT NULL,
    PRIMARY KEY (incident, seq)
) STRICT, WITHOUT ROWID;

-- Evidence bodies by digest, as zstd-compressed JSON. Incidents can share a body.
CREATE TABLE body (
    digest TEXT PRIMARY KEY,
    zstd   BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- The number of each evidence item by its identity, a hash of source, query, window and digest.
CREATE TABLE evidence (
    incident INTEGER NOT NULL,
    identity TEXT NOT NULL,
    number   INTEGER NOT NULL,
    PRIMARY KEY (incident, identity)
) STRICT, WITHOUT ROWID;
