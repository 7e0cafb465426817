-- works-with: 1

-- +goose Up
-- Each restore that was accepted begins an epoch.
CREATE TABLE epochs (
    n           INTEGER NOT NULL PRIMARY KEY,
    at          INTEGER NOT NULL, -- Unix microseconds
    claims_from INTEGER NOT NULL  -- nobody claims before: tries that were lost would still count
);
INSERT INTO epochs (n, at, claims_from) VALUES (0, 0, 0);

-- A row is written into each copy that is made to be kept. A database that holds one is not served.
CREATE TABLE copies (
    at INTEGER NOT NULL
);
