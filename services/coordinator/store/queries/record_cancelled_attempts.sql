INSERT INTO runs.attempts (run_id, node_key, attempt, outcome, metadata, started_at, finished_at)
SELECT run_id, node_key, attempt, 'cancelled', metadata, started_at, clock_timestamp()
  FROM runs.node_results
 WHERE run_id = ANY($1) AND status = 'running'
