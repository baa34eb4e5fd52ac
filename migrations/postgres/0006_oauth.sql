-- Where the secret of an OAuth client may go, beside the destinations its tokens may go to.
ALTER TABLE credentials ADD COLUMN token_origins TEXT;

-- The tokens of an OAuth client that an administrator connected, sealed. One process at a time renews
-- them: the one that has the lease, and only if nobody did since it looked (`generation`).
CREATE TABLE connections (
    id UUID NOT NULL PRIMARY KEY,
    organization_id UUID NOT NULL CONSTRAINT connections_organization REFERENCES organizations (id),
    credential_id UUID NOT NULL CONSTRAINT connections_credential REFERENCES credentials (id) ON DELETE CASCADE,
    -- Once the authorization server takes its refresh token no more, it has to be made again.
    state TEXT NOT NULL CONSTRAINT connections_state CHECK (state IN ('connected', 'ended')),
    key_id TEXT NOT NULL,
    sealed BYTEA NOT NULL,
    generation BIGINT NOT NULL,
    lease_owner TEXT,
    lease_until BIGINT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);

CREATE UNIQUE INDEX connections_credential_unique ON connections (credential_id);

-- A connection that was begun: what has to come back with the browser, sealed, taken once. The id is made
-- of the state, which is stored nowhere.
CREATE TABLE authorizations (
    id UUID NOT NULL PRIMARY KEY,
    organization_id UUID NOT NULL CONSTRAINT authorizations_organization REFERENCES organizations (id),
    credential_id UUID NOT NULL CONSTRAINT authorizations_credential REFERENCES credentials (id) ON DELETE CASCADE,
    key_id TEXT NOT NULL,
    sealed BYTEA NOT NULL,
    expires_at BIGINT NOT NULL
);

CREATE INDEX authorizations_by_expiry ON authorizations (expires_at);
