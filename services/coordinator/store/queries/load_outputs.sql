-- Outputs past so many bytes together are left out: whoever needs them reads them by themselves.
SELECT found.run_id::text AS run_id, found.node_key, found.status::text AS status, found.error, found.size,
       found.size IS NOT NULL AND found.up_to > $2 AS is_left_out,
       CASE WHEN found.up_to <= $2 THEN found.output END AS output
  FROM (SELECT node.run_id, node.node_key, node.status, node.error, coalesce(node.output, payload.body) AS output,
               octet_length(coalesce(node.output, payload.body)::text) AS size,
               sum(octet_length(coalesce(node.output, payload.body)::text)) OVER (ORDER BY node.run_id, node.node_key)
                   AS up_to
          FROM json_to_recordset($1) AS wanted (run_id uuid, node_key text)
          JOIN runs.node_results AS node ON node.run_id = wanted.run_id AND node.node_key = wanted.node_key
          LEFT JOIN runs.payloads AS payload
               ON payload.run_id = node.run_id AND payload.node_key = node.node_key
              AND node.status = 'completed' AND node.output IS NULL) AS found
