-- Facts of this version (gates, exit criteria, undo, merging) are unknown to older programs: the number of this step keeps
-- them away. What was purged leaves its number and the end of its chain behind, so that no number is given twice.
CREATE TABLE purged (
    number    INTEGER PRIMARY KEY,
    last_seq  INTEGER NOT NULL,
    last_hash TEXT NOT NULL,
    note      TEXT NOT NULL
) STRICT;

-- Every number that was given or came with a bundle (`spoken` = 0), so that an incident that vanished is missed; and those
-- that an imported incident only speaks of (`spoken` = 1), so that they are not given to another.
CREATE TABLE number (
    number INTEGER PRIMARY KEY,
    spoken INTEGER NOT NULL
) STRICT;
INSERT INTO number (number, spoken) SELECT number, 0 FROM incident;
