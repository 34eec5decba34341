-- The audit log: a row before a call that changes something (intent IS NULL), and one behind it that names the first.
CREATE TABLE audit (
    number     INTEGER PRIMARY KEY,
    time_ms    INTEGER NOT NULL,
    intent     INTEGER REFERENCES audit (number),
    subject    TEXT NOT NULL DEFAULT '',
    tenant     TEXT NOT NULL DEFAULT '',
    method     TEXT NOT NULL DEFAULT '',
    target     TEXT NOT NULL DEFAULT '',
    details    TEXT NOT NULL DEFAULT '',
    request_id TEXT NOT NULL DEFAULT '',
    peer       TEXT NOT NULL DEFAULT '',
    outcome    TEXT NOT NULL DEFAULT '',
    digest     BLOB NOT NULL
) STRICT;
CREATE UNIQUE INDEX audit_outcome ON audit (intent) WHERE intent IS NOT NULL;
CREATE INDEX audit_subject ON audit (subject, number) WHERE intent IS NULL;
CREATE TRIGGER audit_no_update BEFORE UPDATE ON audit BEGIN SELECT RAISE(ABORT, 'the audit log is only added to'); END;
CREATE TRIGGER audit_no_delete BEFORE DELETE ON audit BEGIN SELECT RAISE(ABORT, 'the audit log is only added to'); END;
