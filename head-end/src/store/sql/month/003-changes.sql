-- What was added in which order: one row for the captures of one profile that came together, written with them.
-- Subscribers and other sinks go by it.
CREATE TABLE changes (
    -- Counted over the files of all months, in the order of commits.
    sequence INTEGER PRIMARY KEY,
    meter    INTEGER NOT NULL REFERENCES meters (id),
    profile  BLOB    NOT NULL CHECK (length(profile) = 6),
    -- Capture times of the first and the last of them.
    first_ms INTEGER NOT NULL,
    last_ms  INTEGER NOT NULL
) STRICT;
