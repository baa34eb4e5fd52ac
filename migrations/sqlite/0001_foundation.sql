-- Times are microseconds since 1970 in UTC. Ids are UUIDv7. JSON is text. The same columns exist on
-- Postgres; a test compares the two folders.

-- A tenant. The default one exists from the start; every tenant-owned row names its own.
CREATE TABLE organizations (
    id BLOB NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;

INSERT INTO organizations (id, name, created_at)
VALUES (x'01900000000070008000000000000001', 'default', 0);

-- A person who signs in.
CREATE TABLE users (
    id BLOB NOT NULL PRIMARY KEY,
    organization_id BLOB NOT NULL CONSTRAINT users_organization REFERENCES organizations (id),
    name TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    CONSTRAINT users_name_unique UNIQUE (organization_id, name)
) STRICT;

-- An application or agent that calls with keys of its own.
CREATE TABLE consumers (
    id BLOB NOT NULL PRIMARY KEY,
    organization_id BLOB NOT NULL CONSTRAINT consumers_organization REFERENCES organizations (id),
    name TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    CONSTRAINT consumers_name_unique UNIQUE (organization_id, name)
) STRICT;

-- A key is stored as HMAC-SHA-256 only; the prefix is what people recognise it by.
CREATE TABLE api_keys (
    id BLOB NOT NULL PRIMARY KEY,
    organization_id BLOB NOT NULL CONSTRAINT api_keys_organization REFERENCES organizations (id),
    consumer_id BLOB NOT NULL CONSTRAINT api_keys_consumer REFERENCES consumers (id),
    name TEXT NOT NULL,
    prefix TEXT NOT NULL,
    hash BLOB NOT NULL,
    -- NULL: every server of the organization. Otherwise a list of {server, tools?}.
    grants TEXT,
    created_at INTEGER NOT NULL,
    expires_at INTEGER,
    revoked_at INTEGER,
    last_used_at INTEGER,
    CONSTRAINT api_keys_hash_unique UNIQUE (hash)
) STRICT;

-- An uploaded document, by the SHA-256 of its bytes.
CREATE TABLE documents (
    organization_id BLOB NOT NULL CONSTRAINT documents_organization REFERENCES organizations (id),
    hash BLOB NOT NULL,
    bytes BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    CONSTRAINT documents_key PRIMARY KEY (organization_id, hash)
) STRICT;

-- A published server. `revision` grows with every change a client could notice.
CREATE TABLE servers (
    id BLOB NOT NULL PRIMARY KEY,
    organization_id BLOB NOT NULL CONSTRAINT servers_organization REFERENCES organizations (id),
    slug TEXT NOT NULL,
    title TEXT NOT NULL,
    settings TEXT NOT NULL,
    revision INTEGER NOT NULL,
    version_id BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    CONSTRAINT servers_slug_unique UNIQUE (slug)
) STRICT;

-- A slug a server had before it was renamed; it still leads there.
CREATE TABLE server_aliases (
    slug TEXT NOT NULL PRIMARY KEY,
    organization_id BLOB NOT NULL CONSTRAINT server_aliases_organization REFERENCES organizations (id),
    server_id BLOB NOT NULL CONSTRAINT server_aliases_server REFERENCES servers (id) ON DELETE CASCADE,
    created_at INTEGER NOT NULL
) STRICT;

-- What a document became. Never changed; an import makes a new one.
CREATE TABLE server_versions (
    id BLOB NOT NULL PRIMARY KEY,
    organization_id BLOB NOT NULL CONSTRAINT server_versions_organization REFERENCES organizations (id),
    server_id BLOB NOT NULL CONSTRAINT server_versions_server REFERENCES servers (id) ON DELETE CASCADE,
    number INTEGER NOT NULL,
    document_hash BLOB NOT NULL,
    -- Where the document was found; relative server URLs are resolved against it.
    document_url TEXT,
    converter TEXT NOT NULL,
    title TEXT NOT NULL,
    description TEXT,
    tools TEXT NOT NULL,
    schemes TEXT NOT NULL,
    findings TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    CONSTRAINT server_versions_number_unique UNIQUE (server_id, number)
) STRICT;

-- What an owner changed of a tool, by operation key (METHOD and path with parameters by position), so
-- that it survives another document.
CREATE TABLE curations (
    organization_id BLOB NOT NULL CONSTRAINT curations_organization REFERENCES organizations (id),
    server_id BLOB NOT NULL CONSTRAINT curations_server REFERENCES servers (id) ON DELETE CASCADE,
    operation TEXT NOT NULL,
    changes TEXT NOT NULL,
    updated_at INTEGER NOT NULL,
    CONSTRAINT curations_key PRIMARY KEY (server_id, operation)
) STRICT;

-- An upstream credential, sealed. `origins` are the destinations it was entered for.
CREATE TABLE credentials (
    id BLOB NOT NULL PRIMARY KEY,
    organization_id BLOB NOT NULL CONSTRAINT credentials_organization REFERENCES organizations (id),
    server_id BLOB NOT NULL CONSTRAINT credentials_server REFERENCES servers (id) ON DELETE CASCADE,
    scheme TEXT NOT NULL,
    -- Whose it is; NULL: shared by all callers.
    subject TEXT,
    key_id TEXT NOT NULL,
    sealed BLOB NOT NULL,
    origins TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;

CREATE UNIQUE INDEX credentials_subject_unique ON credentials (server_id, scheme, COALESCE(subject, ''));

-- One row per call, written once.
CREATE TABLE ledger (
    id BLOB NOT NULL PRIMARY KEY,
    organization_id BLOB NOT NULL CONSTRAINT ledger_organization REFERENCES organizations (id),
    consumer_id BLOB,
    key_id BLOB,
    kind TEXT NOT NULL CONSTRAINT ledger_kind CHECK (kind IN ('tool', 'llm', 'embedding')),
    server_id BLOB,
    version_id BLOB,
    tool TEXT,
    model TEXT,
    target TEXT,
    parent_id BLOB,
    trace_id TEXT NOT NULL,
    status TEXT NOT NULL,
    upstream_status INTEGER,
    request_bytes INTEGER NOT NULL,
    response_bytes INTEGER NOT NULL,
    at INTEGER NOT NULL,
    upstream_us INTEGER NOT NULL,
    total_us INTEGER NOT NULL,
    tokens_input INTEGER,
    tokens_cached INTEGER,
    tokens_output INTEGER,
    tokens_reasoning INTEGER,
    -- Billionths of a dollar; NULL: not known.
    cost_nanos INTEGER,
    attempts INTEGER NOT NULL
) STRICT;

CREATE INDEX ledger_by_time ON ledger (organization_id, at);

-- Who changed what. Rows are added, never changed.
CREATE TABLE audit (
    id BLOB NOT NULL PRIMARY KEY,
    organization_id BLOB NOT NULL CONSTRAINT audit_organization REFERENCES organizations (id),
    at INTEGER NOT NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    entity TEXT NOT NULL,
    entity_id TEXT NOT NULL,
    before TEXT,
    after TEXT
) STRICT;

CREATE TRIGGER audit_is_never_updated BEFORE UPDATE ON audit
BEGIN SELECT RAISE(ABORT, 'audit rows are never changed'); END;

CREATE TRIGGER audit_is_never_deleted BEFORE DELETE ON audit
BEGIN SELECT RAISE(ABORT, 'audit rows are never removed'); END;

-- Every change of the catalog, in the transaction that made it.
CREATE TABLE change_log (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    organization_id BLOB NOT NULL CONSTRAINT change_log_organization REFERENCES organizations (id),
    entity TEXT NOT NULL CONSTRAINT change_log_entity CHECK (entity IN ('server', 'key')),
    entity_id BLOB NOT NULL,
    revision INTEGER NOT NULL,
    at INTEGER NOT NULL
) STRICT;

-- Background work, leased so that one process of a cluster does it.
CREATE TABLE jobs (
    id BLOB NOT NULL PRIMARY KEY,
    organization_id BLOB NOT NULL CONSTRAINT jobs_organization REFERENCES organizations (id),
    kind TEXT NOT NULL,
    payload TEXT NOT NULL,
    run_at INTEGER NOT NULL,
    lease_owner TEXT,
    lease_until INTEGER,
    attempts INTEGER NOT NULL,
    progress TEXT,
    finished_at INTEGER
) STRICT;
