-- What failed is asked for most, and is little: without these it was looked for among all that there is.
CREATE INDEX unusual_ends ON runs.pipeline_runs (status, id) WHERE status IN ('failed', 'cancelled');
CREATE INDEX not_delivered ON runs.webhook_deliveries (webhook_id, status, id) WHERE status <> 'delivered';
