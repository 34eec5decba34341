-- How far whoever passes readings and events on has come.
CREATE TABLE cursors (
    name     TEXT PRIMARY KEY,
    -- The last change or event that was passed on and acknowledged.
    position INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
