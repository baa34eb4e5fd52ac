-- The ledger added up by hours (of UTC), in the transaction that writes the calls. No server and no consumer is
-- the nil UUID, no tool the empty text.
CREATE TABLE usage_hourly (
    organization_id BLOB NOT NULL CONSTRAINT usage_hourly_organization REFERENCES organizations (id),
    -- When it begins, in microseconds.
    bucket INTEGER NOT NULL,
    server_id BLOB NOT NULL,
    tool TEXT NOT NULL,
    consumer_id BLOB NOT NULL,
    status TEXT NOT NULL,
    calls INTEGER NOT NULL,
    errors INTEGER NOT NULL,
    request_bytes INTEGER NOT NULL,
    response_bytes INTEGER NOT NULL,
    upstream_us INTEGER NOT NULL,
    -- NULL: of no call is it known.
    tokens INTEGER,
    cost_nanos INTEGER,
    -- How many calls took how long: a list of [bin, calls].
    latency TEXT NOT NULL,
    CONSTRAINT usage_hourly_key PRIMARY KEY (organization_id, bucket, server_id, tool, consumer_id, status)
) STRICT;

-- Hours that are long past, added up by days.
CREATE TABLE usage_daily (
    organization_id BLOB NOT NULL CONSTRAINT usage_daily_organization REFERENCES organizations (id),
    -- When it begins, in microseconds.
    bucket INTEGER NOT NULL,
    server_id BLOB NOT NULL,
    tool TEXT NOT NULL,
    consumer_id BLOB NOT NULL,
    status TEXT NOT NULL,
    calls INTEGER NOT NULL,
    errors INTEGER NOT NULL,
    request_bytes INTEGER NOT NULL,
    response_bytes INTEGER NOT NULL,
    upstream_us INTEGER NOT NULL,
    -- NULL: of no call is it known.
    tokens INTEGER,
    cost_nanos INTEGER,
    -- How many calls took how long: a list of [bin, calls].
    latency TEXT NOT NULL,
    CONSTRAINT usage_daily_key PRIMARY KEY (organization_id, bucket, server_id, tool, consumer_id, status)
) STRICT;

-- Keys that were made of an earlier master key and that have to stay as they are, sealed.
CREATE TABLE kept_keys (
    purpose TEXT NOT NULL PRIMARY KEY,
    key_id TEXT NOT NULL,
    sealed BLOB NOT NULL
) STRICT;
