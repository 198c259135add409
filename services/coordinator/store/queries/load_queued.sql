-- Each step has a limit, so that none reads more of a queue or of a run than what is wanted.
SELECT coalesce(json_agg(json_build_array(
           node.run_id, node.node_key, node.node_type, node.status, node.attempt, node.dispatch, 0, node.live, TRUE, FALSE
       ) ORDER BY queued.place), '[]') AS found
  FROM json_to_recordset($1) AS lane (run_id uuid, node_type text, most int)
 CROSS JOIN LATERAL (
           SELECT last.place + cardinality(last.node_keys) - (run.lanes->lane.node_type->>1)::int AS place
             FROM runs.pipeline_runs AS run
             JOIN runs.queues AS last ON last.run_id = run.id AND last.node_type = lane.node_type
            WHERE run.id = lane.run_id
            ORDER BY last.place DESC
            LIMIT 1
       ) AS front
 CROSS JOIN LATERAL (
           SELECT key.node_key, part.place + key.number - 1 AS place
             FROM runs.queues AS part
            CROSS JOIN LATERAL unnest(part.node_keys) WITH ORDINALITY AS key (node_key, number)
            WHERE part.run_id = lane.run_id AND part.node_type = lane.node_type
              -- No part has more than 500 nodes.
              AND part.place > front.place - 500 AND part.place < front.place + lane.most
              AND part.place + key.number - 1 >= front.place
            ORDER BY part.place, key.number
            LIMIT lane.most
       ) AS queued
 CROSS JOIN LATERAL (
           SELECT *
             FROM runs.node_results AS pending
            WHERE pending.run_id = lane.run_id AND pending.node_key = queued.node_key AND pending.status = 'pending'
            LIMIT 1
       ) AS node
