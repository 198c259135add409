-- Most ends are told to nobody, which is looked for before an insertion is begun: of the statement that ends a run, the
-- insertion of nothing took an eighth.
CREATE OR REPLACE FUNCTION runs.deliver_end() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM runs.webhooks WHERE pipeline_id = NEW.pipeline_id)
       OR EXISTS (SELECT FROM runs.webhooks WHERE run_id = NEW.id)
    THEN
        INSERT INTO runs.webhook_deliveries (webhook_id, run_id)
        SELECT id, NEW.id FROM runs.webhooks WHERE pipeline_id = NEW.pipeline_id AND disabled_at IS NULL
         UNION ALL
        SELECT id, NEW.id FROM runs.webhooks WHERE run_id = NEW.id AND disabled_at IS NULL
            ON CONFLICT DO NOTHING;
    END IF;
    RETURN NULL;
END $$;
