-- How far whoever passes readings and events on has come.
CREATE TABLE cursors (
    name     text COLLATE "C" PRIMARY KEY,
    -- The last change or event that was passed on and acknowledged.
    position bigint NOT NULL
);
