-- Deleting a node looks for the edges that lead to it: without an index through all edges of its pipeline, so that
-- replacing or deleting one of 10,000 nodes took 10 s.
CREATE INDEX edges_by_target ON definition.edges (pipeline_id, target);

-- Both ends are nodes of the same pipeline, and go with it.
ALTER TABLE definition.edges DROP CONSTRAINT edges_pipeline_id_fkey;
