SELECT node.run_id::text AS run_id, node.node_key, node.status::text AS status, coalesce(node.output, payload.body) AS output,
       node.error
  FROM json_to_recordset($1) AS wanted (run_id uuid, node_key text)
  JOIN runs.node_results AS node ON node.run_id = wanted.run_id AND node.node_key = wanted.node_key
  LEFT JOIN runs.payloads AS payload
       ON payload.run_id = node.run_id AND payload.node_key = node.node_key
      AND node.status = 'completed' AND node.output IS NULL
