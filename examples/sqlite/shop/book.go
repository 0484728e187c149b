package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	_ "modernc.org/sqlite" //nolint:depguard // the driver "sqlite", which is why this is a module of its own

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/producer"
)

// book is the database of orders.
type book struct{ db *sql.DB }

const schema = `CREATE TABLE IF NOT EXISTS orders (
	id    TEXT PRIMARY KEY,
	state TEXT NOT NULL -- 'taken', or 'void': asked about before it was there, and so never to be taken
);`

// errVoid is why an order isn't taken that a Check was asked about before.
var errVoid = errors.New("it took too long, or was there already")

func openBook(ctx context.Context, file string) (*book, error) {
	db, err := sql.Open("sqlite", "file:"+file+"?_pragma=journal_mode(WAL)&_pragma=busy_timeout(5000)")
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1) // SQLite has one writer
	if _, err := db.ExecContext(ctx, schema); err != nil {
		return nil, fmt.Errorf("schema of %s: %w", file, err)
	}
	return &book{db}, nil
}

func (b *book) Close() error { return b.db.Close() }

// insert inserts an order, unless there is one, and tells whether it did.
func (b *book) insert(ctx context.Context, id, state string) (bool, error) {
	r, err := b.db.ExecContext(ctx, `INSERT INTO orders (id, state) VALUES (?, ?) ON CONFLICT DO NOTHING`, id, state)
	if err != nil {
		return false, err
	}
	n, err := r.RowsAffected()
	return n > 0, err
}

// Take is the local step. An error of the database leaves open whether the order was inserted, which Check finds out.
func (b *book) Take(ctx context.Context, id string) error {
	taken, err := b.insert(ctx, id, "taken")
	if err != nil {
		return err
	}
	if !taken {
		return producer.Rollback(errVoid)
	}
	return nil
}

// Check tells whether an order was taken. One that isn't there may still be on its way, in a process that is slow: so it
// is made void, and can't be taken any more.
func (b *book) Check(ctx context.Context, m *rocketkit.Message) error {
	id := string(m.Body())
	if _, err := b.insert(ctx, id, "void"); err != nil {
		return err // the broker asks again
	}
	var state string
	if err := b.db.QueryRowContext(ctx, `SELECT state FROM orders WHERE id = ?`, id).Scan(&state); err != nil {
		return err
	}
	if state == "void" {
		return producer.Rollback(errVoid)
	}
	return nil
}

// orders gives the state of each order.
func (b *book) orders(ctx context.Context) (map[string]string, error) {
	rows, err := b.db.QueryContext(ctx, `SELECT id, state FROM orders`)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	all := map[string]string{}
	for rows.Next() {
		var id, state string
		if err := rows.Scan(&id, &state); err != nil {
			return nil, err
		}
		all[id] = state
	}
	return all, rows.Err()
}
