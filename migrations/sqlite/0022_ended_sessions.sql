-- Sessions of the admin key that were signed out of before their time, by their hashes. No other trace of them
-- is kept; every replica reads their cookies.
CREATE TABLE ended_sessions (
    hash BLOB NOT NULL PRIMARY KEY,
    expires_at INTEGER NOT NULL
) STRICT;
