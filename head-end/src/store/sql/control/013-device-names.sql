-- Meters by the name that they say when they connect.
CREATE INDEX meters_by_device_name ON meters (json_extract(record, '$.settings.logical_device_name'))
    WHERE json_extract(record, '$.settings.logical_device_name') IS NOT NULL;
