-- A version is what was published then, and a document is what its hash says: rollback and audit rely
-- on it. Both are removed with their server only.
CREATE FUNCTION refuse_version_change() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'versions and documents are never changed'; END $$;

CREATE TRIGGER server_versions_are_never_updated BEFORE UPDATE ON server_versions
FOR EACH STATEMENT EXECUTE FUNCTION refuse_version_change();

CREATE TRIGGER documents_are_never_updated BEFORE UPDATE ON documents
FOR EACH STATEMENT EXECUTE FUNCTION refuse_version_change();
