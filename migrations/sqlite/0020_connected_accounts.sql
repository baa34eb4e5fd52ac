-- What one person entered or connected at an API for the calls that are made for them: a secret of their own, or the
-- tokens that were got with the server's OAuth client. It opens for that person's row only.
CREATE TABLE connected_accounts (
    id BLOB NOT NULL PRIMARY KEY,
    organization_id BLOB NOT NULL CONSTRAINT connected_accounts_organization REFERENCES organizations (id),
    server_id BLOB NOT NULL CONSTRAINT connected_accounts_server REFERENCES servers (id) ON DELETE CASCADE,
    scheme TEXT NOT NULL,
    user_id BLOB NOT NULL CONSTRAINT connected_accounts_user REFERENCES users (id) ON DELETE CASCADE,
    -- The OAuth client its tokens were got with; they end with it. NULL: it is a secret.
    credential_id BLOB CONSTRAINT connected_accounts_credential REFERENCES credentials (id) ON DELETE CASCADE,
    state TEXT NOT NULL CONSTRAINT connected_accounts_state CHECK (state IN ('connected', 'ended')),
    key_id TEXT NOT NULL,
    sealed BLOB NOT NULL,
    -- JSON list of where it may go: what the person saw.
    origins TEXT NOT NULL,
    generation INTEGER NOT NULL,
    lease_owner TEXT,
    lease_until INTEGER,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    last_used_at INTEGER
) STRICT;

CREATE UNIQUE INDEX connected_accounts_unique ON connected_accounts (server_id, scheme, user_id);
CREATE INDEX connected_accounts_by_user ON connected_accounts (user_id, id);
CREATE INDEX connected_accounts_by_credential ON connected_accounts (credential_id);

-- A link by which one person may connect an account, once. The id is made of what stands in the link, which is
-- stored nowhere.
CREATE TABLE connect_links (
    id BLOB NOT NULL PRIMARY KEY,
    organization_id BLOB NOT NULL CONSTRAINT connect_links_organization REFERENCES organizations (id),
    server_id BLOB NOT NULL CONSTRAINT connect_links_server REFERENCES servers (id) ON DELETE CASCADE,
    scheme TEXT NOT NULL,
    user_id BLOB NOT NULL CONSTRAINT connect_links_user REFERENCES users (id) ON DELETE CASCADE,
    expires_at INTEGER NOT NULL
) STRICT;

CREATE INDEX connect_links_by_user ON connect_links (user_id, expires_at);
CREATE INDEX connect_links_by_expiry ON connect_links (expires_at);

-- Whose account is being connected; NULL: the server's own, by an administrator.
ALTER TABLE authorizations ADD COLUMN user_id BLOB CONSTRAINT authorizations_user REFERENCES users (id) ON DELETE CASCADE;
