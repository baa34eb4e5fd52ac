-- Every row's place in the chain of its organization, and a hash over the row before it and its own
-- contents (docs/audit.md). Rows from before this migration have neither.
ALTER TABLE audit ADD COLUMN seq BIGINT;
ALTER TABLE audit ADD COLUMN hash BYTEA;

CREATE UNIQUE INDEX audit_seq_unique ON audit (organization_id, seq);
-- The order of the list: rows without a number first.
CREATE INDEX audit_order ON audit (organization_id, COALESCE(seq, 0), id);

-- Where each chain ends. Whoever appends locks its row until the transaction ends.
CREATE TABLE audit_heads (
    organization_id UUID NOT NULL PRIMARY KEY CONSTRAINT audit_heads_organization REFERENCES organizations (id),
    seq BIGINT NOT NULL,
    hash BYTEA NOT NULL
);

CREATE TRIGGER audit_heads_are_never_deleted BEFORE DELETE OR TRUNCATE ON audit_heads
FOR EACH STATEMENT EXECUTE FUNCTION refuse_audit_change();
