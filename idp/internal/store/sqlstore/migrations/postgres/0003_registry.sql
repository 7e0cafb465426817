-- +goose Up
-- One row for each kind of thing that processes keep in memory; every change to the kind moves its number.
CREATE TABLE versions (
    kind TEXT   PRIMARY KEY,
    n    BIGINT NOT NULL
);
INSERT INTO versions (kind, n) VALUES ('clients', 1), ('apis', 1), ('keys', 1);

CREATE TABLE clients (
    id          TEXT   PRIMARY KEY,
    metadata    TEXT   NOT NULL,
    secret_hash BYTEA  NOT NULL,
    created_at  BIGINT NOT NULL,
    updated_at  BIGINT NOT NULL,
    version     BIGINT NOT NULL
);

CREATE TABLE apis (
    id       TEXT   PRIMARY KEY,
    audience TEXT   NOT NULL UNIQUE,
    metadata TEXT   NOT NULL,
    version  BIGINT NOT NULL
);

-- A scope belongs to one API, so that a scope alone says what a token is for.
CREATE TABLE api_scopes (
    name TEXT PRIMARY KEY,
    api  TEXT NOT NULL REFERENCES apis (id)
);
CREATE INDEX api_scopes_api ON api_scopes (api);

CREATE TABLE signing_keys (
    id         TEXT   PRIMARY KEY,
    alg        TEXT   NOT NULL,
    state      TEXT   NOT NULL,
    public     TEXT   NOT NULL,
    sealed     BYTEA  NOT NULL,
    created_at BIGINT NOT NULL,
    active_at  BIGINT NOT NULL,
    ended_at   BIGINT NOT NULL DEFAULT 0
);
CREATE UNIQUE INDEX signing_keys_one ON signing_keys (alg, state) WHERE state IN ('next', 'active');

CREATE TABLE secrets (
    name       TEXT   PRIMARY KEY,
    sealed     BYTEA  NOT NULL,
    created_at BIGINT NOT NULL
);

-- +goose Down
DROP TABLE secrets;
DROP TABLE signing_keys;
DROP TABLE api_scopes;
DROP TABLE apis;
DROP TABLE clients;
DROP TABLE versions;
