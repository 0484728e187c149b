package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	_ "modernc.org/sqlite" //nolint:depguard // the driver "sqlite", which is why this is a module of its own

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/consumer"
)

// ledger keeps balances and, in the same database, how far each queue has come. It is a consumer.Offsets.
type ledger struct {
	db *sql.DB

	last map[rocketkit.Queue]int64 // of the latest Commit: a lower one is a reset
}

var _ consumer.Offsets = (*ledger)(nil)

const schema = `
CREATE TABLE IF NOT EXISTS balances (
	account TEXT PRIMARY KEY,
	cents   INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS positions (
	topic  TEXT NOT NULL,
	broker TEXT NOT NULL,
	queue  INTEGER NOT NULL,
	next   INTEGER NOT NULL, -- offset of the next message to book
	PRIMARY KEY (topic, broker, queue)
);`

func openLedger(ctx context.Context, file string) (*ledger, error) {
	db, err := sql.Open("sqlite", "file:"+file+"?_pragma=journal_mode(WAL)&_pragma=busy_timeout(5000)")
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1) // SQLite has one writer
	if _, err := db.ExecContext(ctx, schema); err != nil {
		return nil, fmt.Errorf("schema of %s: %w", file, err)
	}
	return &ledger{db: db, last: map[rocketkit.Queue]int64{}}, nil
}

func (l *ledger) Close() error { return l.db.Close() }

// Book adds to a balance and moves the queue's position behind the message, both or neither.
func (l *ledger) Book(ctx context.Context, p payment, q rocketkit.Queue, offset int64) error {
	tx, err := l.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // does nothing after Commit
	if _, err := tx.ExecContext(ctx, `INSERT INTO balances (account, cents) VALUES (?, ?)
		ON CONFLICT DO UPDATE SET cents = cents + excluded.cents`, p.Account, p.Cents); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, `INSERT INTO positions (topic, broker, queue, next) VALUES (?, ?, ?, ?)
		ON CONFLICT DO UPDATE SET next = excluded.next`, q.Topic, q.Broker, q.ID, offset+1); err != nil {
		return err
	}
	return tx.Commit()
}

// Load gives the positions that Book and Commit have stored.
func (l *ledger) Load(ctx context.Context, queues []rocketkit.Queue) (map[rocketkit.Queue]int64, error) {
	positions := map[rocketkit.Queue]int64{}
	for _, q := range queues {
		var next int64
		err := l.db.QueryRowContext(ctx, `SELECT next FROM positions WHERE topic = ? AND broker = ? AND queue = ?`,
			q.Topic, q.Broker, q.ID).Scan(&next)
		if errors.Is(err, sql.ErrNoRows) {
			continue
		}
		if err != nil {
			return nil, err
		}
		positions[q], l.last[q] = next, next
	}
	return positions, nil
}

// Commit stores positions that no Book has stored: where a queue begins, what lies behind messages that were given up or
// filtered away, and resets. Book may be ahead of it, so it only raises a position, except to carry out a reset.
func (l *ledger) Commit(ctx context.Context, positions map[rocketkit.Queue]int64) error {
	tx, err := l.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	for q, next := range positions {
		last, known := l.last[q]
		reset := known && next < last
		if _, err := tx.ExecContext(ctx, `INSERT INTO positions (topic, broker, queue, next) VALUES (?, ?, ?, ?)
			ON CONFLICT DO UPDATE SET next = excluded.next WHERE excluded.next > next OR ?`,
			q.Topic, q.Broker, q.ID, next, reset); err != nil {
			return err
		}
	}
	if err := tx.Commit(); err != nil {
		return err
	}
	for q, next := range positions {
		l.last[q] = next
	}
	return nil
}

// balance is what an account has.
func (l *ledger) balance(ctx context.Context, account string) (cents int64, err error) {
	err = l.db.QueryRowContext(ctx, `SELECT COALESCE((SELECT cents FROM balances WHERE account = ?), 0)`, account).Scan(&cents)
	return cents, err
}
