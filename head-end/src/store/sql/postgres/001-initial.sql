-- The same logical schema as that of the files: see their steps for what the columns mean. Text is compared by octets, so
-- that lists have the order that they have there. Times are milliseconds since 1970 UTC.

CREATE TABLE instance (
    name  text COLLATE "C" PRIMARY KEY,
    value bytea NOT NULL
);

-- Numbers that are given out in the order of commits: a transaction that takes some holds the row until it ends, so that
-- who reads behind a number misses nothing that was numbered before it and committed after it.
CREATE TABLE sequences (
    name text COLLATE "C" PRIMARY KEY,
    last bigint NOT NULL
);
INSERT INTO sequences (name, last) VALUES ('changes', 0), ('events', 0);

CREATE TABLE meters (
    name         text COLLATE "C" PRIMARY KEY,
    -- The record as JSON, without secrets.
    record       text NOT NULL,
    -- What meters are looked for by, taken from the record.
    tenant       text COLLATE "C",
    labels       text[] COLLATE "C" NOT NULL,
    system_title text COLLATE "C",
    push_source  text COLLATE "C"
);
CREATE INDEX meters_by_tenant ON meters (tenant, name) WHERE tenant IS NOT NULL;
CREATE INDEX meters_by_label ON meters USING gin (labels);
CREATE INDEX meters_by_title ON meters (system_title) WHERE system_title IS NOT NULL;
CREATE INDEX meters_by_push_source ON meters (push_source) WHERE push_source IS NOT NULL;

CREATE TABLE meter_secrets (
    meter  text COLLATE "C" NOT NULL REFERENCES meters (name) ON DELETE CASCADE,
    role   text COLLATE "C" NOT NULL,
    sealed bytea NOT NULL,
    PRIMARY KEY (meter, role)
);

-- Next transmit invocation counter of each pair of key and system title. Rows are never deleted and never lowered: a
-- counter used twice with one key gives the plaintext away.
CREATE TABLE counters (
    id   bytea PRIMARY KEY,
    next bigint NOT NULL CHECK (next BETWEEN 0 AND 4294967295)
);
CREATE FUNCTION counter_stays() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND new.next >= old.next AND new.id = old.id THEN RETURN new; END IF;
    RAISE EXCEPTION 'an invocation counter may not be lowered or deleted';
END $$;
CREATE TRIGGER counters_stay BEFORE UPDATE OR DELETE ON counters FOR EACH ROW EXECUTE FUNCTION counter_stays();

CREATE TABLE object_models (
    meter text COLLATE "C" PRIMARY KEY REFERENCES meters (name) ON DELETE CASCADE,
    model text NOT NULL
);
CREATE TABLE profile_layouts (
    meter   text COLLATE "C" NOT NULL REFERENCES meters (name) ON DELETE CASCADE,
    profile text COLLATE "C" NOT NULL,
    layout  text NOT NULL,
    PRIMARY KEY (meter, profile)
);

-- Answers to requests that carried a request_id. A row without a response was begun and not ended.
CREATE TABLE requests (
    method     text COLLATE "C" NOT NULL,
    request_id text COLLATE "C" NOT NULL,
    digest     bytea NOT NULL,
    begun_ms   bigint NOT NULL,
    response   bytea,
    PRIMARY KEY (method, request_id)
);
CREATE INDEX requests_by_age ON requests (begun_ms);

-- What meters sent of themselves, in clear.
CREATE TABLE pushes (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    meter       text COLLATE "C" NOT NULL,
    received_ms bigint NOT NULL,
    source      text NOT NULL,
    protection  smallint NOT NULL,
    counter     bigint,
    apdu        bytea NOT NULL,
    state       smallint NOT NULL DEFAULT 0,
    note        text NOT NULL DEFAULT ''
);
CREATE INDEX pushes_waiting ON pushes (id) WHERE state = 0;
CREATE INDEX pushes_by_meter ON pushes (meter, id);
CREATE INDEX pushes_by_age ON pushes (received_ms);

-- Highest counter seen of each pair of a meter's key and system title, and a digest of what came with it.
CREATE TABLE receive_counters (
    id     bytea PRIMARY KEY,
    last   bigint NOT NULL,
    digest bytea NOT NULL
);
CREATE FUNCTION receive_counter_stays() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND new.last > old.last AND new.id = old.id THEN RETURN new; END IF;
    RAISE EXCEPTION 'a counter that was seen may not be lowered or deleted';
END $$;
CREATE TRIGGER receive_counters_stay BEFORE UPDATE OR DELETE ON receive_counters
    FOR EACH ROW EXECUTE FUNCTION receive_counter_stays();

CREATE TABLE unclaimed (
    identity text COLLATE "C" PRIMARY KEY,
    source   text NOT NULL,
    first_ms bigint NOT NULL,
    last_ms  bigint NOT NULL,
    count    bigint NOT NULL
);
CREATE INDEX unclaimed_by_age ON unclaimed (last_ms);

CREATE TABLE plans (
    name   text COLLATE "C" PRIMARY KEY,
    record text NOT NULL
);
CREATE TABLE plan_states (
    plan         text COLLATE "C" NOT NULL REFERENCES plans (name) ON DELETE CASCADE,
    meter        text COLLATE "C" NOT NULL REFERENCES meters (name) ON DELETE CASCADE,
    due_ms       bigint,
    watermark_ms bigint,
    attempt      bigint NOT NULL DEFAULT 0,
    refusals     bigint NOT NULL DEFAULT 0,
    error        text,
    message      text,
    attempted_ms bigint,
    succeeded_ms bigint,
    contact_ms   bigint,
    registers_ms bigint,
    request      text COLLATE "C",
    until_ms     bigint,
    PRIMARY KEY (plan, meter)
);
CREATE INDEX plan_states_due ON plan_states (plan, due_ms) WHERE due_ms IS NOT NULL;
CREATE INDEX plan_states_meter ON plan_states (meter);
CREATE TABLE plan_runs (
    id         text COLLATE "C" PRIMARY KEY,
    plan       text COLLATE "C" NOT NULL REFERENCES plans (name) ON DELETE CASCADE,
    created_ms bigint NOT NULL,
    meters     bigint NOT NULL,
    succeeded  bigint NOT NULL DEFAULT 0,
    failed     bigint NOT NULL DEFAULT 0
);
CREATE INDEX plan_runs_plan ON plan_runs (plan);

-- Jobs: operations over a selection of meters. A job is here before the first octet of it leaves.
CREATE TABLE jobs (
    id            bytea PRIMARY KEY,
    tenant        text COLLATE "C",
    creator       text NOT NULL,
    kind          text NOT NULL,
    spec          bytea NOT NULL,
    target        bytea NOT NULL,
    mutating      boolean NOT NULL,
    interrupts    boolean NOT NULL,
    priority      smallint NOT NULL,
    not_before_ms bigint NOT NULL,
    expires_ms    bigint NOT NULL,
    reason        text NOT NULL,
    state         smallint NOT NULL,
    approver      text,
    created_ms    bigint NOT NULL,
    updated_ms    bigint NOT NULL
);
CREATE INDEX jobs_by_state ON jobs (state) WHERE state < 4;
CREATE TABLE tasks (
    job        bytea NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    meter      text COLLATE "C" NOT NULL,
    tenant     text COLLATE "C",
    state      smallint NOT NULL,
    priority   smallint NOT NULL,
    due_ms     bigint NOT NULL,
    attempts   bigint NOT NULL DEFAULT 0,
    refusals   bigint NOT NULL DEFAULT 0,
    sent_ms    bigint,
    acted_ms   bigint,
    checkpoint bytea,
    result     smallint,
    failure    bytea,
    outcome    bytea,
    ended_ms   bigint,
    PRIMARY KEY (job, meter)
);
CREATE INDEX tasks_due ON tasks (priority, due_ms) WHERE state = 0;
CREATE INDEX tasks_by_state ON tasks (job, state, result);
CREATE INDEX tasks_running ON tasks (state) WHERE state = 1;
CREATE INDEX tasks_acted ON tasks (tenant, acted_ms) WHERE acted_ms IS NOT NULL;
-- Ends of tasks. They are numbered by who holds the row of their job, so that those of one job are in the order of commits.
CREATE TABLE task_ends (
    seq   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    job   bytea NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    meter text COLLATE "C" NOT NULL
);
CREATE INDEX task_ends_by_job ON task_ends (job, seq);

CREATE TABLE events (
    sequence    bigint PRIMARY KEY,
    -- SHA-256 of what tells it from others: texts may be longer than a key of an index.
    identity    bytea NOT NULL UNIQUE,
    meter       text COLLATE "C" NOT NULL,
    time_ms     bigint NOT NULL,
    time_basis  smallint NOT NULL,
    clock       bytea,
    origin      smallint NOT NULL,
    source      bytea NOT NULL,
    code        bigint NOT NULL,
    name        text NOT NULL,
    category    text COLLATE "C" NOT NULL,
    iec_code    text NOT NULL,
    alarm       boolean NOT NULL,
    detail      text NOT NULL,
    received_ms bigint NOT NULL,
    ack_by      text,
    ack_ms      bigint,
    ack_note    text
);
CREATE INDEX events_by_meter ON events (meter, sequence);
CREATE INDEX events_by_category ON events (category, sequence);
CREATE TABLE alarm_registers (
    meter    text COLLATE "C" NOT NULL,
    register bytea NOT NULL,
    value    bigint NOT NULL,
    PRIMARY KEY (meter, register)
);

-- The audit log: a row before a call that changes something (intent IS NULL), and one behind it that names the first.
CREATE TABLE audit (
    number     bigint PRIMARY KEY,
    time_ms    bigint NOT NULL,
    intent     bigint CONSTRAINT audit_intent REFERENCES audit (number),
    subject    text COLLATE "C" NOT NULL DEFAULT '',
    tenant     text COLLATE "C" NOT NULL DEFAULT '',
    method     text COLLATE "C" NOT NULL DEFAULT '',
    target     text COLLATE "C" NOT NULL DEFAULT '',
    details    text COLLATE "C" NOT NULL DEFAULT '',
    request_id text COLLATE "C" NOT NULL DEFAULT '',
    peer       text COLLATE "C" NOT NULL DEFAULT '',
    outcome    text COLLATE "C" NOT NULL DEFAULT '',
    digest     bytea NOT NULL
);
CREATE UNIQUE INDEX audit_outcome ON audit (intent) WHERE intent IS NOT NULL;
CREATE INDEX audit_subject ON audit USING hash (subject);
CREATE FUNCTION audit_stays() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION 'the audit log is only added to'; END $$;
CREATE TRIGGER audit_stays BEFORE UPDATE OR DELETE ON audit FOR EACH ROW EXECUTE FUNCTION audit_stays();
CREATE TRIGGER audit_stays_whole BEFORE TRUNCATE ON audit FOR EACH STATEMENT EXECUTE FUNCTION audit_stays();

-- Readings. Names are numbers here, because a capture is a hundred octets.
CREATE TABLE reading_meters (
    id   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text COLLATE "C" NOT NULL UNIQUE
);
-- What the values of a row are: a JSON array of columns, found by its SHA-256.
CREATE TABLE layouts (
    id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    digest  bytea NOT NULL UNIQUE,
    columns text NOT NULL
);
-- A partition for each calendar month (UTC), made when its first capture comes.
CREATE TABLE captures (
    meter       bigint NOT NULL,
    profile     bytea NOT NULL,
    time_ms     bigint NOT NULL,
    revision    bigint NOT NULL,
    layout      bigint NOT NULL,
    time_basis  smallint NOT NULL,
    clock       bytea,
    status      bigint,
    source      smallint NOT NULL,
    received_ms bigint NOT NULL,
    flags       bigint NOT NULL,
    "row"       bytea NOT NULL,
    PRIMARY KEY (meter, profile, time_ms, revision)
) PARTITION BY RANGE (time_ms);
-- Bitmaps of what is held, by months of their days.
CREATE TABLE coverage (
    meter    bigint NOT NULL,
    profile  bytea NOT NULL,
    day      bigint NOT NULL,
    period_s bigint NOT NULL,
    held     bytea NOT NULL,
    absent   bytea NOT NULL,
    PRIMARY KEY (meter, profile, day, period_s)
) PARTITION BY RANGE (day);
CREATE TABLE changes (
    sequence bigint PRIMARY KEY,
    meter    bigint NOT NULL,
    profile  bytea NOT NULL,
    first_ms bigint NOT NULL,
    last_ms  bigint NOT NULL
);

-- Chunks of firmware images, and of uploads that have not become one yet.
CREATE TABLE firmware_chunks (
    upload bytea NOT NULL,
    number bigint NOT NULL,
    octets bytea NOT NULL,
    PRIMARY KEY (upload, number)
);
CREATE TABLE firmware_images (
    id             bytea PRIMARY KEY,
    upload         bytea NOT NULL UNIQUE,
    digest         bytea NOT NULL,
    size           bigint NOT NULL,
    identification bytea NOT NULL,
    version        text NOT NULL,
    signature      bytea NOT NULL,
    description    text NOT NULL,
    creator        text NOT NULL,
    created_ms     bigint NOT NULL
);
-- Jobs whose tasks are let run in waves.
CREATE TABLE job_waves (
    job       bytea PRIMARY KEY REFERENCES jobs (id) ON DELETE CASCADE,
    revision  bigint NOT NULL,
    state     smallint NOT NULL,
    wave      bigint NOT NULL,
    target    bigint NOT NULL,
    tolerated bigint NOT NULL,
    next_ms   bigint,
    reason    text NOT NULL
);
