-- A server that is there and not served: its owner disabled it, or took it out of the catalog. NULL: it
-- is served. The note is what callers are told besides.
ALTER TABLE servers ADD COLUMN closed TEXT CONSTRAINT servers_closed CHECK (closed IN ('disabled', 'unpublished'));
ALTER TABLE servers ADD COLUMN closed_at BIGINT;
ALTER TABLE servers ADD COLUMN closed_note TEXT;
-- Deleted, and kept for some days with its name, so that it can be restored. Its credentials are gone.
ALTER TABLE servers ADD COLUMN deleted_at BIGINT;

CREATE INDEX servers_deleted ON servers (deleted_at) WHERE deleted_at IS NOT NULL;

-- Somebody whose personal data was erased; what is left of the row is a pseudonym.
ALTER TABLE users ADD COLUMN erased_at BIGINT;
ALTER TABLE consumers ADD COLUMN erased_at BIGINT;

-- People whose names are being replaced by pseudonyms in the audit: up to the row with this number, in steps. A
-- row goes with the last step, and the name with it.
CREATE TABLE erasures (
    id UUID NOT NULL PRIMARY KEY,
    organization_id UUID NOT NULL CONSTRAINT erasures_organization REFERENCES organizations (id),
    name TEXT NOT NULL,
    pseudonym TEXT NOT NULL,
    until_seq BIGINT NOT NULL,
    created_at BIGINT NOT NULL
);

-- The row of the audit that says what this row was changed to, when a name in it was replaced. Nothing
-- else of a row ever changes, and only so.
ALTER TABLE audit ADD COLUMN redacted_by UUID;

DROP TRIGGER audit_is_never_updated ON audit;

CREATE TRIGGER audit_is_never_updated BEFORE UPDATE ON audit
FOR EACH ROW
WHEN (NEW.redacted_by IS NULL OR NEW.redacted_by IS NOT DISTINCT FROM OLD.redacted_by
    OR NEW.id IS DISTINCT FROM OLD.id OR NEW.organization_id IS DISTINCT FROM OLD.organization_id
    OR NEW.at IS DISTINCT FROM OLD.at OR NEW.action IS DISTINCT FROM OLD.action
    OR NEW.entity IS DISTINCT FROM OLD.entity OR NEW.seq IS DISTINCT FROM OLD.seq
    OR NEW.hash IS DISTINCT FROM OLD.hash)
EXECUTE FUNCTION refuse_audit_change();

CREATE TRIGGER audit_is_never_deleted BEFORE DELETE OR TRUNCATE ON audit
FOR EACH STATEMENT EXECUTE FUNCTION refuse_audit_change();
