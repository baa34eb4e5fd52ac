-- Where the secret of an OAuth client may go, beside the destinations its tokens may go to.
ALTER TABLE credentials ADD COLUMN token_origins TEXT;

-- The tokens of an OAuth client that an administrator connected, sealed. One process at a time renews
-- them: the one that has the lease, and only if nobody did since it looked (`generation`).
CREATE TABLE connections (
    id BLOB NOT NULL PRIMARY KEY,
    organization_id BLOB NOT NULL CONSTRAINT connections_organization REFERENCES organizations (id),
    credential_id BLOB NOT NULL CONSTRAINT connections_credential REFERENCES credentials (id) ON DELETE CASCADE,
    -- Once the authorization server takes its refresh token no more, it has to be made again.
    state TEXT NOT NULL CONSTRAINT connections_state CHECK (state IN ('connected', 'ended')),
    key_id TEXT NOT NULL,
    sealed BLOB NOT NULL,
    generation INTEGER NOT NULL,
    lease_owner TEXT,
    lease_until INTEGER,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;

CREATE UNIQUE INDEX connections_credential_unique ON connections (credential_id);

-- A connection that was begun: what has to come back with the browser, sealed, taken once. The id is made
-- of the state, which is stored nowhere.
CREATE TABLE authorizations (
    id BLOB NOT NULL PRIMARY KEY,
    organization_id BLOB NOT NULL CONSTRAINT authorizations_organization REFERENCES organizations (id),
    credential_id BLOB NOT NULL CONSTRAINT authorizations_credential REFERENCES credentials (id) ON DELETE CASCADE,
    key_id TEXT NOT NULL,
    sealed BLOB NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT;

CREATE INDEX authorizations_by_expiry ON authorizations (expires_at);
