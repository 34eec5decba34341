-- Templates of configurations. A revision never changes; the tenant is empty for those who have none.
CREATE TABLE templates (
    tenant     text COLLATE "C" NOT NULL,
    name       text COLLATE "C" NOT NULL,
    revision   bigint NOT NULL,
    contents   bytea NOT NULL,
    creator    text NOT NULL,
    created_ms bigint NOT NULL,
    PRIMARY KEY (tenant, name, revision)
);
