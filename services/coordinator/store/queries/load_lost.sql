SELECT node.run_id::text AS run_id, node.node_key, node.node_type, node.dispatch
  FROM runs.pipeline_runs AS run
  JOIN runs.node_results AS node ON node.run_id = run.id
  JOIN json_to_recordset(%s::json) AS gone (node_type text, before timestamptz)
       ON gone.node_type = node.node_type
 WHERE run.finished_at IS NULL AND run.started_at < gone.before
   AND node.status = 'running' AND node.lease_until IS NULL AND node.dispatched_at < gone.before
 LIMIT 1000
