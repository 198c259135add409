-- Materialized, so that node results are read of those runs only that have nodes of such a type out.
WITH suspect AS MATERIALIZED (
    SELECT run.id, gone.node_type, gone.before
      FROM runs.pipeline_runs AS run
      JOIN json_to_recordset(%s::json) AS gone (node_type text, before timestamptz)
           ON (run.lanes->gone.node_type->>0)::int > 0
     WHERE run.finished_at IS NULL AND run.started_at < gone.before
)
SELECT node.run_id::text AS run_id, node.node_key, node.node_type, node.attempt, node.dispatch, node.dispatched_at
  FROM suspect
  JOIN runs.node_results AS node ON node.run_id = suspect.id AND node.node_type = suspect.node_type
 WHERE node.status = 'running' AND node.lease_until IS NULL AND node.dispatched_at < suspect.before
 LIMIT 1000
