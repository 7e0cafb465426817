-- +goose Up
-- One row for each time that a restored database was accepted; the last one is the present epoch.
CREATE TABLE epochs (
    n         BIGINT PRIMARY KEY,
    at        BIGINT NOT NULL,
    totp_step BIGINT NOT NULL -- no code of this time step or an earlier one is accepted
);
INSERT INTO epochs (n, at, totp_step) VALUES (0, 0, 0);

-- A row says that this is a copy, which nobody may serve before it is accepted. Backups write it into themselves.
CREATE TABLE copies (
    at BIGINT PRIMARY KEY
);

-- +goose Down
DROP TABLE copies;
DROP TABLE epochs;
