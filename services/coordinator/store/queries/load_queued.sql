SELECT node.run_id, node.node_key, node.node_type, node.status::text AS status, node.attempt, node.dispatch,
       node.waiting_for, node.live, TRUE AS is_waiting_for_room, FALSE AS is_waiting_for_retry
  FROM json_to_recordset(%s::json) AS lane (run_id uuid, node_type text, most int)
 CROSS JOIN LATERAL (
           SELECT *
             FROM runs.node_results AS waiting
            WHERE waiting.run_id = lane.run_id AND waiting.node_type = lane.node_type
              AND waiting.ready_at IS NOT NULL
            ORDER BY waiting.ready_at, waiting.node_index
            LIMIT lane.most
       ) AS node
