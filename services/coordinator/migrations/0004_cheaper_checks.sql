-- What is checked a row must be cheap: a node costs Postgres two of its rows' updates, and a run's start an insert each.

-- Every foreign key locks the row that it points at, once a row that is inserted. A run's node results are inserted in
-- the statement that inserts the run, and go in the transaction in which it goes. Nobody may delete a version; that it
-- is there, the statement that starts runs sees for itself.
ALTER TABLE runs.node_results DROP CONSTRAINT node_results_run_id_fkey;
ALTER TABLE runs.pipeline_runs DROP CONSTRAINT pipeline_runs_version_id_fkey;

-- Before an update, each row is locked to ask whether its trigger is wanted; after it, nothing is.
DROP TRIGGER final_runs_never_change ON runs.pipeline_runs;
CREATE TRIGGER final_runs_never_change AFTER UPDATE ON runs.pipeline_runs FOR EACH ROW
    WHEN (OLD.status IN ('completed', 'failed', 'cancelled') AND NEW.status IS DISTINCT FROM OLD.status)
    EXECUTE FUNCTION runs.refuse_change_of_final('run');

DROP TRIGGER final_nodes_never_change ON runs.node_results;
CREATE TRIGGER final_nodes_never_change AFTER UPDATE ON runs.node_results FOR EACH ROW
    WHEN (OLD.status IN ('completed', 'failed', 'skipped', 'cancelled') AND NEW.status IS DISTINCT FROM OLD.status)
    EXECUTE FUNCTION runs.refuse_change_of_final('node result');
