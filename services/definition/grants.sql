-- What the definition service may do; versions are for ever.
GRANT USAGE ON SCHEMA definition TO pipewright_definition;
GRANT SELECT, INSERT, UPDATE, DELETE ON
    definition.pipelines, definition.nodes, definition.edges, definition.node_type_workers TO pipewright_definition;
GRANT SELECT, INSERT, UPDATE ON definition.idempotency_keys, definition.node_types TO pipewright_definition;
GRANT SELECT, INSERT ON definition.versions TO pipewright_definition;
