-- +goose Up
CREATE INDEX devices_cookie ON devices (cookie, last_seen);

-- +goose Down
DROP INDEX devices_cookie;
