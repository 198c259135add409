-- Runs with nodes that wait for room in a lane that has some.
SELECT run.id::text AS run_id, lane.key AS node_type, room.size - (lane.value->>0)::int AS most
  FROM runs.pipeline_runs AS run
 CROSS JOIN LATERAL json_each(run.lanes) AS lane
  JOIN json_to_recordset(%s::json) AS room (node_type text, size int) ON room.node_type = lane.key
 WHERE run.finished_at IS NULL AND run.status = 'running'
   AND (lane.value->>1)::int > 0 AND (lane.value->>0)::int < room.size
 LIMIT 200
