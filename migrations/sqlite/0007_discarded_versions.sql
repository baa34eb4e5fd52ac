-- Versions that waited and that somebody let go of: reading their document again does not bring them back.
CREATE TABLE discarded_versions (
    version_id BLOB NOT NULL PRIMARY KEY CONSTRAINT discarded_versions_version REFERENCES server_versions (id) ON DELETE CASCADE,
    organization_id BLOB NOT NULL CONSTRAINT discarded_versions_organization REFERENCES organizations (id),
    created_at INTEGER NOT NULL
) STRICT;
