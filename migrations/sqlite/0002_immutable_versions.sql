-- A version is what was published then, and a document is what its hash says: rollback and audit rely
-- on it. Both are removed with their server only.
CREATE TRIGGER server_versions_are_never_updated BEFORE UPDATE ON server_versions
BEGIN SELECT RAISE(ABORT, 'versions are never changed'); END;

CREATE TRIGGER documents_are_never_updated BEFORE UPDATE ON documents
BEGIN SELECT RAISE(ABORT, 'documents are never changed'); END;
