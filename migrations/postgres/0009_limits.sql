-- A named set of limits.
CREATE TABLE plans (
    id UUID NOT NULL PRIMARY KEY,
    organization_id UUID NOT NULL CONSTRAINT plans_organization REFERENCES organizations (id),
    name TEXT NOT NULL,
    description TEXT NOT NULL,
    limits TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    CONSTRAINT plans_name_unique UNIQUE (organization_id, name)
);

-- The plan a consumer has with a server.
CREATE TABLE plan_assignments (
    organization_id UUID NOT NULL CONSTRAINT plan_assignments_organization REFERENCES organizations (id),
    consumer_id UUID NOT NULL CONSTRAINT plan_assignments_consumer REFERENCES consumers (id) ON DELETE CASCADE,
    server_id UUID NOT NULL CONSTRAINT plan_assignments_server REFERENCES servers (id) ON DELETE CASCADE,
    plan_id UUID NOT NULL CONSTRAINT plan_assignments_plan REFERENCES plans (id),
    created_at BIGINT NOT NULL,
    CONSTRAINT plan_assignments_key PRIMARY KEY (consumer_id, server_id)
);

-- Limits of all a consumer does, as a list in JSON; NULL: none.
ALTER TABLE consumers ADD COLUMN limits TEXT;

-- What processes have taken of quotas. What was taken counts as spent, until it is given back.
CREATE TABLE quotas (
    counter TEXT NOT NULL,
    window_start BIGINT NOT NULL,
    window_end BIGINT NOT NULL,
    spent BIGINT NOT NULL,
    CONSTRAINT quotas_key PRIMARY KEY (counter, window_start)
);
