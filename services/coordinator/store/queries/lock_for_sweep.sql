SELECT id FROM runs.pipeline_runs WHERE id = ANY(%s) AND status = 'running' ORDER BY id FOR NO KEY UPDATE SKIP LOCKED
