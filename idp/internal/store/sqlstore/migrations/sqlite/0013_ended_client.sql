-- works-with: 12
-- +goose Up
-- When an API was told that what a client has of it for itself is good no more: its tokens from before stay so.
CREATE INDEX feed_events_client ON feed_events (ref, api, at) WHERE kind = 'client';

-- +goose Down
DROP INDEX feed_events_client;
