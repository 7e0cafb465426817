-- +goose Up
CREATE TABLE audit_writers (
    id         INTEGER PRIMARY KEY,
    name       TEXT   NOT NULL UNIQUE,
    started_at BIGINT NOT NULL,
    head_seq   BIGINT NOT NULL,
    head_hash  BLOB   NOT NULL,
    indexed    BIGINT NOT NULL DEFAULT 0
);

CREATE TABLE audit_events (
    writer INTEGER NOT NULL,
    seq    BIGINT  NOT NULL,
    at     BIGINT  NOT NULL,
    body   BLOB    NOT NULL,
    hash   BLOB    NOT NULL,
    PRIMARY KEY (writer, seq)
) WITHOUT ROWID;

CREATE INDEX audit_events_at ON audit_events (at);

-- Filled from audit_events behind the commit; it can be rebuilt from them at any time.
CREATE TABLE audit_refs (
    ref    TEXT    NOT NULL,
    at     BIGINT  NOT NULL,
    writer INTEGER NOT NULL,
    seq    BIGINT  NOT NULL,
    PRIMARY KEY (ref, at, writer, seq)
) WITHOUT ROWID;

CREATE TABLE spent (
    kind  TEXT   NOT NULL,
    key   BLOB   NOT NULL,
    ref   TEXT   NOT NULL,
    until BIGINT NOT NULL,
    PRIMARY KEY (kind, key)
) WITHOUT ROWID;
CREATE INDEX spent_until ON spent (until);

-- +goose Down
DROP TABLE spent;
DROP TABLE audit_refs;
DROP TABLE audit_events;
DROP TABLE audit_writers;
