-- +goose Up
CREATE TABLE cases (
    id           TEXT    NOT NULL PRIMARY KEY,
    receipt      TEXT    NOT NULL UNIQUE,
    form         TEXT    NOT NULL,
    status       TEXT    NOT NULL,
    stage        TEXT    NOT NULL,
    status_since INTEGER NOT NULL, -- Unix microseconds, as every *_at and *_since
    submitted_on TEXT    NOT NULL, -- YYYY-MM-DD
    updated_at   INTEGER NOT NULL,
    until_on     TEXT    NOT NULL DEFAULT '',
    until_kind   TEXT    NOT NULL DEFAULT '',
    last_seq     INTEGER NOT NULL  -- Seq of the last event
);
CREATE INDEX cases_by_form_stage ON cases (form, stage);

CREATE TABLE parties (
    case_id      TEXT    NOT NULL REFERENCES cases (id),
    sub          TEXT    NOT NULL, -- pairwise subject: nothing else is known of a person
    relationship TEXT    NOT NULL,
    since        INTEGER NOT NULL,
    PRIMARY KEY (case_id, sub)
) WITHOUT ROWID;
CREATE UNIQUE INDEX parties_one_owner ON parties (case_id) WHERE relationship = 'owner';
CREATE INDEX parties_by_sub ON parties (sub);

CREATE TABLE events (
    case_id TEXT    NOT NULL REFERENCES cases (id),
    seq     INTEGER NOT NULL,
    id      TEXT    NOT NULL,
    code    TEXT    NOT NULL,
    at      INTEGER NOT NULL,
    PRIMARY KEY (case_id, seq)
) WITHOUT ROWID;

CREATE TABLE appointments (
    id         TEXT    NOT NULL PRIMARY KEY,
    case_id    TEXT    NOT NULL REFERENCES cases (id),
    kind       TEXT    NOT NULL,
    state      TEXT    NOT NULL,
    starts_at  INTEGER NOT NULL,
    utc_offset INTEGER NOT NULL, -- seconds east of UTC at the place
    place      TEXT    NOT NULL,
    address    TEXT    NOT NULL
);
CREATE INDEX appointments_by_case ON appointments (case_id, starts_at);

CREATE TABLE claim_codes (
    case_id    TEXT    NOT NULL PRIMARY KEY REFERENCES cases (id),
    mac        BLOB    NOT NULL, -- HMAC under a key that is not in this database
    expires_at INTEGER NOT NULL,
    used_at    INTEGER NOT NULL DEFAULT 0,
    used_by    TEXT    NOT NULL DEFAULT ''
);

CREATE TABLE claim_tries (
    sub   TEXT    NOT NULL PRIMARY KEY,
    n     INTEGER NOT NULL,
    since INTEGER NOT NULL
);

CREATE TABLE claim_backoffs (
    receipt_mac BLOB    NOT NULL PRIMARY KEY,
    n           INTEGER NOT NULL,
    last_at     INTEGER NOT NULL,
    not_before  INTEGER NOT NULL
);

CREATE TABLE idempotency_keys (
    sub       TEXT    NOT NULL,
    hash      BLOB    NOT NULL,
    request   BLOB    NOT NULL, -- HMAC of the request
    opened_at INTEGER NOT NULL,
    done      INTEGER NOT NULL DEFAULT 0,
    case_id   TEXT    NOT NULL DEFAULT '',
    fault     TEXT    NOT NULL DEFAULT '',
    PRIMARY KEY (sub, hash)
) WITHOUT ROWID;
CREATE INDEX idempotency_keys_by_age ON idempotency_keys (opened_at);

CREATE TABLE ledger_writers (
    id   INTEGER NOT NULL PRIMARY KEY,
    name TEXT    NOT NULL UNIQUE,
    seq  INTEGER NOT NULL, -- head of the writer's chain
    hash BLOB    NOT NULL
);

CREATE TABLE ledger (
    writer     INTEGER NOT NULL REFERENCES ledger_writers (id),
    seq        INTEGER NOT NULL,
    at         INTEGER NOT NULL,
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
    hash       BLOB    NOT NULL,
    PRIMARY KEY (writer, seq)
) WITHOUT ROWID;
CREATE INDEX ledger_by_txn ON ledger (txn) WHERE txn <> '';
CREATE INDEX ledger_by_jti ON ledger (jti) WHERE jti <> '';

-- The ledger is append-only. A chain shows what was changed; these stop what would be changed by mistake.
-- +goose StatementBegin
CREATE TRIGGER ledger_no_update BEFORE UPDATE ON ledger BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER ledger_no_delete BEFORE DELETE ON ledger BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
-- +goose StatementEnd
