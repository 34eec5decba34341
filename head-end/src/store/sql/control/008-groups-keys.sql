-- Groups: selections of meters that have a name.
CREATE TABLE meter_groups (
    name   TEXT PRIMARY KEY,
    record TEXT NOT NULL CHECK (json_valid(record))
) STRICT, WITHOUT ROWID;

-- Keys that were made for a meter and are not proved to be in it; sealed and bound like those in use.
CREATE TABLE new_keys (
    meter     TEXT NOT NULL REFERENCES meters (name) ON DELETE CASCADE,
    role      TEXT NOT NULL,
    sealed    BLOB NOT NULL,
    -- What they were made for; all of a meter's belong to one.
    rotation  TEXT NOT NULL,
    made_ms   INTEGER NOT NULL,
    -- Whether the meter said that it has taken them.
    confirmed INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (meter, role)
) STRICT, WITHOUT ROWID;

-- Since when a secret is in use; 0 where that is not known.
ALTER TABLE meter_secrets ADD COLUMN since_ms INTEGER NOT NULL DEFAULT 0;
