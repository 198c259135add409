-- What the coordinators may do; what versions consist of is for ever. Attempts, the audit and all else of a run go with
-- the whole run, by the function that deletes runs that ended long ago.
GRANT USAGE ON SCHEMA runs TO pipewright_coordinator;
GRANT SELECT, INSERT, UPDATE ON runs.pipeline_runs, runs.node_results TO pipewright_coordinator;
GRANT SELECT, INSERT ON
    runs.versions, runs.version_nodes, runs.attempts, runs.payloads, runs.audit, runs.queues TO pipewright_coordinator;
GRANT SELECT ON runs.all_attempts TO pipewright_coordinator;
GRANT SELECT, INSERT, UPDATE, DELETE ON runs.webhooks, runs.webhook_deliveries TO pipewright_coordinator;
GRANT EXECUTE ON FUNCTION runs.delete_expired TO pipewright_coordinator;
