-- What else is being done with a meter.
CREATE INDEX tasks_open ON tasks (meter) WHERE state <> 2;
