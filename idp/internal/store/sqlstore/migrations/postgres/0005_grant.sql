-- +goose Up
CREATE TABLE consents (
    account TEXT   NOT NULL,
    client  TEXT   NOT NULL,
    scope   TEXT   NOT NULL,
    at      BIGINT NOT NULL,
    PRIMARY KEY (account, client, scope)
);
CREATE INDEX consents_client ON consents (client);

CREATE TABLE grants (
    id         TEXT   PRIMARY KEY,
    account    TEXT   NOT NULL,
    client     TEXT   NOT NULL,
    session    TEXT   NOT NULL,
    scopes     TEXT   NOT NULL,
    api        TEXT   NOT NULL,
    txn        TEXT   NOT NULL,
    auth_time  BIGINT NOT NULL,
    acr        TEXT   NOT NULL,
    amr        TEXT   NOT NULL,
    nonce      TEXT   NOT NULL,
    at         BIGINT NOT NULL,
    keep_until BIGINT NOT NULL,
    revoked_at BIGINT NOT NULL DEFAULT 0
);
CREATE INDEX grants_session ON grants (session);
CREATE INDEX grants_account ON grants (account, client);
CREATE INDEX grants_client ON grants (client);
CREATE INDEX grants_keep ON grants (keep_until);

-- A family ends with its grant: revoking a grant touches one row.
CREATE TABLE families (
    id         TEXT   PRIMARY KEY,
    grant_id   TEXT   NOT NULL UNIQUE,
    client     TEXT   NOT NULL,
    created_at BIGINT NOT NULL,
    used_at    BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    revoked_at BIGINT NOT NULL DEFAULT 0
);
CREATE INDEX families_expires ON families (expires_at);

CREATE TABLE refresh_tokens (
    hash     BYTEA  PRIMARY KEY,
    family   TEXT   NOT NULL,
    at       BIGINT NOT NULL,
    used_at  BIGINT NOT NULL DEFAULT 0,
    child    BYTEA,
    sealed   BYTEA,
    scope    TEXT   NOT NULL DEFAULT '',
    resource TEXT   NOT NULL DEFAULT ''
);
-- The live leaf of a family is its one token that was never used.
CREATE UNIQUE INDEX refresh_tokens_leaf ON refresh_tokens (family) WHERE used_at = 0;
CREATE INDEX refresh_tokens_family ON refresh_tokens (family);
CREATE INDEX refresh_tokens_sealed ON refresh_tokens (used_at) WHERE sealed IS NOT NULL;

CREATE TABLE access_tokens (
    jti        TEXT   PRIMARY KEY,
    grant_id   TEXT   NOT NULL,
    family     TEXT   NOT NULL,
    api        TEXT   NOT NULL,
    scope      TEXT   NOT NULL,
    at         BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX access_tokens_expires ON access_tokens (expires_at);

CREATE TABLE revoked_tokens (
    jti   TEXT   PRIMARY KEY,
    at    BIGINT NOT NULL,
    until BIGINT NOT NULL
);
CREATE INDEX revoked_tokens_until ON revoked_tokens (until);

-- +goose Down
DROP TABLE revoked_tokens;
DROP TABLE access_tokens;
DROP TABLE refresh_tokens;
DROP TABLE families;
DROP TABLE grants;
DROP TABLE consents;
