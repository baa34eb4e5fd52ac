-- The models a key may ask for, by name or pattern: a list in JSON. NULL: all of them, unless it is for some servers
-- only.
ALTER TABLE api_keys ADD COLUMN models TEXT;
