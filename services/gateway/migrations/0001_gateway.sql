-- API keys. The key itself is shown once and kept nowhere.

CREATE TABLE gateway.api_keys (
    id           text PRIMARY KEY CHECK (id ~ '^[A-Za-z0-9]{8,32}$'),
    name         text NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
    -- SHA-256 of the whole key; its 256 random bits need no slower hash.
    sha256       bytea NOT NULL UNIQUE CHECK (length(sha256) = 32),
    scopes       text[] NOT NULL CHECK (scopes <@ ARRAY[
        'pipelines:read', 'pipelines:write', 'runs:start', 'runs:read', 'runs:cancel', 'admin'
    ] AND cardinality(scopes) > 0),
    created_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    expires_at   timestamptz,
    revoked_at   timestamptz
);
