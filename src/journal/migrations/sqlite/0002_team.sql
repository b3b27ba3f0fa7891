-- Facts of this version (gates, exit criteria, undo, merging) are unknown to older programs: the number of this step keeps
-- them away. What was purged leaves its number and the end of its chain behind, so that no number is given twice.
CREATE TABLE purged (
    number    INTEGER PRIMARY KEY,
    last_seq  INTEGER NOT NULL,
    last_hash TEXT NOT NULL,
    note      TEXT NOT NULL
) STRICT;
