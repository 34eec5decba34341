CREATE TABLE plans (
    name   TEXT PRIMARY KEY,
    -- The record as JSON.
    record TEXT NOT NULL CHECK (json_valid(record))
) STRICT, WITHOUT ROWID;

-- One row for each meter of a plan, whatever it collects and however often.
CREATE TABLE plan_states (
    plan            TEXT NOT NULL REFERENCES plans (name) ON DELETE CASCADE,
    meter           TEXT NOT NULL REFERENCES meters (name) ON DELETE CASCADE,
    -- When it is the meter's turn; NULL where it was stopped.
    due_ms          INTEGER,
    -- Everything up to here is held, or known not to exist. NULL: never looked at.
    watermark_ms    INTEGER,
    -- Failed attempts since the last success.
    attempt         INTEGER NOT NULL DEFAULT 0,
    -- Failed authentications among them.
    refusals        INTEGER NOT NULL DEFAULT 0,
    -- What went wrong last: a name and a sentence.
    error           TEXT,
    message         TEXT,
    attempted_ms    INTEGER,
    succeeded_ms    INTEGER,
    -- When the meter answered last, be it with a refusal.
    contact_ms      INTEGER,
    -- Opening of the run whose registers have been read.
    registers_ms    INTEGER,
    -- A run that was asked for out of turn, and up to where it is to collect.
    request         TEXT,
    until_ms        INTEGER,
    PRIMARY KEY (plan, meter)
) STRICT, WITHOUT ROWID;

CREATE INDEX plan_states_due ON plan_states (plan, due_ms) WHERE due_ms IS NOT NULL;
CREATE INDEX plan_states_meter ON plan_states (meter);

-- Runs that were asked for out of turn.
CREATE TABLE plan_runs (
    id         TEXT PRIMARY KEY,
    plan       TEXT NOT NULL REFERENCES plans (name) ON DELETE CASCADE,
    created_ms INTEGER NOT NULL,
    meters     INTEGER NOT NULL,
    succeeded  INTEGER NOT NULL DEFAULT 0,
    failed     INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;

CREATE INDEX plan_runs_plan ON plan_runs (plan);
