-- Templates of configurations. A revision never changes; the tenant is empty for those who have none.
CREATE TABLE templates (
    tenant     TEXT NOT NULL,
    name       TEXT NOT NULL,
    revision   INTEGER NOT NULL,
    contents   BLOB NOT NULL,
    creator    TEXT NOT NULL,
    created_ms INTEGER NOT NULL,
    PRIMARY KEY (tenant, name, revision)
) STRICT, WITHOUT ROWID;
