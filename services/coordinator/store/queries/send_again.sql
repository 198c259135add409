-- Another coordinator may have sent or announced it meanwhile, or a worker may have said that it holds it.
WITH again AS (
    UPDATE runs.node_results AS node
       SET dispatch = node.dispatch + 1, dispatched_at = clock_timestamp()
      FROM json_to_recordset(%s::json) AS lost (
               run_id uuid, node_key text, dispatch int, dispatched_at timestamptz, leaves runs.node_status
           )
     WHERE node.run_id = lost.run_id AND node.node_key = lost.node_key AND node.status = lost.leaves
       AND node.dispatch = lost.dispatch AND node.dispatched_at = lost.dispatched_at AND node.lease_until IS NULL
    RETURNING node.*
)
SELECT coalesce(json_agg(json_build_array(
           run_id, node_key, node_type, status, attempt, dispatch, waiting_for, live, FALSE, FALSE
       )), '[]') AS found
  FROM again
