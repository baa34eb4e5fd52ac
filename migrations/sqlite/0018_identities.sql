-- Who an identity provider says somebody is: its issuer and what it calls the person there, which never
-- changes and is never given to another. An address of e-mail is neither, and binds nobody.
CREATE TABLE identities (
    id BLOB NOT NULL PRIMARY KEY,
    organization_id BLOB NOT NULL CONSTRAINT identities_organization REFERENCES organizations (id),
    user_id BLOB NOT NULL CONSTRAINT identities_user REFERENCES users (id) ON DELETE CASCADE,
    issuer TEXT NOT NULL,
    subject TEXT NOT NULL,
    -- How people recognise it; nothing is decided by it.
    shown TEXT NOT NULL,
    -- The account was made for it, so that the provider says what the person may do.
    made_account INTEGER NOT NULL CONSTRAINT identities_made CHECK (made_account IN (0, 1)),
    created_at INTEGER NOT NULL,
    CONSTRAINT identities_subject_unique UNIQUE (organization_id, issuer, subject),
    CONSTRAINT identities_owner_unique UNIQUE (user_id, issuer)
) STRICT;

-- A sign-in that was begun: taken once, by the browser that began it. The id and the browser are hashes;
-- what they are made of is stored nowhere.
CREATE TABLE sign_ins (
    id BLOB NOT NULL PRIMARY KEY,
    browser BLOB NOT NULL,
    -- Where it was begun from, so that nobody crowds out others.
    address TEXT NOT NULL,
    redirect_uri TEXT NOT NULL,
    -- The path to go to afterwards.
    next TEXT NOT NULL,
    -- Who links an identity with their account; NULL: somebody signs in.
    user_id BLOB CONSTRAINT sign_ins_user REFERENCES users (id) ON DELETE CASCADE,
    expires_at INTEGER NOT NULL
) STRICT;

CREATE INDEX sign_ins_by_expiry ON sign_ins (expires_at);
CREATE INDEX sign_ins_by_address ON sign_ins (address, expires_at);

-- The issuer that vouched for whoever began it; NULL: a password did.
ALTER TABLE sessions ADD COLUMN issuer TEXT;
