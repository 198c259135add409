WITH locked AS (
    SELECT id, status, unfinished, event_seq, lanes
      FROM runs.pipeline_runs
     -- A subquery, since Postgres would plan anew for every array that it is given.
     WHERE id = ANY(ARRAY(SELECT unnest($1)))
     ORDER BY id
       FOR NO KEY UPDATE
)
SELECT coalesce(json_agg(json_build_array(id, status, unfinished, event_seq, lanes)), '[]') AS found FROM locked
