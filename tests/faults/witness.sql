-- Beside the tables that are watched, and nobody's to write but the triggers': every change of a state, in order.
CREATE SCHEMA witness;

CREATE TABLE witness.changes (
    id       bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    at       timestamptz NOT NULL DEFAULT clock_timestamp(),
    run_id   uuid NOT NULL,
    node_key text,               -- null for the run itself
    leaves   text,               -- null when it was made
    status   text NOT NULL,
    attempt  int,
    dispatch int
);

CREATE INDEX changes_of_run ON witness.changes (run_id, id);

CREATE FUNCTION witness.note_node() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO witness.changes (run_id, node_key, leaves, status, attempt, dispatch)
    VALUES (NEW.run_id, NEW.node_key, OLD.status, NEW.status, NEW.attempt, NEW.dispatch);
    RETURN NULL;
END $$;

CREATE TRIGGER witness AFTER UPDATE ON runs.node_results FOR EACH ROW
    WHEN (OLD.status IS DISTINCT FROM NEW.status OR OLD.attempt <> NEW.attempt OR OLD.dispatch <> NEW.dispatch)
    EXECUTE FUNCTION witness.note_node();

CREATE FUNCTION witness.note_run() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO witness.changes (run_id, leaves, status)
    VALUES (NEW.id, CASE WHEN TG_OP = 'UPDATE' THEN OLD.status END, NEW.status);
    RETURN NULL;
END $$;

CREATE TRIGGER witness AFTER UPDATE ON runs.pipeline_runs FOR EACH ROW
    WHEN (OLD.status IS DISTINCT FROM NEW.status)
    EXECUTE FUNCTION witness.note_run();

CREATE TRIGGER witness_new AFTER INSERT ON runs.pipeline_runs FOR EACH ROW
    EXECUTE FUNCTION witness.note_run();
