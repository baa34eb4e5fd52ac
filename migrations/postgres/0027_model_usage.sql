-- Calls of models added up by hours (of UTC), in the transaction that writes the calls. No consumer is the nil UUID,
-- no target the empty text.
CREATE TABLE model_usage_hourly (
    organization_id UUID NOT NULL CONSTRAINT model_usage_hourly_organization REFERENCES organizations (id),
    -- When it begins, in microseconds.
    bucket BIGINT NOT NULL,
    -- As callers name it.
    model TEXT NOT NULL,
    -- `provider/model` of the one that answered, or was asked last.
    target TEXT NOT NULL,
    consumer_id UUID NOT NULL,
    status TEXT NOT NULL,
    calls BIGINT NOT NULL,
    errors BIGINT NOT NULL,
    -- Calls whose tokens were counted here.
    estimated BIGINT NOT NULL,
    -- Of calls whose tokens are known.
    tokens_input BIGINT NOT NULL,
    tokens_cached BIGINT NOT NULL,
    tokens_cache_write BIGINT NOT NULL,
    tokens_output BIGINT NOT NULL,
    tokens_reasoning BIGINT NOT NULL,
    -- Of calls that have a price, and how many used tokens that have none.
    cost_nanos BIGINT NOT NULL,
    unknown_costs BIGINT NOT NULL,
    -- How many calls took how long, as a whole and to the first token of a stream: lists of [bin, calls].
    latency TEXT NOT NULL,
    first_token TEXT NOT NULL,
    CONSTRAINT model_usage_hourly_key PRIMARY KEY (organization_id, bucket, model, target, consumer_id, status)
);

-- Hours that are long past, added up by days.
CREATE TABLE model_usage_daily (
    organization_id UUID NOT NULL CONSTRAINT model_usage_daily_organization REFERENCES organizations (id),
    -- When it begins, in microseconds.
    bucket BIGINT NOT NULL,
    -- As callers name it.
    model TEXT NOT NULL,
    -- `provider/model` of the one that answered, or was asked last.
    target TEXT NOT NULL,
    consumer_id UUID NOT NULL,
    status TEXT NOT NULL,
    calls BIGINT NOT NULL,
    errors BIGINT NOT NULL,
    -- Calls whose tokens were counted here.
    estimated BIGINT NOT NULL,
    -- Of calls whose tokens are known.
    tokens_input BIGINT NOT NULL,
    tokens_cached BIGINT NOT NULL,
    tokens_cache_write BIGINT NOT NULL,
    tokens_output BIGINT NOT NULL,
    tokens_reasoning BIGINT NOT NULL,
    -- Of calls that have a price, and how many used tokens that have none.
    cost_nanos BIGINT NOT NULL,
    unknown_costs BIGINT NOT NULL,
    -- How many calls took how long, as a whole and to the first token of a stream: lists of [bin, calls].
    latency TEXT NOT NULL,
    first_token TEXT NOT NULL,
    CONSTRAINT model_usage_daily_key PRIMARY KEY (organization_id, bucket, model, target, consumer_id, status)
);
