-- What meters sent of themselves, in clear: kept until readings and events were made of it, and some time longer.
CREATE TABLE pushes (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    meter       TEXT    NOT NULL,
    received_ms INTEGER NOT NULL,
    source      TEXT    NOT NULL,
    -- Bits: 1 authenticated, 2 encrypted, 4 signed.
    protection  INTEGER NOT NULL,
    counter     INTEGER,
    apdu        BLOB    NOT NULL,
    -- 0 waits, 1 read, 2 not understood.
    state       INTEGER NOT NULL DEFAULT 0,
    note        TEXT    NOT NULL DEFAULT ''
) STRICT;

CREATE INDEX pushes_waiting ON pushes (id) WHERE state = 0;
CREATE INDEX pushes_by_meter ON pushes (meter, id);
CREATE INDEX pushes_by_age ON pushes (received_ms);

-- Highest counter seen of each pair of a meter's key and system title, and a digest of what came with it. As with our
-- own counters the pair counts, not the meter, and rows are never lowered or deleted.
CREATE TABLE receive_counters (
    id     BLOB PRIMARY KEY,
    last   INTEGER NOT NULL,
    digest BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TRIGGER receive_counters_never_lower BEFORE UPDATE ON receive_counters WHEN new.last <= old.last
BEGIN SELECT RAISE(ABORT, 'a counter that was seen may not be lowered'); END;

CREATE TRIGGER receive_counters_stay BEFORE DELETE ON receive_counters
BEGIN SELECT RAISE(ABORT, 'a counter that was seen may not be deleted'); END;

-- Devices that push and that no meter is registered for.
CREATE TABLE unclaimed (
    identity TEXT PRIMARY KEY,
    source   TEXT    NOT NULL,
    first_ms INTEGER NOT NULL,
    last_ms  INTEGER NOT NULL,
    count    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX unclaimed_by_age ON unclaimed (last_ms);

CREATE INDEX meters_by_title ON meters (json_extract(record, '$.settings.system_title'))
    WHERE json_extract(record, '$.settings.system_title') IS NOT NULL;
CREATE INDEX meters_by_push_source ON meters (json_extract(record, '$.settings.push.plaintext_from'))
    WHERE json_extract(record, '$.settings.push.plaintext_from') IS NOT NULL;
