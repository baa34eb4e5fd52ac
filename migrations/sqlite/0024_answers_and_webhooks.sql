-- The name of the tool that gave an answer, as its limits count it.
ALTER TABLE answers ADD COLUMN tool TEXT;

-- Which of its secrets a server's webhook signs with, where it is not the first: the number it is made of.
CREATE TABLE webhook_secrets (
    server_id BLOB NOT NULL PRIMARY KEY CONSTRAINT webhook_secrets_server REFERENCES servers (id) ON DELETE CASCADE,
    number INTEGER NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;
