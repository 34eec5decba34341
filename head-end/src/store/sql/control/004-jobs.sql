-- Jobs: operations over a selection of meters. A job is here before the first octet of it leaves.
CREATE TABLE jobs (
    -- UUID, version 7: the order of ids is the order of making.
    id            BLOB PRIMARY KEY,
    tenant        TEXT,
    creator       TEXT NOT NULL,
    kind          TEXT NOT NULL,
    -- What to do, and with which meters, as the API states it.
    spec          BLOB NOT NULL,
    target        BLOB NOT NULL,
    mutating      INTEGER NOT NULL,
    -- Whether it takes supply away: such tasks are counted and limited.
    interrupts    INTEGER NOT NULL,
    priority      INTEGER NOT NULL,
    not_before_ms INTEGER NOT NULL,
    expires_ms    INTEGER NOT NULL,
    reason        TEXT NOT NULL,
    -- 0 expanding, 1 awaiting approval, 2 running, 3 cancelling, 4 finished, 5 cancelled.
    state         INTEGER NOT NULL,
    approver      TEXT,
    created_ms    INTEGER NOT NULL,
    updated_ms    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX jobs_by_state ON jobs (state) WHERE state < 4;

-- Tasks: one meter's part of a job.
CREATE TABLE tasks (
    job         BLOB NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    meter       TEXT NOT NULL,
    tenant      TEXT,
    -- 0 waiting, 1 running, 2 ended; 3 held until the job may run.
    state       INTEGER NOT NULL,
    priority    INTEGER NOT NULL,
    due_ms      INTEGER NOT NULL,
    attempts    INTEGER NOT NULL DEFAULT 0,
    -- Failures of security so far.
    refusals    INTEGER NOT NULL DEFAULT 0,
    -- Set before an action leaves and cleared when its outcome is known.
    sent_ms     INTEGER,
    -- When it last took supply away.
    acted_ms    INTEGER,
    -- What the procedure wants to remember.
    checkpoint  BLOB,
    -- The result by its number in the API, once it has ended.
    result      INTEGER,
    failure     BLOB,
    outcome     BLOB,
    ended_ms    INTEGER,
    PRIMARY KEY (job, meter)
) STRICT, WITHOUT ROWID;

CREATE INDEX tasks_due ON tasks (priority, due_ms) WHERE state = 0;
CREATE INDEX tasks_by_state ON tasks (job, state, result);
CREATE INDEX tasks_running ON tasks (state) WHERE state = 1;
CREATE INDEX tasks_acted ON tasks (tenant, acted_ms) WHERE acted_ms IS NOT NULL;

-- Ends of tasks in the order in which they came: what a watcher resumes from.
CREATE TABLE task_ends (
    seq   INTEGER PRIMARY KEY AUTOINCREMENT,
    job   BLOB NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    meter TEXT NOT NULL
) STRICT;

CREATE INDEX task_ends_by_job ON task_ends (job, seq);
