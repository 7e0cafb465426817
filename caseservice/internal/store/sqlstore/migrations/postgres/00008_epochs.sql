-- works-with: 1

-- +goose Up
-- Each restore that was accepted begins an epoch.
CREATE TABLE epochs (
    n           BIGINT NOT NULL PRIMARY KEY,
    at          BIGINT NOT NULL, -- Unix microseconds
    claims_from BIGINT NOT NULL  -- nobody claims before: tries that were lost would still count
);
INSERT INTO epochs (n, at, claims_from) VALUES (0, 0, 0);

-- A row is written into each copy that is made to be kept. A database that holds one is not served.
CREATE TABLE copies (
    at BIGINT NOT NULL
);
