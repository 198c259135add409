INSERT INTO runs.payloads (run_id, node_key, body)
SELECT run_id, node_key, body::json
  FROM json_to_recordset($1) AS new (run_id uuid, node_key text, body text)
