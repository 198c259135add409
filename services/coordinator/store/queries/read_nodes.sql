-- All nodes of a run, or those named, in the order of the document.
SELECT node.node_key, node.node_type, node.status::text AS status, node.attempt, node.error, node.metadata,
       node.started_at, node.finished_at, coalesce(node.output, payload.body) AS output
  FROM runs.node_results AS node
  LEFT JOIN runs.payloads AS payload
       ON payload.run_id = node.run_id AND payload.node_key = node.node_key
      AND node.output IS NULL AND node.status = 'completed'
 WHERE node.run_id = $1 AND ($2 IS NULL OR node.node_key = ANY($2))
 ORDER BY node.node_index
