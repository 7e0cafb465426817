-- +goose Up
ALTER TABLE throttles ADD COLUMN eased BIGINT NOT NULL DEFAULT 0;
ALTER TABLE throttles ADD COLUMN expires_at BIGINT NOT NULL DEFAULT 0;
DROP INDEX throttles_updated;
CREATE INDEX throttles_expires ON throttles (expires_at);

-- +goose Down
DROP INDEX throttles_expires;
CREATE INDEX throttles_updated ON throttles (updated_at);
ALTER TABLE throttles DROP COLUMN expires_at;
ALTER TABLE throttles DROP COLUMN eased;
