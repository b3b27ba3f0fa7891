-- One row an incident: its head as a list shows it (made of the entries, see incident::Summary) and the next numbers.
CREATE TABLE incident (
    number        INTEGER PRIMARY KEY,
    head          TEXT NOT NULL,
    last_seq      INTEGER NOT NULL,
    last_hash     TEXT NOT NULL,
    next_evidence INTEGER NOT NULL,
    next_action   INTEGER NOT NULL
) STRICT;

-- The facts. `text` is what the hash is taken over; nothing is ever updated or deleted here.
CREATE TABLE entry (
    incident INTEGER NOT NULL,
    seq      INTEGER NOT NULL,
    text     TEXT NOT NULL,
    hash     TEXT NOT NULL,
    PRIMARY KEY (incident, seq)
) STRICT, WITHOUT ROWID;

-- Evidence bodies by digest, zstd-compressed JSON. Two incidents may share one.
CREATE TABLE body (
    digest TEXT PRIMARY KEY,
    zstd   BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- Which evidence number stands for which source, query, window and digest.
CREATE TABLE evidence (
    incident INTEGER NOT NULL,
    identity TEXT NOT NULL,
    number   INTEGER NOT NULL,
    PRIMARY KEY (incident, identity)
) STRICT, WITHOUT ROWID;
