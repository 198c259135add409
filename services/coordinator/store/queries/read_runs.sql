SELECT id, pipeline_id, pipeline_slug, version_id, status::text AS status, input, unfinished, event_seq, error,
       created_at, started_at, finished_at, retry_of,
       (SELECT number FROM runs.versions WHERE versions.id = version_id) AS version,
       -- Nodes are numbered from 0; counting them would read as many rows.
       (SELECT max(node_index) + 1
          FROM runs.version_nodes
         WHERE version_nodes.version_id = pipeline_runs.version_id) AS node_count
  FROM runs.pipeline_runs
 -- A subquery, since Postgres would plan anew for every array that it is given.
 WHERE id = ANY(ARRAY(SELECT unnest($1)))
