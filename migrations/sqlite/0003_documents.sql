-- The overlays a version was made with: a JSON list of their texts; NULL: none.
ALTER TABLE server_versions ADD COLUMN overlays TEXT;

-- Which server a bulk import made of which item, so that the next one updates it.
CREATE TABLE import_items (
    organization_id BLOB NOT NULL CONSTRAINT import_items_organization REFERENCES organizations (id),
    collection TEXT NOT NULL,
    name TEXT NOT NULL,
    server_id BLOB NOT NULL CONSTRAINT import_items_server REFERENCES servers (id) ON DELETE CASCADE,
    updated_at INTEGER NOT NULL,
    CONSTRAINT import_items_key PRIMARY KEY (organization_id, collection, name)
) STRICT;
