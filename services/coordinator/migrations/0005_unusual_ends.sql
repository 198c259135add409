-- Runs that failed or were cancelled are asked for most, and are few: without this they were looked for in all runs.
CREATE INDEX unusual_ends ON runs.pipeline_runs (status, id) WHERE status IN ('failed', 'cancelled');
