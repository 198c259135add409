SELECT node_key, attempt, outcome::text AS outcome, worker, error, metadata, started_at, finished_at
  FROM runs.all_attempts
 WHERE run_id = $1 AND ($2 IS NULL OR node_key = ANY($2))
 ORDER BY node_key, attempt
