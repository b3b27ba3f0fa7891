-- The same tables as in the SQLite store; see there. `uid` is given by the writer before the commit is tried, so that a
-- commit whose answer was lost is known again and not made twice.
CREATE TABLE warroom.incident (
    number        BIGINT PRIMARY KEY,
    head          TEXT NOT NULL,
    last_seq      BIGINT NOT NULL,
    last_hash     TEXT NOT NULL,
    next_evidence BIGINT NOT NULL,
    next_action   BIGINT NOT NULL
);

-- `text` is what the hash is taken over: text and not jsonb, which would write it anew.
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

-- Who is in which room now. Not a fact: it need not survive anything.
CREATE UNLOGGED TABLE warroom.presence (
    session  TEXT PRIMARY KEY,
    name     TEXT NOT NULL,
    incident BIGINT NOT NULL,
    seen_at  TIMESTAMPTZ NOT NULL DEFAULT now()
);
