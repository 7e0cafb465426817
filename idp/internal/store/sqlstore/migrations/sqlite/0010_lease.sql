-- +goose Up
CREATE TABLE leases (
    name   TEXT   PRIMARY KEY,
    holder TEXT   NOT NULL,
    fence  BIGINT NOT NULL,
    beat   BIGINT NOT NULL,
    at     BIGINT NOT NULL
);
-- Under which term of the sender's lease a mail is being sent; 0: it is not.
ALTER TABLE outbox ADD COLUMN fence BIGINT NOT NULL DEFAULT 0;
CREATE INDEX outbox_fence ON outbox (fence) WHERE sent_at = 0 AND fence > 0;

-- +goose Down
DROP INDEX outbox_fence;
ALTER TABLE outbox DROP COLUMN fence;
DROP TABLE leases;
