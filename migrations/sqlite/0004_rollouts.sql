-- A version beside the current one: waiting for somebody to look at it, or served to some consumers.
CREATE TABLE rollouts (
    server_id BLOB NOT NULL CONSTRAINT rollouts_server REFERENCES servers (id) ON DELETE CASCADE,
    organization_id BLOB NOT NULL CONSTRAINT rollouts_organization REFERENCES organizations (id),
    kind TEXT NOT NULL CONSTRAINT rollouts_kind CHECK (kind IN ('staged', 'canary')),
    version_id BLOB NOT NULL CONSTRAINT rollouts_version REFERENCES server_versions (id) ON DELETE CASCADE,
    -- Of consumers, for a canary.
    percent INTEGER NOT NULL CONSTRAINT rollouts_percent CHECK (percent BETWEEN 0 AND 99),
    created_at INTEGER NOT NULL,
    CONSTRAINT rollouts_key PRIMARY KEY (server_id, kind)
) STRICT;

-- Where a server's document is read again from time to time. One process of a cluster does it: the
-- one that moves `next_at` on.
CREATE TABLE sources (
    server_id BLOB NOT NULL PRIMARY KEY CONSTRAINT sources_server REFERENCES servers (id) ON DELETE CASCADE,
    organization_id BLOB NOT NULL CONSTRAINT sources_organization REFERENCES organizations (id),
    url TEXT NOT NULL,
    every_s INTEGER NOT NULL,
    next_at INTEGER NOT NULL,
    -- Validators of the last answer (RFC 9110 section 8.8).
    etag TEXT,
    last_modified TEXT,
    checked_at INTEGER,
    -- What the last look came to, and why it failed if it did.
    outcome TEXT,
    detail TEXT
) STRICT;

CREATE INDEX sources_by_time ON sources (next_at);
