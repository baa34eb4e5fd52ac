-- Servers of somebody that an admin closed or deleted: only an admin brings them back.
CREATE TABLE holds (
    server_id UUID NOT NULL PRIMARY KEY CONSTRAINT holds_server REFERENCES servers (id) ON DELETE CASCADE,
    created_at BIGINT NOT NULL
);
