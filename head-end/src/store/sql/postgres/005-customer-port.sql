-- Meters by what their telegrams print.
ALTER TABLE meters ADD COLUMN equipment text COLLATE "C";
CREATE INDEX meters_by_equipment ON meters (equipment) WHERE equipment IS NOT NULL;
