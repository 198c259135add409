-- A start that is asked for again after its pipeline was deleted is found by what the pipeline was called.
CREATE INDEX runs_by_slug_and_key ON runs.pipeline_runs (pipeline_slug, idempotency_key)
    WHERE idempotency_key IS NOT NULL;
