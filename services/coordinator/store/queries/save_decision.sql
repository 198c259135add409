WITH moved AS (
    UPDATE runs.pipeline_runs AS run
       SET status = new.status,
           unfinished = new.unfinished,
           lanes = new.lanes,
           event_seq = new.event_seq,
           error = new.error,
           finished_at = CASE WHEN new.status IN ('completed', 'failed') THEN clock_timestamp() END,
           changed_at = clock_timestamp()
      FROM json_to_recordset($2) AS new (
               id uuid, leaves runs.run_status, status runs.run_status, unfinished int, lanes json, event_seq bigint, error json
           )
     -- Whatever changes a run raises its event_seq: what was decided for another state is refused.
     WHERE run.id = new.id AND run.status = new.leaves AND run.event_seq = new.event_seq - 1
    RETURNING 1
), changed AS (
    UPDATE runs.node_results AS node
       SET status = new.status,
           attempt = new.attempt,
           dispatch = coalesce(new.dispatch, node.dispatch),
           waiting_for = coalesce(new.waiting_for, node.waiting_for),
           live = coalesce(new.live, node.live),
           ready_at = NULL,
           retry_at = CASE
                          WHEN new.retry_delay_s IS NOT NULL
                          THEN clock_timestamp() + make_interval(secs => new.retry_delay_s)
                          WHEN new.status = 'pending' AND new.is_waiting_for_room IS NOT TRUE THEN node.retry_at
                      END,
           dispatched_at = CASE WHEN new.status = 'running' THEN clock_timestamp() ELSE node.dispatched_at END,
           lease_until = NULL,
           started_at = CASE WHEN new.status = 'running' THEN NULL ELSE coalesce(new.started_at, node.started_at) END,
           finished_at = CASE
                             WHEN new.status NOT IN ('pending', 'running')
                             THEN coalesce(new.finished_at, clock_timestamp())
                         END,
           output = new.output,
           error = CASE WHEN new.status = 'failed' THEN new.error END,
           -- Of the last attempt: the next one has figures of its own.
           metadata = CASE WHEN new.outcome IS NULL THEN node.metadata ELSE new.metadata END,
           -- An attempt that the next one follows has a row of its own.
           outcome = CASE WHEN new.status <> 'pending' THEN new.outcome END,
           worker = CASE WHEN new.status <> 'pending' THEN new.worker END
      FROM json_to_recordset($1) AS new (
               run_id uuid, node_key text, leaves runs.node_status, status runs.node_status,
               attempt int, dispatch int, waiting_for int, live int,
               is_waiting_for_room boolean, retry_delay_s double precision,
               outcome runs.attempt_outcome, worker text,
               started_at timestamptz, finished_at timestamptz, output json, error json, metadata json
           )
     WHERE node.run_id = new.run_id AND node.node_key = new.node_key AND node.status = new.leaves
       -- After the runs, which everybody locks before their nodes.
       AND (SELECT count(*) FROM moved) = $4
    RETURNING 1
)
-- No row, unless one was in another state.
SELECT runs.refuse_other_count('runs', found, $4) FROM (SELECT count(*) FROM moved) AS counted (found) WHERE found <> $4
 UNION ALL
SELECT runs.refuse_other_count('node results', found, $3)
  FROM (SELECT count(*) FROM changed) AS counted (found)
 WHERE found <> $3
