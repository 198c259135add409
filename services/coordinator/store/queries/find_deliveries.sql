SELECT EXISTS (SELECT FROM runs.webhook_deliveries WHERE run_id = ANY ($1)) AS found
