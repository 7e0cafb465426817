-- +goose Up
CREATE TABLE outbox (
    id         TEXT   PRIMARY KEY,
    recipient  TEXT   NOT NULL,
    lang       TEXT   NOT NULL,
    template   TEXT   NOT NULL,
    account    TEXT   NOT NULL,
    sealed     BYTEA  NOT NULL,
    at         BIGINT NOT NULL,
    due_at     BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    attempts   BIGINT NOT NULL DEFAULT 0,
    sent_at    BIGINT NOT NULL DEFAULT 0,
    claim      TEXT   NOT NULL DEFAULT ''
);
CREATE INDEX outbox_due ON outbox (sent_at, due_at);
CREATE INDEX outbox_expires ON outbox (expires_at);

-- +goose Down
DROP TABLE outbox;
