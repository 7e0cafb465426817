-- +goose Up
CREATE TABLE cases (
    id           TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    receipt      TEXT    NOT NULL UNIQUE,
    form         TEXT    NOT NULL,
    status       TEXT    NOT NULL,
    stage        TEXT    NOT NULL,
    status_since BIGINT  NOT NULL, -- Unix microseconds, as every *_at and *_since
    submitted_on TEXT    NOT NULL, -- YYYY-MM-DD
    updated_at   BIGINT  NOT NULL,
    until_on     TEXT    NOT NULL DEFAULT '',
    until_kind   TEXT    NOT NULL DEFAULT '',
    last_seq     BIGINT  NOT NULL  -- Seq of the last event
);
CREATE INDEX cases_by_form_stage ON cases (form, stage);

CREATE TABLE parties (
    case_id      TEXT    NOT NULL REFERENCES cases (id),
    sub          TEXT    NOT NULL, -- pairwise subject: nothing else is known of a person
    relationship TEXT    NOT NULL,
    since        BIGINT  NOT NULL,
    PRIMARY KEY (case_id, sub)
);
CREATE UNIQUE INDEX parties_one_owner ON parties (case_id) WHERE relationship = 'owner';
CREATE INDEX parties_by_sub ON parties (sub);

CREATE TABLE events (
    case_id TEXT    NOT NULL REFERENCES cases (id),
    seq     BIGINT  NOT NULL,
    id      TEXT    NOT NULL,
    code    TEXT    NOT NULL,
    at      BIGINT  NOT NULL,
    PRIMARY KEY (case_id, seq)
);

CREATE TABLE appointments (
    id         TEXT    NOT NULL PRIMARY KEY,
    case_id    TEXT    NOT NULL REFERENCES cases (id),
    kind       TEXT    NOT NULL,
    state      TEXT    NOT NULL,
    starts_at  BIGINT  NOT NULL,
    utc_offset BIGINT  NOT NULL, -- seconds east of UTC at the place
    place      TEXT    NOT NULL,
    address    TEXT    NOT NULL
);
CREATE INDEX appointments_by_case ON appointments (case_id, starts_at);

CREATE TABLE claim_codes (
    case_id    TEXT    NOT NULL PRIMARY KEY REFERENCES cases (id),
    mac        BYTEA   NOT NULL, -- HMAC under a key that is not in this database
    expires_at BIGINT  NOT NULL,
    used_at    BIGINT  NOT NULL DEFAULT 0,
    used_by    TEXT    NOT NULL DEFAULT ''
);

CREATE TABLE claim_tries (
    sub   TEXT    NOT NULL PRIMARY KEY,
    n     BIGINT  NOT NULL,
    since BIGINT  NOT NULL
);

CREATE TABLE claim_backoffs (
    receipt_mac BYTEA   NOT NULL PRIMARY KEY,
    n           BIGINT  NOT NULL,
    last_at     BIGINT  NOT NULL,
    not_before  BIGINT  NOT NULL
);

CREATE TABLE idempotency_keys (
    sub       TEXT    NOT NULL,
    hash      BYTEA   NOT NULL,
    request   BYTEA   NOT NULL, -- HMAC of the request
    opened_at BIGINT  NOT NULL,
    done      BIGINT  NOT NULL DEFAULT 0,
    case_id   TEXT    NOT NULL DEFAULT '',
    fault     TEXT    NOT NULL DEFAULT '',
    PRIMARY KEY (sub, hash)
);
CREATE INDEX idempotency_keys_by_age ON idempotency_keys (opened_at);

CREATE TABLE ledger_writers (
    id   BIGINT  GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name TEXT    NOT NULL UNIQUE,
    seq  BIGINT  NOT NULL, -- head of the writer's chain
    hash BYTEA   NOT NULL
);

CREATE TABLE ledger (
    writer     BIGINT  NOT NULL REFERENCES ledger_writers (id),
    seq        BIGINT  NOT NULL,
    at         BIGINT  NOT NULL,
    act        TEXT    NOT NULL,
    outcome    TEXT    NOT NULL,
    reason     TEXT    NOT NULL,
    case_id    TEXT    NOT NULL,
    sub        TEXT    NOT NULL,
    client_id  TEXT    NOT NULL,
    txn        TEXT    NOT NULL,
    jti        TEXT    NOT NULL,
    actor      TEXT    NOT NULL,
    purpose    TEXT    NOT NULL,
    request_id TEXT    NOT NULL,
    hash       BYTEA   NOT NULL,
    PRIMARY KEY (writer, seq)
);
CREATE INDEX ledger_by_txn ON ledger (txn) WHERE txn <> '';
CREATE INDEX ledger_by_jti ON ledger (jti) WHERE jti <> '';

-- The ledger is append-only. A chain shows what was changed; these stop what would be changed by mistake.
-- +goose StatementBegin
CREATE FUNCTION ledger_append_only() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'the ledger is append-only'; END $$;
-- +goose StatementEnd
CREATE TRIGGER ledger_no_change BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger EXECUTE FUNCTION ledger_append_only();
