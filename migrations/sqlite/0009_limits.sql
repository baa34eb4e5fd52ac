-- A named set of limits.
CREATE TABLE plans (
    id BLOB NOT NULL PRIMARY KEY,
    organization_id BLOB NOT NULL CONSTRAINT plans_organization REFERENCES organizations (id),
    name TEXT NOT NULL,
    description TEXT NOT NULL,
    limits TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    CONSTRAINT plans_name_unique UNIQUE (organization_id, name)
) STRICT;

-- The plan a consumer has with a server.
CREATE TABLE plan_assignments (
    organization_id BLOB NOT NULL CONSTRAINT plan_assignments_organization REFERENCES organizations (id),
    consumer_id BLOB NOT NULL CONSTRAINT plan_assignments_consumer REFERENCES consumers (id) ON DELETE CASCADE,
    server_id BLOB NOT NULL CONSTRAINT plan_assignments_server REFERENCES servers (id) ON DELETE CASCADE,
    plan_id BLOB NOT NULL CONSTRAINT plan_assignments_plan REFERENCES plans (id),
    created_at INTEGER NOT NULL,
    CONSTRAINT plan_assignments_key PRIMARY KEY (consumer_id, server_id)
) STRICT;

-- Limits of all a consumer does, as a list in JSON; NULL: none.
ALTER TABLE consumers ADD COLUMN limits TEXT;

-- What processes have taken of quotas. What was taken counts as spent, until it is given back.
CREATE TABLE quotas (
    counter TEXT NOT NULL,
    window_start INTEGER NOT NULL,
    window_end INTEGER NOT NULL,
    spent INTEGER NOT NULL,
    CONSTRAINT quotas_key PRIMARY KEY (counter, window_start)
) STRICT;
