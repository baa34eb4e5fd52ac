-- An answer that was too large for its result, sealed, kept for minutes and read only by whoever got the
-- link to it.
CREATE TABLE answers (
    id UUID NOT NULL PRIMARY KEY,
    organization_id UUID NOT NULL CONSTRAINT answers_organization REFERENCES organizations (id),
    server_id UUID NOT NULL CONSTRAINT answers_server REFERENCES servers (id) ON DELETE CASCADE,
    principal TEXT NOT NULL,
    media_type TEXT NOT NULL,
    size BIGINT NOT NULL,
    key_id TEXT NOT NULL,
    sealed BYTEA NOT NULL,
    expires_at BIGINT NOT NULL
);

CREATE INDEX answers_by_expiry ON answers (expires_at);
CREATE INDEX answers_by_principal ON answers (organization_id, principal, expires_at);
