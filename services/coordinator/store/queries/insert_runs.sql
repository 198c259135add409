WITH clock AS MATERIALIZED (
    -- One moment for all: no run may seem to have begun before it was made.
    SELECT clock_timestamp() AS at
), started AS (
    INSERT INTO runs.pipeline_runs
           (id, pipeline_id, pipeline_slug, version_id, status, input, idempotency_key, request_sha256,
            unfinished, lanes, error, traceparent, created_at, started_at, finished_at)
    -- A version that is not there is null here, which no run may have that has begun.
    SELECT new.id, new.pipeline_id, new.pipeline_slug, version.id, status, input, idempotency_key,
           decode(request_sha256, 'hex'), unfinished, lanes, error, traceparent,
           clock.at,
           CASE WHEN status NOT IN ('failed', 'pending') THEN clock.at END,
           CASE WHEN status IN ('completed', 'failed') THEN clock.at END
      FROM json_to_recordset($1) AS new (
               id uuid, pipeline_id uuid, pipeline_slug text, version_id uuid, status runs.run_status,
               input json, idempotency_key text, request_sha256 text, unfinished int, lanes json,
               error json, traceparent text
           )
     CROSS JOIN clock
      LEFT JOIN runs.versions AS version ON version.id = new.version_id
    ON CONFLICT DO NOTHING
    RETURNING id, version_id, status, started_at
), made AS (
    INSERT INTO runs.node_results
           (run_id, node_key, node_index, node_type, status, attempt, dispatch, waiting_for,
            dispatched_at)
    SELECT started.id, node.node_key, node.node_index, node.node_type,
           (CASE WHEN place.is_out THEN 'running' ELSE 'pending' END)::runs.node_status,
           CASE WHEN place.is_out THEN 1 ELSE 0 END,
           CASE WHEN place.is_out THEN 1 ELSE 0 END,
           node.waiting_for,
           CASE WHEN place.is_out THEN clock.at END
      FROM started
     CROSS JOIN clock
      JOIN runs.version_nodes AS node ON node.version_id = started.version_id
      JOIN json_to_recordset($2) AS room (node_type text, size int)
           ON room.node_type = node.node_type
      -- Null for all that waits for something, and for every node of a run that is held.
     CROSS JOIN LATERAL (
           SELECT node.root_rank <= room.size AS is_out WHERE started.status = 'running'
            UNION ALL
           SELECT NULL WHERE started.status <> 'running'
     ) AS place
)
SELECT id::text AS id, started_at FROM started
