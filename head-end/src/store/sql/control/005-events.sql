-- What happened, in the order in which we heard of it.
CREATE TABLE events (
    sequence    INTEGER PRIMARY KEY AUTOINCREMENT,
    -- Empty for the head-end's own.
    meter       TEXT    NOT NULL,
    time_ms     INTEGER NOT NULL,
    -- 1 meter's deviation, 2 configured offset, 3 time of receipt.
    time_basis  INTEGER NOT NULL,
    -- Twelve octets as the meter sent them.
    clock       BLOB,
    -- 1 log, 2 pushed, 3 alarm register, 4 the head-end.
    origin      INTEGER NOT NULL,
    -- Logical name of the log or register; empty for none.
    source      BLOB    NOT NULL,
    -- -1 for none.
    code        INTEGER NOT NULL,
    name        TEXT    NOT NULL,
    category    TEXT    NOT NULL,
    iec_code    TEXT    NOT NULL,
    alarm       INTEGER NOT NULL,
    detail      TEXT    NOT NULL,
    received_ms INTEGER NOT NULL,
    ack_by      TEXT,
    ack_ms      INTEGER,
    ack_note    TEXT
) STRICT;

-- A log that is read twice has its events once.
CREATE UNIQUE INDEX events_once ON events (meter, source, time_ms, code, detail, origin);
CREATE INDEX events_by_meter ON events (meter, sequence);
CREATE INDEX events_by_category ON events (category, sequence);

-- Alarm registers and descriptors as they were seen last: only what is new in them is news.
CREATE TABLE alarm_registers (
    meter    TEXT    NOT NULL,
    register BLOB    NOT NULL,
    value    INTEGER NOT NULL,
    PRIMARY KEY (meter, register)
) STRICT, WITHOUT ROWID;
