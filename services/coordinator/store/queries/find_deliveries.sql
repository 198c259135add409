-- A subquery, since Postgres would plan anew for every array that it is given.
SELECT EXISTS (SELECT FROM runs.webhook_deliveries WHERE run_id = ANY(ARRAY(SELECT unnest($1)))) AS found
