-- Behind all that are in their queues already; the runs are locked.
INSERT INTO runs.queues (run_id, node_type, place, node_keys)
SELECT new.run_id, new.node_type, coalesce(last.place + cardinality(last.node_keys), 0) + new.place, new.node_keys
  FROM json_to_recordset($1) AS new (run_id uuid, node_type text, place int, node_keys text[])
  LEFT JOIN LATERAL (
           SELECT place, node_keys
             FROM runs.queues AS part
            WHERE part.run_id = new.run_id AND part.node_type = new.node_type
            ORDER BY place DESC
            LIMIT 1
       ) AS last ON true
