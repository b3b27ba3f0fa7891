-- Older versions do not know the facts of this version (gates, exit criteria, undo, merging); the number of this step keeps
-- them from opening the file. Purged incidents leave their number and the end of their chain, so that no number is reused.
CREATE TABLE purged (
    number    INTEGER PRIMARY KEY,
    last_seq  INTEGER NOT NULL,
    last_hash TEXT NOT NULL,
    note      TEXT NOT NULL
) STRICT;

-- All numbers that were assigned or imported (`spoken` = 0), so that a missing incident is noticed, and the numbers that
-- imported incidents only mention (`spoken` = 1), so that they are not assigned to other incidents.
CREATE TABLE number (
    number INTEGER PRIMARY KEY,
    spoken INTEGER NOT NULL
) STRICT;
INSERT INTO number (number, spoken) SELECT number, 0 FROM incident;
