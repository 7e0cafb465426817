-- +goose Up
-- The life of the numbers below: a database that was set back gets another name, so that nobody goes on from a place of the
-- life before.
CREATE TABLE feed_line (
    one  BIGINT PRIMARY KEY CHECK (one = 1),
    name TEXT   NOT NULL
);
INSERT INTO feed_line (one, name) VALUES (1, lower(hex(randomblob(16))));

-- How far each API's numbers go. They have no gap.
CREATE TABLE feed_heads (
    api TEXT   PRIMARY KEY,
    seq BIGINT NOT NULL
);

-- What an API has to hear of. The number is given at the end of the transaction, behind all that were committed before.
CREATE TABLE feed_events (
    id   INTEGER PRIMARY KEY AUTOINCREMENT,
    api  TEXT    NOT NULL,
    seq  BIGINT,
    kind TEXT    NOT NULL,
    ref  TEXT    NOT NULL,
    at   BIGINT  NOT NULL DEFAULT 0
);
CREATE UNIQUE INDEX feed_events_seq ON feed_events (api, seq);
CREATE INDEX feed_events_new ON feed_events (id) WHERE seq IS NULL;
CREATE INDEX feed_events_at ON feed_events (at);

-- +goose Down
DROP TABLE feed_events;
DROP TABLE feed_heads;
DROP TABLE feed_line;
