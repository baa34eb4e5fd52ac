-- People who sign in: what they may do, and how they prove who they are. No password: none was chosen
-- yet, or somebody else vouches for the person.
ALTER TABLE users ADD COLUMN role TEXT NOT NULL DEFAULT 'member' CONSTRAINT users_role CHECK (role IN ('admin', 'publisher', 'member'));
-- Argon2id, as a PHC string.
ALTER TABLE users ADD COLUMN password_hash TEXT;
ALTER TABLE users ADD COLUMN disabled_at BIGINT;
ALTER TABLE users ADD COLUMN last_sign_in_at BIGINT;
-- The shared secret of one-time codes, sealed by the vault, and the last time step a code was taken of;
-- without a step, the secret was shown and not confirmed.
ALTER TABLE users ADD COLUMN totp_key_id TEXT;
ALTER TABLE users ADD COLUMN totp_sealed BYTEA;
ALTER TABLE users ADD COLUMN totp_step BIGINT;

-- A browser somebody signed in with. The cookie holds the token, this only its hash.
CREATE TABLE sessions (
    id UUID NOT NULL PRIMARY KEY,
    hash BYTEA NOT NULL,
    organization_id UUID NOT NULL CONSTRAINT sessions_organization REFERENCES organizations (id),
    user_id UUID NOT NULL CONSTRAINT sessions_user REFERENCES users (id) ON DELETE CASCADE,
    created_at BIGINT NOT NULL,
    last_seen_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    revoked_at BIGINT,
    user_agent TEXT NOT NULL,
    CONSTRAINT sessions_hash_unique UNIQUE (hash)
);

CREATE INDEX sessions_of_user ON sessions (user_id, expires_at);

-- A link with which somebody chooses a password once: an invitation, or a reset.
CREATE TABLE account_links (
    hash BYTEA NOT NULL PRIMARY KEY,
    user_id UUID NOT NULL CONSTRAINT account_links_user REFERENCES users (id) ON DELETE CASCADE,
    kind TEXT NOT NULL CONSTRAINT account_links_kind CHECK (kind IN ('invite', 'reset')),
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);

CREATE INDEX account_links_of_user ON account_links (user_id);

-- Which link makes the first admin, while there is nobody: one for all processes.
CREATE TABLE setup_claims (
    organization_id UUID NOT NULL PRIMARY KEY CONSTRAINT setup_claims_organization REFERENCES organizations (id),
    hash BYTEA NOT NULL,
    expires_at BIGINT NOT NULL
);

-- What stands in for a code when the device is lost, each once.
CREATE TABLE recovery_codes (
    user_id UUID NOT NULL CONSTRAINT recovery_codes_user REFERENCES users (id) ON DELETE CASCADE,
    hash BYTEA NOT NULL,
    CONSTRAINT recovery_codes_key PRIMARY KEY (user_id, hash)
);

-- Whose they are; NULL: the admins'.
ALTER TABLE servers ADD COLUMN owner_id UUID CONSTRAINT servers_owner REFERENCES users (id);
ALTER TABLE api_keys ADD COLUMN owner_id UUID CONSTRAINT api_keys_owner REFERENCES users (id);
ALTER TABLE consumers ADD COLUMN owner_id UUID CONSTRAINT consumers_owner REFERENCES users (id);
ALTER TABLE jobs ADD COLUMN owner_id UUID CONSTRAINT jobs_owner REFERENCES users (id);

-- The log also tells of people.
ALTER TABLE change_log DROP CONSTRAINT change_log_entity;
ALTER TABLE change_log ADD CONSTRAINT change_log_entity CHECK (entity IN ('server', 'key', 'user'));
