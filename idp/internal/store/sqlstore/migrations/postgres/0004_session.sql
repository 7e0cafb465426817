-- +goose Up
CREATE TABLE sessions (
    id          TEXT   PRIMARY KEY,
    cookie      BYTEA  NOT NULL UNIQUE,
    account     TEXT   NOT NULL REFERENCES accounts (id),
    device      TEXT   NOT NULL,
    created_at  BIGINT NOT NULL,
    auth_time   BIGINT NOT NULL,
    factor_time BIGINT NOT NULL,
    last_seen   BIGINT NOT NULL,
    acr         TEXT   NOT NULL,
    amr         TEXT   NOT NULL,
    user_agent  TEXT   NOT NULL,
    ip          TEXT   NOT NULL,
    ended_at    BIGINT NOT NULL DEFAULT 0
);
CREATE INDEX sessions_account ON sessions (account, created_at);
CREATE INDEX sessions_created ON sessions (created_at);

CREATE TABLE devices (
    account    TEXT   NOT NULL REFERENCES accounts (id),
    cookie     BYTEA  NOT NULL,
    id         TEXT   NOT NULL UNIQUE,
    user_agent TEXT   NOT NULL,
    first_seen BIGINT NOT NULL,
    last_seen  BIGINT NOT NULL,
    PRIMARY KEY (account, cookie)
);
CREATE INDEX devices_last_seen ON devices (last_seen);

-- +goose Down
DROP TABLE devices;
DROP TABLE sessions;
