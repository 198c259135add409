-- Runs, their node results and attempts. The coordinator alone reads and writes here.

CREATE TYPE runs.run_status AS ENUM (
    'pending',      -- accepted and held: nothing is released until somebody starts it
    'running',      -- nodes are, or are about to be, with the executors
    'completed',    -- every node is settled; failures, if any, were handled
    'failed',       -- a node failed and nothing handled it
    'cancelled'     -- somebody asked for it
);

CREATE TYPE runs.node_status AS ENUM (
    'pending',      -- a parent is not done yet, there is no room in the window, or a retry is not due
    'running',      -- committed as ready: announced, or about to be
    'completed',
    'failed',
    'skipped',      -- no incoming edge was live, or its run ended before it could start
    'cancelled'     -- its run ended while it was running
);

CREATE TYPE runs.attempt_outcome AS ENUM (
    'completed',
    'failed',
    'timed_out',    -- its own timeout_s was over
    'worker_died',  -- its lease was over, or it was delivered too often
    'cancelled'     -- its run ended first
);

CREATE TYPE runs.delivery_status AS ENUM (
    'pending',      -- an attempt is due, is out with a worker, or comes later
    'delivered',    -- the other side answered 2xx
    'failed'        -- no attempts are left, or the other side answered 410
);

CREATE TABLE runs.versions (
    id            uuid PRIMARY KEY,
    pipeline_id   uuid NOT NULL,
    pipeline_slug text NOT NULL,
    number        int NOT NULL CHECK (number >= 1),
    compiled      json NOT NULL,
    copied_at     timestamptz NOT NULL DEFAULT now()
);

-- What a run's node results are made from, so that no graph travels to start a run.
CREATE TABLE runs.version_nodes (
    version_id  uuid NOT NULL REFERENCES runs.versions,
    node_index  int NOT NULL,
    node_key    text NOT NULL,
    node_type   text NOT NULL,
    waiting_for int NOT NULL CHECK (waiting_for >= 0),
    -- Its place among the nodes of its type that wait for nothing, from 1; null for all others.
    root_rank   int CHECK ((root_rank IS NULL) = (waiting_for > 0)),
    PRIMARY KEY (version_id, node_index)
);

CREATE TABLE runs.pipeline_runs (
    id              uuid PRIMARY KEY,
    pipeline_id     uuid,               -- null when the request named none that exists
    pipeline_slug   text NOT NULL,
    version_id      uuid REFERENCES runs.versions,
    status          runs.run_status NOT NULL,
    input           json NOT NULL,
    idempotency_key text,
    request_sha256  bytea NOT NULL,
    -- Nodes that are not in a final state; when the run failed or was cancelled, those it left undone.
    unfinished      int NOT NULL CHECK (unfinished >= 0),
    -- Node type -> [nodes out, nodes that wait for room]; written with every change of those nodes.
    lanes           json NOT NULL DEFAULT '{}',
    event_seq       bigint NOT NULL DEFAULT 1,
    error           json,
    traceparent     text,
    -- The run that this one is a retry of.
    retry_of        uuid,
    created_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    started_at      timestamptz,
    finished_at     timestamptz,
    -- The last change; a run that has been silent is looked at by the reconciler.
    changed_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT final_has_end CHECK ((finished_at IS NOT NULL) = (status IN ('completed', 'failed', 'cancelled'))),
    CONSTRAINT only_failed_has_error CHECK ((error IS NOT NULL) = (status = 'failed')),
    CONSTRAINT started_has_version CHECK (version_id IS NOT NULL OR status = 'failed')
) WITH (fillfactor = 60);

CREATE UNIQUE INDEX one_run_a_key ON runs.pipeline_runs (pipeline_id, idempotency_key)
    WHERE idempotency_key IS NOT NULL;
CREATE INDEX runs_by_time ON runs.pipeline_runs (created_at);
CREATE INDEX runs_of_pipeline ON runs.pipeline_runs (pipeline_id, id);
CREATE INDEX unended_runs ON runs.pipeline_runs (id) WHERE finished_at IS NULL;

-- Indexes here name no column that every node changes, so that its updates stay within their page (HOT).
CREATE TABLE runs.node_results (
    run_id        uuid NOT NULL REFERENCES runs.pipeline_runs,
    node_key      text NOT NULL,
    node_index    int NOT NULL,
    node_type     text NOT NULL,
    status        runs.node_status NOT NULL,
    -- 0 before the first try.
    attempt       int NOT NULL DEFAULT 0 CHECK (attempt >= 0),
    -- How often this attempt was sent.
    dispatch      int NOT NULL DEFAULT 0 CHECK (dispatch >= 0),
    waiting_for   int NOT NULL CHECK (waiting_for >= 0),
    live          int NOT NULL DEFAULT 0 CHECK (live >= 0),
    -- Set while it is ready and waits for room in its window.
    ready_at      timestamptz,
    -- Set while it waits for its next attempt.
    retry_at      timestamptz,
    dispatched_at timestamptz,
    -- Set once a worker has held it for a second.
    lease_until   timestamptz,
    started_at    timestamptz,
    finished_at   timestamptz,
    output        json,
    error         json,
    metadata      json,
    PRIMARY KEY (run_id, node_key),
    CONSTRAINT only_completed_has_output CHECK (output IS NULL OR status = 'completed'),
    CONSTRAINT only_failed_has_error CHECK (error IS NULL OR status = 'failed'),
    CONSTRAINT running_is_an_attempt CHECK (status <> 'running' OR (attempt >= 1 AND dispatch >= 1)),
    CONSTRAINT only_pending_waits CHECK (status = 'pending' OR (ready_at IS NULL AND retry_at IS NULL)),
    CONSTRAINT only_running_is_leased CHECK (status = 'running' OR lease_until IS NULL)
) WITH (fillfactor = 50);

CREATE INDEX ready_nodes ON runs.node_results (run_id, node_type, ready_at, node_index) WHERE ready_at IS NOT NULL;
CREATE INDEX due_retries ON runs.node_results (retry_at) WHERE retry_at IS NOT NULL;
CREATE INDEX leases ON runs.node_results (lease_until) WHERE lease_until IS NOT NULL;

-- Insert-only: a try is recorded once, when it ends.
CREATE TABLE runs.attempts (
    run_id      uuid NOT NULL,
    node_key    text NOT NULL,
    attempt     int NOT NULL CHECK (attempt >= 1),
    outcome     runs.attempt_outcome NOT NULL,
    worker      text,
    error       json,
    metadata    json,
    started_at  timestamptz,
    finished_at timestamptz NOT NULL,
    PRIMARY KEY (run_id, node_key, attempt)
);

-- What operators did, with their reasons; insert-only.
CREATE TABLE runs.audit (
    id      bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    run_id  uuid NOT NULL REFERENCES runs.pipeline_runs,
    action  text NOT NULL CHECK (action IN ('start', 'complete', 'fail', 'cancel', 'retry')),
    actor   text,
    reason  text,
    at      timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE INDEX audit_of_run ON runs.audit (run_id, id);

-- Outputs over 256 KiB.
CREATE TABLE runs.payloads (
    run_id   uuid NOT NULL,
    node_key text NOT NULL,
    body     json NOT NULL,
    PRIMARY KEY (run_id, node_key)
);

-- Ends a transaction that did not find the rows in the states that its locks promised.
CREATE FUNCTION runs.refuse_other_count(what text, counted bigint, expected bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF counted <> expected THEN
        RAISE EXCEPTION '% of % % were in the state expected', counted, expected, what
            USING ERRCODE = 'serialization_failure';
    END IF;
END $$;

CREATE FUNCTION runs.refuse_change_of_final() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'a % that is % never changes', TG_ARGV[0], OLD.status USING ERRCODE = 'restrict_violation';
END $$;

CREATE TRIGGER final_runs_never_change BEFORE UPDATE ON runs.pipeline_runs FOR EACH ROW
    WHEN (OLD.status IN ('completed', 'failed', 'cancelled') AND NEW.status IS DISTINCT FROM OLD.status)
    EXECUTE FUNCTION runs.refuse_change_of_final('run');

CREATE TRIGGER final_nodes_never_change BEFORE UPDATE ON runs.node_results FOR EACH ROW
    WHEN (OLD.status IN ('completed', 'failed', 'skipped', 'cancelled') AND NEW.status IS DISTINCT FROM OLD.status)
    EXECUTE FUNCTION runs.refuse_change_of_final('node result');

-- Who is told of ends: of every run of a pipeline, or of one run.
CREATE TABLE runs.webhooks (
    id          uuid PRIMARY KEY,
    pipeline_id uuid,
    run_id      uuid REFERENCES runs.pipeline_runs ON DELETE CASCADE,
    url         text NOT NULL,
    -- What deliveries are signed with; told once, when the webhook is made.
    secret      bytea NOT NULL CHECK (octet_length(secret) BETWEEN 24 AND 64),
    created_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- The other side answered 410: further ends are not told.
    disabled_at timestamptz,
    CONSTRAINT of_pipeline_or_of_run CHECK (num_nonnulls(pipeline_id, run_id) = 1)
);

CREATE INDEX webhooks_of_pipeline ON runs.webhooks (pipeline_id) WHERE pipeline_id IS NOT NULL;
CREATE INDEX webhooks_of_run ON runs.webhooks (run_id) WHERE run_id IS NOT NULL;

-- A UUIDv7: milliseconds since 1970, then random bits; sorts by time.
CREATE FUNCTION runs.new_id() RETURNS uuid LANGUAGE sql VOLATILE AS $$
    SELECT encode(
        set_bit(set_bit(
            overlay(
                uuid_send(gen_random_uuid())
                PLACING substring(int8send(floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint) FROM 3)
                FROM 1 FOR 6
            ), 52, 1
        ), 53, 1),
        'hex'
    )::uuid
$$;

CREATE TABLE runs.webhook_deliveries (
    -- The `webhook-id` of every attempt.
    id              uuid PRIMARY KEY DEFAULT runs.new_id(),
    webhook_id      uuid NOT NULL REFERENCES runs.webhooks ON DELETE CASCADE,
    run_id          uuid NOT NULL REFERENCES runs.pipeline_runs ON DELETE CASCADE,
    status          runs.delivery_status NOT NULL DEFAULT 'pending',
    -- Attempts begun; `(id, attempt)` names a piece of work for ever.
    attempt         int NOT NULL DEFAULT 0 CHECK (attempt >= 0),
    -- Attempts that failed since it was made, or since somebody let it be sent again.
    failures        int NOT NULL DEFAULT 0 CHECK (failures >= 0),
    -- When the next attempt is due; of one that is out, when it is looked for.
    next_attempt_at timestamptz DEFAULT clock_timestamp(),
    -- Set while an attempt is out with a worker.
    sent_at         timestamptz,
    last_status     int,
    last_error      text,
    created_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    finished_at     timestamptz,
    CONSTRAINT one_delivery_a_run UNIQUE (webhook_id, run_id),
    CONSTRAINT only_pending_goes_on CHECK ((next_attempt_at IS NOT NULL) = (status = 'pending')),
    CONSTRAINT only_pending_is_out CHECK (sent_at IS NULL OR status = 'pending'),
    CONSTRAINT final_has_end CHECK ((finished_at IS NOT NULL) = (status <> 'pending'))
);

CREATE INDEX due_deliveries ON runs.webhook_deliveries (next_attempt_at) WHERE next_attempt_at IS NOT NULL;
CREATE INDEX deliveries_of_webhook ON runs.webhook_deliveries (webhook_id, id);
CREATE INDEX deliveries_of_run ON runs.webhook_deliveries (run_id);

-- In the transaction that ends the run, so that no end is lost and none is told twice.
CREATE FUNCTION runs.deliver_end() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO runs.webhook_deliveries (webhook_id, run_id)
    SELECT id, NEW.id FROM runs.webhooks WHERE pipeline_id = NEW.pipeline_id AND disabled_at IS NULL
     UNION ALL
    SELECT id, NEW.id FROM runs.webhooks WHERE run_id = NEW.id AND disabled_at IS NULL
        ON CONFLICT DO NOTHING;
    RETURN NULL;
END $$;

CREATE TRIGGER ends_are_delivered AFTER UPDATE ON runs.pipeline_runs FOR EACH ROW
    WHEN (OLD.finished_at IS NULL AND NEW.finished_at IS NOT NULL)
    EXECUTE FUNCTION runs.deliver_end();

CREATE TRIGGER ends_at_once_are_delivered AFTER INSERT ON runs.pipeline_runs FOR EACH ROW
    WHEN (NEW.finished_at IS NOT NULL)
    EXECUTE FUNCTION runs.deliver_end();
