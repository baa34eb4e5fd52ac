-- What the catalog shows and finds of a version without compiling it. Versions never change, so neither
-- does this; a version from before it has no row until a process makes one at its start.
CREATE TABLE catalog_entries (
    version_id BLOB NOT NULL PRIMARY KEY CONSTRAINT catalog_entries_version REFERENCES server_versions (id) ON DELETE CASCADE,
    summary TEXT NOT NULL,
    -- A JSON list: the tags of the document's operations.
    tags TEXT NOT NULL,
    -- A JSON list of [operation, name, title, tokens].
    tools TEXT NOT NULL
) STRICT;
