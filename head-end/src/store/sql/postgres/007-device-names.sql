-- Meters by the name that they say when they connect.
ALTER TABLE meters ADD COLUMN device_name text COLLATE "C";
UPDATE meters SET device_name = record::json -> 'settings' ->> 'logical_device_name';
CREATE INDEX meters_by_device_name ON meters (device_name) WHERE device_name IS NOT NULL;
