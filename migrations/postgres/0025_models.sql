-- Providers of models, as an organization uses them. `kind` is one of the catalog that is compiled in, or
-- `openai-compatible`; settings are JSON.
CREATE TABLE providers (
    id UUID NOT NULL PRIMARY KEY,
    organization_id UUID NOT NULL CONSTRAINT providers_organization REFERENCES organizations (id),
    name TEXT NOT NULL,
    kind TEXT NOT NULL,
    settings TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    CONSTRAINT providers_name_unique UNIQUE (organization_id, name)
);

-- A sealed key of a provider. It is sent to the origin it was entered for, and nowhere else.
CREATE TABLE provider_keys (
    id UUID NOT NULL PRIMARY KEY,
    organization_id UUID NOT NULL CONSTRAINT provider_keys_organization REFERENCES organizations (id),
    provider_id UUID NOT NULL CONSTRAINT provider_keys_provider REFERENCES providers (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    -- The last characters, which people tell keys apart by.
    ending TEXT NOT NULL,
    origin TEXT NOT NULL,
    key_id TEXT NOT NULL,
    sealed BYTEA NOT NULL,
    created_at BIGINT NOT NULL,
    CONSTRAINT provider_keys_name_unique UNIQUE (provider_id, name)
);

-- Names callers ask for, and where they lead; settings are JSON.
CREATE TABLE models (
    id UUID NOT NULL PRIMARY KEY,
    organization_id UUID NOT NULL CONSTRAINT models_organization REFERENCES organizations (id),
    name TEXT NOT NULL,
    settings TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    CONSTRAINT models_name_unique UNIQUE (organization_id, name)
);

-- What only calls of models have. Times in microseconds.
ALTER TABLE ledger ADD COLUMN first_token_us BIGINT;
ALTER TABLE ledger ADD COLUMN tokens_cache_write BIGINT;
-- 1: tokens were counted here, not told by the provider.
ALTER TABLE ledger ADD COLUMN estimated BIGINT;

-- The log also tells of providers and models.
ALTER TABLE change_log DROP CONSTRAINT change_log_entity;
ALTER TABLE change_log ADD CONSTRAINT change_log_entity CHECK (entity IN ('server', 'key', 'user', 'model'));
