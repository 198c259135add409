INSERT INTO runs.attempts
       (run_id, node_key, attempt, outcome, worker, error, metadata, started_at, finished_at)
SELECT run_id, node_key, attempt, outcome, worker, error, metadata, started_at, coalesce(finished_at, clock_timestamp())
  FROM json_to_recordset($1) AS tried (
           run_id uuid, node_key text, attempt int, outcome runs.attempt_outcome, worker text, error json, metadata json,
           started_at timestamptz, finished_at timestamptz
       )
