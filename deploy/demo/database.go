package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"ellis.example/deploy/internal/launch"
)

const dropTime = 10 * time.Second

var errServer = errors.New("write the PostgreSQL server as postgres://USER@HOST/NAME")

// openDatabases says where the services keep their data. On a server, it makes a database for each, whose names are random
// and stay with the data folder; what an interrupted start left in them goes.
func (d *demo) openDatabases(ctx context.Context, data *data) error {
	fresh := data.state.Seeded.IsZero()
	if d.postgres == "" {
		if !fresh && data.state.Databases != "" {
			return fmt.Errorf("the data of %s lies on a PostgreSQL server: name it with --postgres, or another folder with --data-dir", data.dir)
		}
		data.state.Databases = ""
		return nil
	}
	if data.state.Databases == "" {
		if !fresh {
			return fmt.Errorf("the data of %s lies in files: leave out --postgres, or name another folder with --data-dir", data.dir)
		}
		data.state.Databases = "ellis_demo_" + strings.ToLower(rand.Text()[:8])
		if err := data.save(); err != nil {
			return err
		}
	}
	server, err := url.Parse(d.postgres)
	if err != nil || server.Host == "" || (server.Scheme != "postgres" && server.Scheme != "postgresql") {
		return errServer // its own words may hold a password
	}
	names := databaseNames(data.state)
	d.cfg.Databases = launch.Databases{IDP: onServer(*server, names[0]), Cases: onServer(*server, names[1])}
	if err := d.onServer(ctx, func(c *pgx.Conn) error { return create(ctx, c, names, fresh) }); err != nil {
		return err
	}
	d.say(fmt.Sprintf("databases %s at %s", strings.Join(names, " and "), server.Host))
	return nil
}

func databaseNames(s state) []string { return []string{s.Databases + "_idp", s.Databases + "_cases"} }

// onServer names another database of a server.
func onServer(server url.URL, name string) string {
	server.Path = "/" + name
	return server.String()
}

// onServer runs f with a connection to the server that --postgres names.
func (d *demo) onServer(ctx context.Context, f func(*pgx.Conn) error) error {
	c, err := pgx.Connect(ctx, d.postgres)
	if err != nil {
		return fmt.Errorf("the PostgreSQL server: %w", err)
	}
	return errors.Join(f(c), c.Close(context.WithoutCancel(ctx)))
}

// create makes the databases that are missing; fresh: all of them.
func create(ctx context.Context, c *pgx.Conn, names []string, fresh bool) error {
	for _, name := range names {
		if fresh {
			if err := drop(ctx, c, name); err != nil {
				return err
			}
		}
		var there bool
		if err := c.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)", name).Scan(&there); err != nil {
			return err
		}
		if there {
			continue
		}
		if _, err := c.Exec(ctx, "CREATE DATABASE "+pgx.Identifier{name}.Sanitize()); err != nil {
			return fmt.Errorf("making the database %s: %w", name, err)
		}
	}
	return nil
}

func drop(ctx context.Context, c *pgx.Conn, name string) error {
	_, err := c.Exec(ctx, "DROP DATABASE IF EXISTS "+pgx.Identifier{name}.Sanitize()+" WITH (FORCE)")
	return err
}

// dropDatabases removes those of a demo whose folder is removed as well.
func (d *demo) dropDatabases(data *data) error {
	if !data.temporary || data.state.Databases == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), dropTime)
	defer cancel()
	return d.onServer(ctx, func(c *pgx.Conn) error {
		var all error
		for _, name := range databaseNames(data.state) {
			all = errors.Join(all, drop(ctx, c, name))
		}
		return all
	})
}
