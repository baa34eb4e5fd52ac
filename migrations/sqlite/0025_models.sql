-- Providers of models, as an organization uses them. `kind` is one of the catalog that is compiled in, or
-- `openai-compatible`; settings are JSON.
CREATE TABLE providers (
    id BLOB NOT NULL PRIMARY KEY,
    organization_id BLOB NOT NULL CONSTRAINT providers_organization REFERENCES organizations (id),
    name TEXT NOT NULL,
    kind TEXT NOT NULL,
    settings TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    CONSTRAINT providers_name_unique UNIQUE (organization_id, name)
) STRICT;

-- A sealed key of a provider. It is sent to the origin it was entered for, and nowhere else.
CREATE TABLE provider_keys (
    id BLOB NOT NULL PRIMARY KEY,
    organization_id BLOB NOT NULL CONSTRAINT provider_keys_organization REFERENCES organizations (id),
    provider_id BLOB NOT NULL CONSTRAINT provider_keys_provider REFERENCES providers (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    -- The last characters, which people tell keys apart by.
    ending TEXT NOT NULL,
    origin TEXT NOT NULL,
    key_id TEXT NOT NULL,
    sealed BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    CONSTRAINT provider_keys_name_unique UNIQUE (provider_id, name)
) STRICT;

-- Names callers ask for, and where they lead; settings are JSON.
CREATE TABLE models (
    id BLOB NOT NULL PRIMARY KEY,
    organization_id BLOB NOT NULL CONSTRAINT models_organization REFERENCES organizations (id),
    name TEXT NOT NULL,
    settings TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    CONSTRAINT models_name_unique UNIQUE (organization_id, name)
) STRICT;

-- What only calls of models have. Times in microseconds.
ALTER TABLE ledger ADD COLUMN first_token_us INTEGER;
ALTER TABLE ledger ADD COLUMN tokens_cache_write INTEGER;
-- 1: tokens were counted here, not told by the provider.
ALTER TABLE ledger ADD COLUMN estimated INTEGER;

-- The log also tells of providers and models. SQLite changes a constraint with the table only.
CREATE TABLE change_log_new (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    organization_id BLOB NOT NULL CONSTRAINT change_log_organization REFERENCES organizations (id),
    entity TEXT NOT NULL CONSTRAINT change_log_entity CHECK (entity IN ('server', 'key', 'user', 'model')),
    entity_id BLOB NOT NULL,
    revision INTEGER NOT NULL,
    at INTEGER NOT NULL
) STRICT;

INSERT INTO change_log_new (seq, organization_id, entity, entity_id, revision, at)
SELECT seq, organization_id, entity, entity_id, revision, at FROM change_log;

DROP TABLE change_log;

ALTER TABLE change_log_new RENAME TO change_log;
