-- The key that a key took the place of; the older one goes on for a while, so that clients can change
-- over. A key is replaced once.
ALTER TABLE api_keys ADD COLUMN replaces UUID;

CREATE UNIQUE INDEX api_keys_replaces_unique ON api_keys (replaces);

-- The operation whose tool gave an answer, where not every caller may use it.
ALTER TABLE answers ADD COLUMN operation TEXT;

-- Who issues tokens that callers may come with. `settings` says for which audience they have to be,
-- how they are verified, and what they are good for.
CREATE TABLE issuers (
    id UUID NOT NULL PRIMARY KEY,
    organization_id UUID NOT NULL CONSTRAINT issuers_organization REFERENCES organizations (id),
    name TEXT NOT NULL,
    -- The claim `iss` of its tokens: it decides whose they are.
    issuer TEXT NOT NULL,
    settings TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    CONSTRAINT issuers_name_unique UNIQUE (organization_id, name),
    CONSTRAINT issuers_issuer_unique UNIQUE (issuer)
);

-- Consumers that came with a token: of which issuer, and who they are there. Both are NULL for
-- consumers that were made here.
ALTER TABLE consumers ADD COLUMN issuer TEXT;
ALTER TABLE consumers ADD COLUMN subject TEXT;

CREATE UNIQUE INDEX consumers_subject_unique ON consumers (organization_id, issuer, subject);
