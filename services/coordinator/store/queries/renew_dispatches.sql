-- Announced again now: who looks for lost work would look for older messages, and find none. What a worker holds has no
-- message to look for.
UPDATE runs.node_results AS node
   SET dispatched_at = clock_timestamp()
  FROM json_to_recordset($1) AS repeated (run_id uuid, node_key text, dispatch int)
 WHERE node.run_id = repeated.run_id AND node.node_key = repeated.node_key AND node.dispatch = repeated.dispatch
   AND node.status = 'running' AND node.lease_until IS NULL
