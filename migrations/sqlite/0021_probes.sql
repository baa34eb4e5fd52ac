-- Servers whose API is asked from time to time whether it is well: when it is due, and what it came to last.
CREATE TABLE probes (
    server_id BLOB NOT NULL PRIMARY KEY CONSTRAINT probes_server REFERENCES servers (id) ON DELETE CASCADE,
    -- Set before it is asked, by whoever asks.
    next_at INTEGER NOT NULL,
    last_at INTEGER,
    -- 1: it was well.
    last_ok INTEGER
) STRICT;

-- What each question came to; the last 500 of a server.
CREATE TABLE probe_results (
    server_id BLOB NOT NULL CONSTRAINT probe_results_server REFERENCES servers (id) ON DELETE CASCADE,
    at INTEGER NOT NULL,
    ok INTEGER NOT NULL,
    status INTEGER,
    took_ms INTEGER NOT NULL,
    reason TEXT,
    CONSTRAINT probe_results_key PRIMARY KEY (server_id, at)
) STRICT;
