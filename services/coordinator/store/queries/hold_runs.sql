-- Locks runs that are known already. A subquery, since Postgres would plan anew for every array that it is given.
SELECT FROM runs.pipeline_runs
 WHERE id = ANY(ARRAY(SELECT unnest($1)))
 ORDER BY id
   FOR NO KEY UPDATE
