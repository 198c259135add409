-- Runs that ended long ago are deleted whole, by functions: nobody needs the right to delete single rows.

-- A run that still has a delivery to make is kept. The oldest are found by when they began, which is before they ended.
CREATE FUNCTION runs.expired_runs(before timestamptz)
RETURNS TABLE (id uuid, version_id uuid, created_at timestamptz) LANGUAGE sql STABLE AS $$
    SELECT run.id, run.version_id, run.created_at
      FROM runs.pipeline_runs AS run
     WHERE run.created_at < before AND run.finished_at < before
       AND NOT EXISTS (
           SELECT FROM runs.webhook_deliveries AS delivery
            WHERE delivery.run_id = run.id AND delivery.status = 'pending'
       )
$$;

-- The oldest runs of one batch: so many at most, and so many nodes, but always one run.
CREATE FUNCTION runs.expired_batch(before timestamptz, most_runs int, most_nodes bigint)
RETURNS uuid[] LANGUAGE sql STABLE AS $$
    WITH old AS (
        SELECT run.id, run.created_at, coalesce(last.node_index, 0) + 1 AS nodes
          FROM (SELECT * FROM runs.expired_runs(before) ORDER BY created_at LIMIT most_runs) AS run
          LEFT JOIN LATERAL (
              SELECT node_index FROM runs.version_nodes AS node
               WHERE node.version_id = run.version_id ORDER BY node_index DESC LIMIT 1
          ) AS last ON true
    ),
    counted AS (
        SELECT id, row_number() OVER oldest AS place, sum(nodes) OVER oldest AS total
          FROM old WINDOW oldest AS (ORDER BY created_at, id)
    )
    SELECT coalesce(array_agg(id), '{}') FROM counted WHERE place = 1 OR total <= most_nodes
$$;

-- Deletes one batch with all that belongs to it; returns rows by table, or null while another transaction is at it.
-- It runs with the rights of the tables' owner, so that who may call it can delete whole runs that ended more than a
-- day ago, and nothing else. A day is how long the streams speak of a run that ended.
CREATE FUNCTION runs.delete_expired(keep interval, most_runs int, most_nodes bigint)
RETURNS jsonb LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    old uuid[];
    found bigint;
    deleted jsonb;
    name text;
BEGIN
    IF keep IS NULL OR keep < interval '1 day' THEN
        RAISE EXCEPTION 'runs are kept for at least a day after they ended' USING ERRCODE = 'restrict_violation';
    END IF;
    -- Any number, the same for all.
    IF NOT pg_try_advisory_xact_lock(7420190612) THEN
        RETURN NULL;
    END IF;
    old := runs.expired_batch(clock_timestamp() - keep, most_runs, most_nodes);
    deleted := jsonb_build_object('pipeline_runs', cardinality(old));
    FOREACH name IN ARRAY ARRAY['webhook_deliveries', 'webhooks', 'audit', 'payloads', 'attempts', 'node_results'] LOOP
        EXECUTE format('DELETE FROM runs.%I WHERE run_id = ANY($1)', name) USING old;
        GET DIAGNOSTICS found = ROW_COUNT;
        deleted := deleted || jsonb_build_object(name, found);
    END LOOP;
    DELETE FROM runs.pipeline_runs WHERE id = ANY(old);
    RETURN deleted;
END $$;

REVOKE ALL ON FUNCTION runs.delete_expired FROM PUBLIC;
