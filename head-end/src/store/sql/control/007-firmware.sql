-- Chunks of firmware images, and of uploads that have not become one yet.
CREATE TABLE firmware_chunks (
    -- UUID, version 7: tells how old an upload is.
    upload BLOB NOT NULL,
    number INTEGER NOT NULL,
    octets BLOB NOT NULL,
    PRIMARY KEY (upload, number)
) STRICT;

CREATE TABLE firmware_images (
    -- The first half of the digest.
    id             BLOB PRIMARY KEY,
    upload         BLOB NOT NULL UNIQUE,
    -- SHA-256 of the octets.
    digest         BLOB NOT NULL,
    size           INTEGER NOT NULL,
    identification BLOB NOT NULL,
    version        TEXT NOT NULL,
    signature      BLOB NOT NULL,
    description    TEXT NOT NULL,
    creator        TEXT NOT NULL,
    created_ms     INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Jobs whose tasks are let run in waves.
CREATE TABLE job_waves (
    job       BLOB PRIMARY KEY REFERENCES jobs (id) ON DELETE CASCADE,
    revision  INTEGER NOT NULL,
    -- 0 running, 1 paused, 2 stopped.
    state     INTEGER NOT NULL,
    wave      INTEGER NOT NULL,
    target    INTEGER NOT NULL,
    tolerated INTEGER NOT NULL,
    next_ms   INTEGER,
    reason    TEXT NOT NULL
) STRICT, WITHOUT ROWID;
