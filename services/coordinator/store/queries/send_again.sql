UPDATE runs.node_results AS node
   SET dispatch = node.dispatch + 1, dispatched_at = clock_timestamp(), lease_until = NULL
  FROM json_to_recordset(%s::json) AS lost (run_id uuid, node_key text)
 WHERE node.run_id = lost.run_id AND node.node_key = lost.node_key AND node.status = 'running'
RETURNING node.run_id, node.node_key, node.node_type, node.status::text AS status, node.attempt, node.dispatch,
          node.waiting_for, node.live, FALSE AS is_waiting_for_room, FALSE AS is_waiting_for_retry
