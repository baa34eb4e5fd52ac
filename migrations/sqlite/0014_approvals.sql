-- A call that a person has to approve before it is sent. Its arguments are as people are shown them,
-- without secrets; the hash is of the real ones.
CREATE TABLE approvals (
    id BLOB NOT NULL PRIMARY KEY,
    organization_id BLOB NOT NULL CONSTRAINT approvals_organization REFERENCES organizations (id),
    server_id BLOB NOT NULL CONSTRAINT approvals_server REFERENCES servers (id) ON DELETE CASCADE,
    tool TEXT NOT NULL,
    operation TEXT NOT NULL,
    principal TEXT NOT NULL,
    argument_hash BLOB NOT NULL,
    arguments TEXT NOT NULL,
    asked_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    state TEXT NOT NULL CONSTRAINT approvals_state CHECK (state IN ('pending', 'approved', 'denied', 'expired', 'used')),
    scope TEXT CONSTRAINT approvals_scope CHECK (scope IN ('once', 'hour')),
    reason TEXT,
    decided_by TEXT,
    decided_at INTEGER,
    used_at INTEGER
) STRICT;

-- The same call waits once.
CREATE UNIQUE INDEX approvals_pending ON approvals (server_id, operation, principal, argument_hash) WHERE state = 'pending';
CREATE INDEX approvals_by_call ON approvals (server_id, operation, principal, argument_hash);
CREATE INDEX approvals_by_state ON approvals (organization_id, state, asked_at);

-- Tokens that confirmed a call already.
CREATE TABLE used_confirmations (
    id BLOB NOT NULL PRIMARY KEY,
    expires_at INTEGER NOT NULL
) STRICT;

CREATE INDEX used_confirmations_by_expiry ON used_confirmations (expires_at);
