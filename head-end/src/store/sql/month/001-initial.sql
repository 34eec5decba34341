-- Captures of one calendar month (UTC). The file stands on its own: names and layouts are in it.
CREATE TABLE meters (
    id   INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
) STRICT;

-- What the values of a row are: a JSON array of columns.
CREATE TABLE layouts (
    id      INTEGER PRIMARY KEY,
    columns TEXT NOT NULL UNIQUE CHECK (json_valid(columns))
) STRICT;

CREATE TABLE captures (
    meter       INTEGER NOT NULL REFERENCES meters (id),
    -- Six octets of the profile's OBIS code; all zero for registers that were read by themselves.
    profile     BLOB    NOT NULL CHECK (length(profile) = 6),
    -- Capture time, milliseconds since 1970 UTC.
    time_ms     INTEGER NOT NULL,
    -- 1, and one more for each other set of values for the same moment.
    revision    INTEGER NOT NULL,
    layout      INTEGER NOT NULL REFERENCES layouts (id),
    -- 1 meter's deviation, 2 configured offset, 3 time of receipt.
    time_basis  INTEGER NOT NULL,
    -- Twelve octets as the meter sent them.
    clock       BLOB,
    status      INTEGER,
    -- 1 polled, 2 pushed, 3 telegram.
    source      INTEGER NOT NULL,
    received_ms INTEGER NOT NULL,
    -- The values of all columns in A-XDR, one after the other.
    row         BLOB    NOT NULL,
    PRIMARY KEY (meter, profile, time_ms, revision)
) STRICT, WITHOUT ROWID;
