SELECT id::text AS id FROM runs.pipeline_runs WHERE id = ANY(%s::uuid[]) AND status = 'running' ORDER BY id FOR NO KEY UPDATE SKIP LOCKED
