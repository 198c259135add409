-- Nodes that wait for room stand in a queue beside their rows, and are not written for it: ten thousand that begin to
-- wait are twenty rows here. `node_results.ready_at` and its index said this; they stay for the version before.

-- Insert-only, each queue from its front to its end. Of all its nodes the last `waiting` ones of the run's lane wait
-- still; whoever is before them has left.
CREATE TABLE runs.queues (
    run_id    uuid NOT NULL REFERENCES runs.pipeline_runs ON DELETE CASCADE,
    node_type text NOT NULL,
    -- The place of the first of these nodes, from 0.
    place     int NOT NULL CHECK (place >= 0),
    -- So many that what waits next is found by its place.
    node_keys text[] NOT NULL CHECK (cardinality(node_keys) BETWEEN 1 AND 500),
    PRIMARY KEY (run_id, node_type, place)
);

INSERT INTO runs.queues (run_id, node_type, place, node_keys)
SELECT run_id, node_type, place / 500 * 500, array_agg(node_key ORDER BY place)
  FROM (
      SELECT run_id, node_type, node_key,
             (row_number() OVER (PARTITION BY run_id, node_type ORDER BY ready_at, node_index) - 1)::int AS place
        FROM runs.node_results
       WHERE ready_at IS NOT NULL
  ) AS waiting
 GROUP BY run_id, node_type, place / 500;
