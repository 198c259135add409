SELECT node.run_id, node.node_key, node.node_type, node.status::text AS status, node.attempt, node.dispatch,
       node.waiting_for, node.live, node.ready_at IS NOT NULL AS is_waiting_for_room,
       node.retry_at IS NOT NULL AS is_waiting_for_retry
  FROM json_to_recordset(%s::json) AS wanted (run_id uuid, node_key text)
  JOIN runs.node_results AS node ON node.run_id = wanted.run_id AND node.node_key = wanted.node_key
