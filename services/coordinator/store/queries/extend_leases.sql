-- Rows that a settling transaction holds are passed over: their attempt is ending.
WITH held AS (
    SELECT node.run_id, node.node_key, beat.started_at
      FROM json_to_recordset($1) AS beat (
               run_id uuid, node_key text, node_type text, attempt int, started_at timestamptz
           )
     CROSS JOIN LATERAL (
               SELECT run_id, node_key
                 FROM runs.node_results
                WHERE run_id = beat.run_id AND node_key = beat.node_key
                  AND node_type = beat.node_type AND attempt = beat.attempt AND status = 'running'
                  FOR UPDATE SKIP LOCKED
           ) AS node
)
UPDATE runs.node_results AS node
   SET lease_until = clock_timestamp() + make_interval(secs => $2),
       started_at = held.started_at
  FROM held
 WHERE node.run_id = held.run_id AND node.node_key = held.node_key
