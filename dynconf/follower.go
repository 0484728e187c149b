package dynconf

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"log/slog"
)

// Config is what a [Follower] needs. ID, Source and Apply are required.
type Config struct {
	ID     ID
	Source Source

	// Keys are those of whom documents are taken: one that none of them has signed is refused. None means that documents
	// needn't be signed.
	Keys []ed25519.PublicKey

	// CacheDir is where the last good document is kept for the next start. It is used for those of name servers alone:
	// other sources keep what they hold themselves. Empty means that none is kept.
	CacheDir string

	// Logger is told of each document that is applied or refused, once. Default: slog.Default().
	Logger *slog.Logger

	// Apply puts a document's settings into force, all of them or, with an error, none: then the document is refused and
	// nothing may have changed. signed says that one of Keys has signed it. A nil spec goes back to the program's own
	// settings. It is called by Start and Run, never concurrently.
	Apply func(spec json.RawMessage, signed bool) error
}

// Follower keeps one group's settings as the newest good document in its source says. Make one with NewFollower, then
// call Start and Run. Status is safe for concurrent use.
type Follower struct {
	cfg Config
}

// NewFollower makes a Follower. It reads nothing yet.
func NewFollower(cfg Config) *Follower {
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	return &Follower{cfg: cfg}
}

// Start applies the last good document of the cache, and then waits for the source's first word, be it an error, for a
// second at most. It leaves nothing running: call it once, and then Run.
func (f *Follower) Start(ctx context.Context) {}

// Run follows the source until ctx ends. A document that expires meanwhile gives way to the program's own settings.
// What was applied last stays applied when Run returns.
func (f *Follower) Run(ctx context.Context) { <-ctx.Done() }

// Status tells what is in force, and what was refused.
func (f *Follower) Status() Status { return Status{} }
