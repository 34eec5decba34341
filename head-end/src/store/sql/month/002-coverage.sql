-- What was noticed about a capture when it came in: 1 missing, 2 duplicate, 4 status, 8 clock shift, 16 clock doubtful,
-- 32 non-monotonic, 64 overflow.
ALTER TABLE captures ADD COLUMN flags INTEGER NOT NULL DEFAULT 0;

-- Which captures of a day are held: a bit for each regular moment, written with the captures themselves.
CREATE TABLE coverage (
    meter    INTEGER NOT NULL,
    profile  BLOB    NOT NULL CHECK (length(profile) = 6),
    -- Days since 1970: UTC for periods under a day, else the meter's local date.
    day      INTEGER NOT NULL,
    period_s INTEGER NOT NULL CHECK (period_s > 0),
    -- Bit n of octet n / 8, from the lowest, is the n-th regular moment of the day. Shorter ones end with zeros.
    held     BLOB    NOT NULL,
    -- Moments that the meter was asked for and does not have.
    absent   BLOB    NOT NULL,
    PRIMARY KEY (meter, profile, day, period_s)
) STRICT, WITHOUT ROWID;
