-- Calls of a model that has several arms (a canary beside the usual targets), and those a shadow gets, are told apart.
-- NULL, and the empty text: there is one arm only.
ALTER TABLE ledger ADD COLUMN arm TEXT;

-- What a canary's own calls are counted by.
CREATE INDEX ledger_arm ON ledger (organization_id, model, arm, at) WHERE arm IS NOT NULL;

ALTER TABLE model_usage_hourly ADD COLUMN arm TEXT NOT NULL DEFAULT '';
ALTER TABLE model_usage_hourly DROP CONSTRAINT model_usage_hourly_key;
ALTER TABLE model_usage_hourly ADD CONSTRAINT model_usage_hourly_key
    PRIMARY KEY (organization_id, bucket, model, target, consumer_id, status, arm);

ALTER TABLE model_usage_daily ADD COLUMN arm TEXT NOT NULL DEFAULT '';
ALTER TABLE model_usage_daily DROP CONSTRAINT model_usage_daily_key;
ALTER TABLE model_usage_daily ADD CONSTRAINT model_usage_daily_key
    PRIMARY KEY (organization_id, bucket, model, target, consumer_id, status, arm);
