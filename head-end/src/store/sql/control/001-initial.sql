-- Values that belong to this installation: our system title, the check of the master key.
CREATE TABLE instance (
    name  TEXT PRIMARY KEY,
    value BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE meters (
    name   TEXT PRIMARY KEY,
    -- The record as JSON, without secrets.
    record TEXT NOT NULL CHECK (json_valid(record))
) STRICT, WITHOUT ROWID;

-- Sealed under the master key; bound to meter and role.
CREATE TABLE meter_secrets (
    meter  TEXT NOT NULL REFERENCES meters (name) ON DELETE CASCADE,
    role   TEXT NOT NULL,
    sealed BLOB NOT NULL,
    PRIMARY KEY (meter, role)
) STRICT, WITHOUT ROWID;

-- Next transmit invocation counter of each pair of key and system title. Rows are never deleted and
-- never lowered: a counter used twice with one key gives the plaintext away.
CREATE TABLE counters (
    id   BLOB PRIMARY KEY,
    next INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TRIGGER counters_never_lower BEFORE UPDATE ON counters WHEN new.next < old.next
BEGIN SELECT RAISE(ABORT, 'an invocation counter may not be lowered'); END;

CREATE TRIGGER counters_stay BEFORE DELETE ON counters
BEGIN SELECT RAISE(ABORT, 'an invocation counter may not be deleted'); END;

CREATE TABLE object_models (
    meter TEXT PRIMARY KEY REFERENCES meters (name) ON DELETE CASCADE,
    model TEXT NOT NULL CHECK (json_valid(model))
) STRICT, WITHOUT ROWID;

CREATE TABLE profile_layouts (
    meter   TEXT NOT NULL REFERENCES meters (name) ON DELETE CASCADE,
    profile TEXT NOT NULL,
    layout  TEXT NOT NULL CHECK (json_valid(layout)),
    PRIMARY KEY (meter, profile)
) STRICT, WITHOUT ROWID;

-- Answers to requests that carried a request_id. A row without a response was begun and not ended.
CREATE TABLE requests (
    method     TEXT NOT NULL,
    request_id TEXT NOT NULL,
    digest     BLOB NOT NULL,
    begun_ms   INTEGER NOT NULL,
    response   BLOB,
    PRIMARY KEY (method, request_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX requests_by_age ON requests (begun_ms);
