UPDATE runs.node_results
   SET status = CASE status WHEN 'running' THEN 'cancelled' ELSE 'skipped' END::runs.node_status,
       outcome = CASE status WHEN 'running' THEN 'cancelled' END::runs.attempt_outcome,
       ready_at = NULL, retry_at = NULL, lease_until = NULL, finished_at = clock_timestamp()
 WHERE run_id = ANY($1) AND status IN ('pending', 'running')
