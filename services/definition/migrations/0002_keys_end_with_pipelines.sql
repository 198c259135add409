-- A key is kept as long as what was made with it, as the key of a run is.
DELETE FROM definition.idempotency_keys AS made
 WHERE NOT EXISTS (SELECT FROM definition.pipelines AS pipeline WHERE pipeline.id = made.pipeline_id);

ALTER TABLE definition.idempotency_keys
    ADD CONSTRAINT made FOREIGN KEY (pipeline_id) REFERENCES definition.pipelines ON DELETE CASCADE;

CREATE INDEX idempotency_keys_by_pipeline ON definition.idempotency_keys (pipeline_id);
