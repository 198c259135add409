SELECT coalesce(json_agg(json_build_array(
           node.run_id, node.node_key, node.node_type, node.status, node.attempt, node.dispatch,
           node.waiting_for, node.live, TRUE, FALSE
       ) ORDER BY node.ready_at, node.node_index), '[]') AS found
  FROM json_to_recordset($1) AS lane (run_id uuid, node_type text, most int)
 CROSS JOIN LATERAL (
           SELECT *
             FROM runs.node_results AS waiting
            WHERE waiting.run_id = lane.run_id AND waiting.node_type = lane.node_type
              AND waiting.ready_at IS NOT NULL
            ORDER BY waiting.ready_at, waiting.node_index
            LIMIT lane.most
       ) AS node
