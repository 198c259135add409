-- Pipelines as users edit them, their published versions, and the catalogue of node types.

CREATE TYPE definition.pipeline_status AS ENUM (
    'draft',        -- never published
    'active',       -- has a version that runs use
    'archived'      -- starts no runs any more
);

CREATE TYPE definition.on_error AS ENUM (
    'fail',         -- the run fails at once, unless an error edge handles it
    'continue'      -- the run goes on as if the node had given nothing
);

CREATE TABLE definition.pipelines (
    id             uuid PRIMARY KEY,
    slug           text NOT NULL UNIQUE CHECK (slug ~ '^[a-z][a-z0-9-]{0,62}$'),
    name           text NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
    description    text NOT NULL DEFAULT '',
    status         definition.pipeline_status NOT NULL DEFAULT 'draft',
    input_schema   json,
    active_version int,
    revision       int NOT NULL DEFAULT 1 CHECK (revision >= 1),
    -- SHA-256 of what was published, to tell whether the draft differs from it.
    published_sha256 text,
    created_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT draft_has_no_version CHECK (status <> 'draft' OR active_version IS NULL),
    CONSTRAINT active_has_version CHECK (status <> 'active' OR active_version IS NOT NULL)
);

CREATE TABLE definition.nodes (
    pipeline_id uuid NOT NULL REFERENCES definition.pipelines ON DELETE CASCADE,
    node_key    text NOT NULL CHECK (
        node_key ~ '^[a-z][a-z0-9_]{0,62}$' AND node_key NOT IN ('input', 'nodes', 'previous', 'run', 'env')
    ),
    node_index  int NOT NULL CHECK (node_index >= 0),
    node_type   text NOT NULL CHECK (node_type ~ '^[a-z][a-z0-9_]{0,62}$'),
    name        text CHECK (length(name) <= 200),
    config      json NOT NULL,
    position    json,
    retry       json,
    timeout_s   double precision CHECK (timeout_s > 0 AND timeout_s <= 3600),
    on_error    definition.on_error NOT NULL DEFAULT 'fail',
    PRIMARY KEY (pipeline_id, node_key)
);

CREATE TABLE definition.edges (
    pipeline_id uuid NOT NULL REFERENCES definition.pipelines ON DELETE CASCADE,
    edge_index  int NOT NULL CHECK (edge_index >= 0),
    source      text NOT NULL,
    target      text NOT NULL,
    branch      text CHECK (length(branch) BETWEEN 1 AND 63),
    CONSTRAINT no_self_loop CHECK (source <> target),
    CONSTRAINT no_duplicate UNIQUE NULLS NOT DISTINCT (pipeline_id, source, target, branch),
    FOREIGN KEY (pipeline_id, source) REFERENCES definition.nodes ON DELETE CASCADE,
    FOREIGN KEY (pipeline_id, target) REFERENCES definition.nodes ON DELETE CASCADE
);

-- What was made with which key, so that asking again makes nothing new.
CREATE TABLE definition.idempotency_keys (
    key             text PRIMARY KEY CHECK (length(key) BETWEEN 1 AND 255),
    document_sha256 text NOT NULL,
    pipeline_id     uuid,
    created_at      timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- Versions outlive their pipeline: runs use them.
CREATE TABLE definition.versions (
    id           uuid PRIMARY KEY,
    pipeline_id  uuid NOT NULL,
    number       int NOT NULL CHECK (number >= 1),
    compiled     json NOT NULL,
    -- What was published, as its user wrote it.
    document     json NOT NULL,
    sha256       text NOT NULL,
    published_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    UNIQUE (pipeline_id, number)
);

CREATE FUNCTION definition.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'a version never changes' USING ERRCODE = 'restrict_violation';
END $$;

CREATE TRIGGER versions_never_change BEFORE UPDATE OR DELETE ON definition.versions
    FOR EACH ROW EXECUTE FUNCTION definition.refuse_change();

CREATE TABLE definition.node_types (
    node_type         text PRIMARY KEY CHECK (node_type ~ '^[a-z][a-z0-9_]{0,62}$'),
    title             text NOT NULL,
    description       text NOT NULL,
    config_schema     json NOT NULL,
    output_schema     json NOT NULL,
    schema_version    int NOT NULL CHECK (schema_version >= 1),
    default_timeout_s double precision NOT NULL,
    is_fast           boolean NOT NULL,
    branches          json,
    examples          json NOT NULL,
    changed_at        timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- Who serves a type now; a worker that was not heard of for 90 s has left.
CREATE TABLE definition.node_type_workers (
    node_type text NOT NULL REFERENCES definition.node_types,
    worker    text NOT NULL,
    slots     int NOT NULL CHECK (slots >= 1),
    heard_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (node_type, worker)
);
