// Package sqltest opens throw-away stores for tests: real SQLite files in temporary folders, migrated as in production.
package sqltest
