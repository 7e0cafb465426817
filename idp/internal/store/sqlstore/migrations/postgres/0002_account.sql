-- +goose Up
CREATE TABLE accounts (
    id                TEXT   PRIMARY KEY,
    status            TEXT   NOT NULL,
    given_name        TEXT   NOT NULL,
    family_name       TEXT   NOT NULL,
    birth_date        TEXT   NOT NULL,
    country           TEXT   NOT NULL,
    locale            TEXT   NOT NULL,
    email             TEXT   NOT NULL,
    username          TEXT   NOT NULL,
    email_verified_at BIGINT NOT NULL,
    created_at        BIGINT NOT NULL,
    updated_at        BIGINT NOT NULL,
    version           BIGINT NOT NULL
);

-- One namespace for addresses and user names, in canonical form.
CREATE TABLE identifiers (
    canonical TEXT PRIMARY KEY,
    account   TEXT NOT NULL REFERENCES accounts (id)
);
CREATE INDEX identifiers_account ON identifiers (account);

CREATE TABLE mail_links (
    hash       BYTEA  PRIMARY KEY,
    purpose    TEXT   NOT NULL,
    email      TEXT   NOT NULL,
    canonical  TEXT   NOT NULL,
    lang       TEXT   NOT NULL,
    flow       TEXT   NOT NULL,
    at         BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    spent_at   BIGINT NOT NULL DEFAULT 0
);
CREATE INDEX mail_links_canonical ON mail_links (canonical, purpose, at);
CREATE INDEX mail_links_expires ON mail_links (expires_at);

CREATE TABLE passwords (
    account    TEXT   PRIMARY KEY REFERENCES accounts (id),
    record     TEXT   NOT NULL,
    changed_at BIGINT NOT NULL
);

CREATE TABLE totps (
    id         TEXT   PRIMARY KEY,
    account    TEXT   NOT NULL REFERENCES accounts (id),
    label      TEXT   NOT NULL,
    sealed     BYTEA  NOT NULL,
    created_at BIGINT NOT NULL,
    used_at    BIGINT NOT NULL DEFAULT 0
);
CREATE INDEX totps_account ON totps (account);

-- The last time step accepted of an account: one for all of its authenticators, so that no step counts twice.
CREATE TABLE totp_steps (
    account TEXT   PRIMARY KEY REFERENCES accounts (id),
    step    BIGINT NOT NULL
);

CREATE TABLE recovery_codes (
    account TEXT   NOT NULL REFERENCES accounts (id),
    hash    BYTEA  NOT NULL,
    salt    BYTEA  NOT NULL,
    made_at BIGINT NOT NULL,
    used_at BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (account, hash)
);

CREATE TABLE throttles (
    key        TEXT   PRIMARY KEY,
    failures   BIGINT NOT NULL,
    until      BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE INDEX throttles_updated ON throttles (updated_at);

-- +goose Down
DROP TABLE throttles;
DROP TABLE recovery_codes;
DROP TABLE totp_steps;
DROP TABLE totps;
DROP TABLE passwords;
DROP TABLE mail_links;
DROP TABLE identifiers;
DROP TABLE accounts;
