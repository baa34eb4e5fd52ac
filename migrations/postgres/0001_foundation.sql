-- Times are microseconds since 1970 in UTC. Ids are UUIDv7. JSON is text. The same columns exist on
-- SQLite; a test compares the two folders.

-- A tenant. The default one exists from the start; every tenant-owned row names its own.
CREATE TABLE organizations (
    id UUID NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    created_at BIGINT NOT NULL
);

INSERT INTO organizations (id, name, created_at)
VALUES ('01900000-0000-7000-8000-000000000001', 'default', 0);

-- A person who signs in.
CREATE TABLE users (
    id UUID NOT NULL PRIMARY KEY,
    organization_id UUID NOT NULL CONSTRAINT users_organization REFERENCES organizations (id),
    name TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    CONSTRAINT users_name_unique UNIQUE (organization_id, name)
);

-- An application or agent that calls with keys of its own.
CREATE TABLE consumers (
    id UUID NOT NULL PRIMARY KEY,
    organization_id UUID NOT NULL CONSTRAINT consumers_organization REFERENCES organizations (id),
    name TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    CONSTRAINT consumers_name_unique UNIQUE (organization_id, name)
);

-- A key is stored as HMAC-SHA-256 only; the prefix is what people recognise it by.
CREATE TABLE api_keys (
    id UUID NOT NULL PRIMARY KEY,
    organization_id UUID NOT NULL CONSTRAINT api_keys_organization REFERENCES organizations (id),
    consumer_id UUID NOT NULL CONSTRAINT api_keys_consumer REFERENCES consumers (id),
    name TEXT NOT NULL,
    prefix TEXT NOT NULL,
    hash BYTEA NOT NULL,
    -- NULL: every server of the organization. Otherwise a list of {server, tools?}.
    grants TEXT,
    created_at BIGINT NOT NULL,
    expires_at BIGINT,
    revoked_at BIGINT,
    last_used_at BIGINT,
    CONSTRAINT api_keys_hash_unique UNIQUE (hash)
);

-- An uploaded document, by the SHA-256 of its bytes.
CREATE TABLE documents (
    organization_id UUID NOT NULL CONSTRAINT documents_organization REFERENCES organizations (id),
    hash BYTEA NOT NULL,
    bytes BYTEA NOT NULL,
    created_at BIGINT NOT NULL,
    CONSTRAINT documents_key PRIMARY KEY (organization_id, hash)
);

-- A published server. `revision` grows with every change a client could notice.
CREATE TABLE servers (
    id UUID NOT NULL PRIMARY KEY,
    organization_id UUID NOT NULL CONSTRAINT servers_organization REFERENCES organizations (id),
    slug TEXT NOT NULL,
    title TEXT NOT NULL,
    settings TEXT NOT NULL,
    revision BIGINT NOT NULL,
    version_id UUID NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    CONSTRAINT servers_slug_unique UNIQUE (slug)
);

-- A slug a server had before it was renamed; it still leads there.
CREATE TABLE server_aliases (
    slug TEXT NOT NULL PRIMARY KEY,
    organization_id UUID NOT NULL CONSTRAINT server_aliases_organization REFERENCES organizations (id),
    server_id UUID NOT NULL CONSTRAINT server_aliases_server REFERENCES servers (id) ON DELETE CASCADE,
    created_at BIGINT NOT NULL
);

-- What a document became. Never changed; an import makes a new one.
CREATE TABLE server_versions (
    id UUID NOT NULL PRIMARY KEY,
    organization_id UUID NOT NULL CONSTRAINT server_versions_organization REFERENCES organizations (id),
    server_id UUID NOT NULL CONSTRAINT server_versions_server REFERENCES servers (id) ON DELETE CASCADE,
    number BIGINT NOT NULL,
    document_hash BYTEA NOT NULL,
    -- Where the document was found; relative server URLs are resolved against it.
    document_url TEXT,
    converter TEXT NOT NULL,
    title TEXT NOT NULL,
    description TEXT,
    tools TEXT NOT NULL,
    schemes TEXT NOT NULL,
    findings TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    CONSTRAINT server_versions_number_unique UNIQUE (server_id, number)
);

-- What an owner changed of a tool, by operation key (METHOD and path with parameters by position), so
-- that it survives another document.
CREATE TABLE curations (
    organization_id UUID NOT NULL CONSTRAINT curations_organization REFERENCES organizations (id),
    server_id UUID NOT NULL CONSTRAINT curations_server REFERENCES servers (id) ON DELETE CASCADE,
    operation TEXT NOT NULL,
    changes TEXT NOT NULL,
    updated_at BIGINT NOT NULL,
    CONSTRAINT curations_key PRIMARY KEY (server_id, operation)
);

-- An upstream credential, sealed. `origins` are the destinations it was entered for.
CREATE TABLE credentials (
    id UUID NOT NULL PRIMARY KEY,
    organization_id UUID NOT NULL CONSTRAINT credentials_organization REFERENCES organizations (id),
    server_id UUID NOT NULL CONSTRAINT credentials_server REFERENCES servers (id) ON DELETE CASCADE,
    scheme TEXT NOT NULL,
    -- Whose it is; NULL: shared by all callers.
    subject TEXT,
    key_id TEXT NOT NULL,
    sealed BYTEA NOT NULL,
    origins TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);

CREATE UNIQUE INDEX credentials_subject_unique ON credentials (server_id, scheme, COALESCE(subject, ''));

-- One row per call, written once.
CREATE TABLE ledger (
    id UUID NOT NULL PRIMARY KEY,
    organization_id UUID NOT NULL CONSTRAINT ledger_organization REFERENCES organizations (id),
    consumer_id UUID,
    key_id UUID,
    kind TEXT NOT NULL CONSTRAINT ledger_kind CHECK (kind IN ('tool', 'llm', 'embedding')),
    server_id UUID,
    version_id UUID,
    tool TEXT,
    model TEXT,
    target TEXT,
    parent_id UUID,
    trace_id TEXT NOT NULL,
    status TEXT NOT NULL,
    upstream_status BIGINT,
    request_bytes BIGINT NOT NULL,
    response_bytes BIGINT NOT NULL,
    at BIGINT NOT NULL,
    upstream_us BIGINT NOT NULL,
    total_us BIGINT NOT NULL,
    tokens_input BIGINT,
    tokens_cached BIGINT,
    tokens_output BIGINT,
    tokens_reasoning BIGINT,
    -- Billionths of a dollar; NULL: not known.
    cost_nanos BIGINT,
    attempts BIGINT NOT NULL
);

CREATE INDEX ledger_by_time ON ledger (organization_id, at);

-- Who changed what. Rows are added, never changed.
CREATE TABLE audit (
    id UUID NOT NULL PRIMARY KEY,
    organization_id UUID NOT NULL CONSTRAINT audit_organization REFERENCES organizations (id),
    at BIGINT NOT NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    entity TEXT NOT NULL,
    entity_id TEXT NOT NULL,
    before TEXT,
    after TEXT
);

CREATE FUNCTION refuse_audit_change() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'audit rows are never changed or removed'; END $$;

CREATE TRIGGER audit_is_never_updated BEFORE UPDATE OR DELETE OR TRUNCATE ON audit
FOR EACH STATEMENT EXECUTE FUNCTION refuse_audit_change();

-- Every change of the catalog, in the transaction that made it.
CREATE TABLE change_log (
    seq BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    organization_id UUID NOT NULL CONSTRAINT change_log_organization REFERENCES organizations (id),
    entity TEXT NOT NULL CONSTRAINT change_log_entity CHECK (entity IN ('server', 'key')),
    entity_id UUID NOT NULL,
    revision BIGINT NOT NULL,
    at BIGINT NOT NULL
);

-- Background work, leased so that one process of a cluster does it.
CREATE TABLE jobs (
    id UUID NOT NULL PRIMARY KEY,
    organization_id UUID NOT NULL CONSTRAINT jobs_organization REFERENCES organizations (id),
    kind TEXT NOT NULL,
    payload TEXT NOT NULL,
    run_at BIGINT NOT NULL,
    lease_owner TEXT,
    lease_until BIGINT,
    attempts BIGINT NOT NULL,
    progress TEXT,
    finished_at BIGINT
);
