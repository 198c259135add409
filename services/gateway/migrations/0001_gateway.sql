-- API keys. The key itself is shown once and kept nowhere.

CREATE TABLE gateway.api_keys (
    -- A UUIDv7: the newest key has the highest.
    id           uuid PRIMARY KEY,
    name         text NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
    -- SHA-256 of the whole key; its 256 random bits need no slower hash.
    sha256       bytea NOT NULL UNIQUE CHECK (length(sha256) = 32),
    scopes       text[] NOT NULL CHECK (scopes <@ ARRAY[
        'pipelines:read', 'pipelines:write', 'runs:start', 'runs:read', 'runs:cancel', 'admin'
    ] AND cardinality(scopes) > 0),
    created_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    expires_at   timestamptz,
    -- Revoked for ever; the row stays, so that the list tells what there was.
    revoked_at   timestamptz,
    -- Written beside the requests, at most once a minute by each gateway.
    last_used_at timestamptz
);
