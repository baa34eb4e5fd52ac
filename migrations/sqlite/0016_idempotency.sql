-- Requests that were sent with an Idempotency-Key: what came of each, sealed, so that the same request is
-- answered the same, and done once. `status` is 0 until its answer is stored.
CREATE TABLE idempotency_keys (
    id BLOB NOT NULL PRIMARY KEY,
    organization_id BLOB NOT NULL CONSTRAINT idempotency_keys_organization REFERENCES organizations (id),
    principal TEXT NOT NULL,
    given BLOB NOT NULL,
    fingerprint BLOB NOT NULL,
    status INTEGER NOT NULL,
    key_id TEXT NOT NULL,
    sealed BLOB NOT NULL,
    lease_until INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT;

CREATE UNIQUE INDEX idempotency_keys_given_unique ON idempotency_keys (organization_id, principal, given);
CREATE INDEX idempotency_keys_by_expiry ON idempotency_keys (expires_at);
