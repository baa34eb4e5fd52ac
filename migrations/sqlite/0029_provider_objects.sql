-- Files and batches that callers keep at providers of models: whose they are. Whoever made one finds it, and nobody else.
CREATE TABLE provider_objects (
    organization_id BLOB NOT NULL CONSTRAINT provider_objects_organization REFERENCES organizations (id),
    -- By its name.
    provider TEXT NOT NULL,
    -- As the provider calls it.
    object TEXT NOT NULL,
    kind TEXT NOT NULL CONSTRAINT provider_objects_kind CHECK (kind IN ('file', 'batch')),
    -- The consumer, the person, or the organization itself.
    owner TEXT NOT NULL,
    -- Which of the provider's keys it was made with: another may be another account's. NULL: it was asked without one.
    provider_key_id BLOB,
    created_at INTEGER NOT NULL,
    -- A provider may give the same id to two who sent the same.
    CONSTRAINT provider_objects_key PRIMARY KEY (organization_id, provider, object, owner)
) STRICT;

CREATE INDEX provider_objects_by_owner ON provider_objects (organization_id, provider, owner, kind, created_at, object);
