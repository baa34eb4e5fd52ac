-- Calls of a model that has several arms (a canary beside the usual targets), and those a shadow gets, are told apart.
-- NULL, and the empty text: there is one arm only.
ALTER TABLE ledger ADD COLUMN arm TEXT;

-- What a canary's own calls are counted by.
CREATE INDEX ledger_arm ON ledger (organization_id, model, arm, at) WHERE arm IS NOT NULL;

-- SQLite changes a primary key with the table only.
CREATE TABLE model_usage_hourly_new (
    organization_id BLOB NOT NULL CONSTRAINT model_usage_hourly_organization REFERENCES organizations (id),
    -- When it begins, in microseconds.
    bucket INTEGER NOT NULL,
    -- As callers name it.
    model TEXT NOT NULL,
    -- `provider/model` of the one that answered, or was asked last.
    target TEXT NOT NULL,
    consumer_id BLOB NOT NULL,
    status TEXT NOT NULL,
    calls INTEGER NOT NULL,
    errors INTEGER NOT NULL,
    -- Calls whose tokens were counted here.
    estimated INTEGER NOT NULL,
    -- Of calls whose tokens are known.
    tokens_input INTEGER NOT NULL,
    tokens_cached INTEGER NOT NULL,
    tokens_cache_write INTEGER NOT NULL,
    tokens_output INTEGER NOT NULL,
    tokens_reasoning INTEGER NOT NULL,
    -- Of calls that have a price, and how many used tokens that have none.
    cost_nanos INTEGER NOT NULL,
    unknown_costs INTEGER NOT NULL,
    -- How many calls took how long, as a whole and to the first token of a stream: lists of [bin, calls].
    latency TEXT NOT NULL,
    first_token TEXT NOT NULL,
    arm TEXT NOT NULL DEFAULT '',
    CONSTRAINT model_usage_hourly_key PRIMARY KEY (organization_id, bucket, model, target, consumer_id, status, arm)
) STRICT;

INSERT INTO model_usage_hourly_new (
    organization_id, bucket, model, target, consumer_id, status, calls, errors, estimated,
    tokens_input, tokens_cached, tokens_cache_write, tokens_output, tokens_reasoning, cost_nanos,
    unknown_costs, latency, first_token
)
SELECT
    organization_id, bucket, model, target, consumer_id, status, calls, errors, estimated,
    tokens_input, tokens_cached, tokens_cache_write, tokens_output, tokens_reasoning, cost_nanos,
    unknown_costs, latency, first_token
FROM model_usage_hourly;

DROP TABLE model_usage_hourly;

ALTER TABLE model_usage_hourly_new RENAME TO model_usage_hourly;

CREATE TABLE model_usage_daily_new (
    organization_id BLOB NOT NULL CONSTRAINT model_usage_daily_organization REFERENCES organizations (id),
    -- When it begins, in microseconds.
    bucket INTEGER NOT NULL,
    -- As callers name it.
    model TEXT NOT NULL,
    -- `provider/model` of the one that answered, or was asked last.
    target TEXT NOT NULL,
    consumer_id BLOB NOT NULL,
    status TEXT NOT NULL,
    calls INTEGER NOT NULL,
    errors INTEGER NOT NULL,
    -- Calls whose tokens were counted here.
    estimated INTEGER NOT NULL,
    -- Of calls whose tokens are known.
    tokens_input INTEGER NOT NULL,
    tokens_cached INTEGER NOT NULL,
    tokens_cache_write INTEGER NOT NULL,
    tokens_output INTEGER NOT NULL,
    tokens_reasoning INTEGER NOT NULL,
    -- Of calls that have a price, and how many used tokens that have none.
    cost_nanos INTEGER NOT NULL,
    unknown_costs INTEGER NOT NULL,
    -- How many calls took how long, as a whole and to the first token of a stream: lists of [bin, calls].
    latency TEXT NOT NULL,
    first_token TEXT NOT NULL,
    arm TEXT NOT NULL DEFAULT '',
    CONSTRAINT model_usage_daily_key PRIMARY KEY (organization_id, bucket, model, target, consumer_id, status, arm)
) STRICT;

INSERT INTO model_usage_daily_new (
    organization_id, bucket, model, target, consumer_id, status, calls, errors, estimated,
    tokens_input, tokens_cached, tokens_cache_write, tokens_output, tokens_reasoning, cost_nanos,
    unknown_costs, latency, first_token
)
SELECT
    organization_id, bucket, model, target, consumer_id, status, calls, errors, estimated,
    tokens_input, tokens_cached, tokens_cache_write, tokens_output, tokens_reasoning, cost_nanos,
    unknown_costs, latency, first_token
FROM model_usage_daily;

DROP TABLE model_usage_daily;

ALTER TABLE model_usage_daily_new RENAME TO model_usage_daily;
