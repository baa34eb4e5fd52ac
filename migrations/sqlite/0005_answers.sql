-- An answer that was too large for its result, sealed, kept for minutes and read only by whoever got the
-- link to it.
CREATE TABLE answers (
    id BLOB NOT NULL PRIMARY KEY,
    organization_id BLOB NOT NULL CONSTRAINT answers_organization REFERENCES organizations (id),
    server_id BLOB NOT NULL CONSTRAINT answers_server REFERENCES servers (id) ON DELETE CASCADE,
    principal TEXT NOT NULL,
    media_type TEXT NOT NULL,
    size INTEGER NOT NULL,
    key_id TEXT NOT NULL,
    sealed BLOB NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT;

CREATE INDEX answers_by_expiry ON answers (expires_at);
CREATE INDEX answers_by_principal ON answers (organization_id, principal, expires_at);
