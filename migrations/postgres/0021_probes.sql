-- Servers whose API is asked from time to time whether it is well: when it is due, and what it came to last.
CREATE TABLE probes (
    server_id UUID NOT NULL PRIMARY KEY CONSTRAINT probes_server REFERENCES servers (id) ON DELETE CASCADE,
    -- Set before it is asked, by whoever asks.
    next_at BIGINT NOT NULL,
    last_at BIGINT,
    -- 1: it was well.
    last_ok BIGINT
);

-- What each question came to; the last 500 of a server.
CREATE TABLE probe_results (
    server_id UUID NOT NULL CONSTRAINT probe_results_server REFERENCES servers (id) ON DELETE CASCADE,
    at BIGINT NOT NULL,
    ok BIGINT NOT NULL,
    status BIGINT,
    took_ms BIGINT NOT NULL,
    reason TEXT,
    CONSTRAINT probe_results_key PRIMARY KEY (server_id, at)
);
