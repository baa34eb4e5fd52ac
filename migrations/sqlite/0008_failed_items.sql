-- The items of bulk imports that failed, one row a file, so that any process can try them again. They go
-- with their job.
CREATE TABLE failed_items (
    job_id BLOB NOT NULL CONSTRAINT failed_items_job REFERENCES jobs (id) ON DELETE CASCADE,
    organization_id BLOB NOT NULL CONSTRAINT failed_items_organization REFERENCES organizations (id),
    -- Of the item in its import, and of the file in its item; 0 is the file to begin with.
    position INTEGER NOT NULL,
    place INTEGER NOT NULL,
    item TEXT NOT NULL,
    -- Where the document is, or the file's name and bytes.
    url TEXT,
    file TEXT,
    bytes BLOB,
    CONSTRAINT failed_items_key PRIMARY KEY (job_id, position, place)
) STRICT;
