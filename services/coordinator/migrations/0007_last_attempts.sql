-- The last attempt of a node stands in its node result, which holds all of it but these two. `runs.attempts` keeps those
-- that another one followed; of runs that ended before this, and of those that the version before settles, all.
ALTER TABLE runs.node_results
    -- How its last attempt ended; null where that stands in `runs.attempts`, or in the run that this one is a retry of.
    ADD COLUMN outcome runs.attempt_outcome,
    -- Who says so; null when no worker does.
    ADD COLUMN worker text,
    ADD CONSTRAINT only_final_has_outcome CHECK (outcome IS NULL OR status IN ('completed', 'failed', 'cancelled'));

-- Every attempt that has ended, wherever it stands.
CREATE VIEW runs.all_attempts AS
SELECT run_id, node_key, attempt, outcome, worker, error, metadata, started_at, finished_at
  FROM runs.attempts
 UNION ALL
SELECT run_id, node_key, attempt, outcome, worker, error, metadata, started_at, finished_at
  FROM runs.node_results
 WHERE outcome IS NOT NULL;

-- A final node result is a record of what was done: nothing of it changes, where before only its status did not.
DROP TRIGGER final_nodes_never_change ON runs.node_results;
CREATE TRIGGER final_nodes_never_change AFTER UPDATE ON runs.node_results FOR EACH ROW
    WHEN (OLD.status IN ('completed', 'failed', 'skipped', 'cancelled'))
    EXECUTE FUNCTION runs.refuse_change_of_final('node result');
