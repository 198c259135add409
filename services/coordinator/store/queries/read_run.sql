SELECT id, pipeline_id, pipeline_slug, version_id, status::text AS status, input, unfinished, event_seq, error,
       created_at, started_at, finished_at, retry_of
  FROM runs.pipeline_runs WHERE id = $1
