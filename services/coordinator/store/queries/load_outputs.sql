-- Outputs past so many bytes together are left out: whoever needs them reads them by themselves.
WITH found AS (
    SELECT node.run_id, node.node_key, node.status, node.error, coalesce(node.output, payload.body) AS output
      FROM json_to_recordset($1) AS wanted (run_id uuid, node_key text)
      JOIN runs.node_results AS node ON node.run_id = wanted.run_id AND node.node_key = wanted.node_key
      LEFT JOIN runs.payloads AS payload
           ON payload.run_id = node.run_id AND payload.node_key = node.node_key
          AND node.status = 'completed' AND node.output IS NULL
), sized AS (
    SELECT *, octet_length(output::text) AS size FROM found
), summed AS (
    SELECT *, sum(size) OVER (ORDER BY run_id, node_key) AS up_to FROM sized
)
SELECT run_id::text AS run_id, node_key, status::text AS status, error, size,
       size IS NOT NULL AND up_to > $2 AS is_left_out,
       CASE WHEN up_to <= $2 THEN output END AS output
  FROM summed
