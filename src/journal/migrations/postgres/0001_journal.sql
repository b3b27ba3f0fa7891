-- The same tables as in the SQLite store; see its comments. The writer assigns `uid` before the commit, so that a commit
-- whose answer was lost is recognized and not repeated.
CREATE TABLE warroom.incident (
    number        BIGINT PRIMARY KEY,
    head          TEXT NOT NULL,
    last_seq      BIGINT NOT NULL,
    last_hash     TEXT NOT NULL,
    next_evidence BIGINT NOT NULL,
    next_action   BIGINT NOT NULL
);

-- `text` is the hashed text. Its type is not jsonb, because jsonb does not keep the exact text.
CREATE TABLE warroom.entry (
    incident BIGINT NOT NULL,
    seq      BIGINT NOT NULL,
    uid      TEXT NOT NULL UNIQUE,
    text     TEXT NOT NULL,
    hash     TEXT NOT NULL,
    PRIMARY KEY (incident, seq)
);

CREATE TABLE warroom.body (
    digest TEXT PRIMARY KEY,
    zstd   BYTEA NOT NULL
);

CREATE TABLE warroom.evidence (
    incident BIGINT NOT NULL,
    identity TEXT NOT NULL,
    number   BIGINT NOT NULL,
    PRIMARY KEY (incident, identity)
);

CREATE TABLE warroom.purged (
    number    BIGINT PRIMARY KEY,
    last_seq  BIGINT NOT NULL,
    last_hash TEXT NOT NULL,
    note      TEXT NOT NULL
);

CREATE TABLE warroom.number (
    number BIGINT PRIMARY KEY,
    spoken BIGINT NOT NULL
);

-- Who has which incident open at the moment. Unlogged, because it does not have to survive a crash.
CREATE UNLOGGED TABLE warroom.presence (
    session  TEXT PRIMARY KEY,
    name     TEXT NOT NULL,
    incident BIGINT NOT NULL,
    seen_at  TIMESTAMPTZ NOT NULL DEFAULT now()
);
