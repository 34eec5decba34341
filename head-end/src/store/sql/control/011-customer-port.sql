-- Meters by what their telegrams print.
CREATE INDEX meters_by_equipment ON meters (json_extract(record, '$.settings.customer_port.equipment_id'))
    WHERE json_extract(record, '$.settings.customer_port.equipment_id') IS NOT NULL;
