-- +goose Up
-- Whether every key that sealed a seed is at hand is asked at each start, without reading all of them.
CREATE INDEX totps_kek ON totps (substr(sealed, 1, 4));

-- +goose Down
DROP INDEX totps_kek;
