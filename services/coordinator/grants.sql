-- What the coordinators may do; attempts, the audit and what versions consist of are for ever.
GRANT USAGE ON SCHEMA runs TO pipewright_coordinator;
GRANT SELECT, INSERT, UPDATE ON runs.pipeline_runs, runs.node_results TO pipewright_coordinator;
GRANT SELECT, INSERT ON
    runs.versions, runs.version_nodes, runs.attempts, runs.payloads, runs.audit TO pipewright_coordinator;
GRANT SELECT, INSERT, UPDATE, DELETE ON runs.webhooks, runs.webhook_deliveries TO pipewright_coordinator;
