-- Groups: selections of meters that have a name.
CREATE TABLE meter_groups (
    name   text COLLATE "C" PRIMARY KEY,
    tenant text COLLATE "C",
    record text NOT NULL
);

-- Keys that were made for a meter and are not proved to be in it; sealed and bound like those in use.
CREATE TABLE new_keys (
    meter     text COLLATE "C" NOT NULL REFERENCES meters (name) ON DELETE CASCADE,
    role      text COLLATE "C" NOT NULL,
    sealed    bytea NOT NULL,
    rotation  text COLLATE "C" NOT NULL,
    made_ms   bigint NOT NULL,
    confirmed boolean NOT NULL,
    PRIMARY KEY (meter, role)
);

-- Since when a secret is in use; 0 where that is not known.
ALTER TABLE meter_secrets ADD COLUMN since_ms bigint NOT NULL DEFAULT 0;
