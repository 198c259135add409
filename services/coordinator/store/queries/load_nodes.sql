SELECT coalesce(json_agg(json_build_array(
           node.run_id, node.node_key, node.node_type, node.status, node.attempt, node.dispatch,
           node.waiting_for, node.live, FALSE, node.retry_at IS NOT NULL
       )), '[]') AS found
  FROM json_to_recordset($1) AS wanted (run_id uuid, node_key text)
  JOIN runs.node_results AS node ON node.run_id = wanted.run_id AND node.node_key = wanted.node_key
