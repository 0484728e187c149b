package dynconf

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"log/slog"
	"sync"
	"time"
)

const (
	startWait = time.Second // for the source's first word
	lookAgain = time.Minute // at the clock of the machine, which may be set, and at documents from the future
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
	// settings. It is called by Start and Run, never concurrently, and not again with a document that it has refused.
	Apply func(spec json.RawMessage, signed bool) error
}

// Follower keeps one group's settings as the newest good document in its source says. Make one with NewFollower, then
// call Start and Run. Status is safe for concurrent use.
type Follower struct {
	cfg   Config
	cache *cache        // nil: none
	times chan struct{} // of capacity 1: when something is to be done without a word of the source is another time

	work     sync.Mutex // held while something is judged or applied
	current  Document   // the one that counts; its Rev is 0 when there has been none
	expired  bool       // it has expired
	applied  bool       // a document's settings are in force
	heard    hearing    // last
	verdicts map[string]verdict
	lost     bool      // no name server that answers has the document that counts
	warned   Status    // the error that the log was told of last, and when
	hushed   bool      // it wasn't told of the one that there is, or was last
	again    time.Time // when to judge them anew though they haven't changed; zero: never

	mu     sync.Mutex // never held while anything waits
	status Status
}

// NewFollower makes a Follower. It reads nothing yet.
func NewFollower(cfg Config) *Follower {
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	cfg.Logger = cfg.Logger.With("group", cfg.ID.Group)
	if cfg.ID.Tenant != "" {
		cfg.Logger = cfg.Logger.With("tenant", cfg.ID.Tenant)
	}
	f := &Follower{cfg: cfg, times: make(chan struct{}, 1), verdicts: map[string]verdict{}}
	f.status.Refused = map[Reason]int64{}
	if r, ok := cfg.Source.(replicated); ok && cfg.CacheDir != "" {
		f.cache = newCache(cfg.CacheDir, r.origin(), cfg.ID)
	}
	return f
}

// Start applies the last good document of the cache, and then waits for the source's first word, be it an error, for a
// second at most. It leaves nothing running; Run goes on from there.
func (f *Follower) Start(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, startWait)
	defer cancel()
	f.restore(ctx)
	f.watch(ctx, func(h hearing) {
		f.hear(h)
		cancel()
	})
}

// Run follows the source until ctx ends. A document that expires meanwhile gives way to the program's own settings, and one
// that was from the future is judged anew each minute, also where the source has nothing new to say.
// What was applied last stays applied when Run returns.
func (f *Follower) Run(ctx context.Context) {
	var timing sync.WaitGroup
	timing.Go(func() { f.actInTime(ctx) })
	f.watch(ctx, f.hear)
	timing.Wait()
}

// Status tells what is in force, and what was refused.
func (f *Follower) Status() Status {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.status.clone()
}

func (f *Follower) watch(ctx context.Context, hear func(hearing)) {
	if r, ok := f.cfg.Source.(replicated); ok {
		r.follow(ctx, f.cfg.ID, hear)
		return
	}
	f.cfg.Source.Watch(ctx, f.cfg.ID, func(text string, err error) {
		hear(hearing{texts: []string{text}, err: err})
	})
}

func (f *Follower) show(change func(*Status)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change(&f.status)
}

// actInTime does what is due by the clock alone, until ctx ends.
func (f *Follower) actInTime(ctx context.Context) {
	for {
		var due <-chan time.Time
		if left, ever := f.left(); ever {
			due = time.After(min(left, lookAgain)) // by a machine's clock that may be set meanwhile
		}
		select {
		case <-ctx.Done():
			return
		case <-f.times:
		case <-due:
			f.expire()
			f.judgeAgain()
		}
	}
}

// left is how long it is until something is due; false when nothing will be.
func (f *Follower) left() (left time.Duration, ever bool) {
	f.work.Lock()
	defer f.work.Unlock()
	if !f.current.Expires.IsZero() && !f.expired {
		left, ever = time.Until(f.current.Expires), true
	}
	if again := time.Until(f.again); !f.again.IsZero() && (!ever || again < left) {
		left, ever = again, true
	}
	return left, ever
}

// wake has left looked at again.
func (f *Follower) wake() {
	select {
	case f.times <- struct{}{}:
	default:
	}
}

func (f *Follower) expire() {
	f.work.Lock()
	defer f.work.Unlock()
	if f.expired || !f.current.ExpiredAt(time.Now()) {
		return
	}
	f.expired = true
	f.show(func(s *Status) { s.Expired = true })
	if err := f.apply(nil); err != nil {
		f.cfg.Logger.Error("settings have expired, and the program's own can't be put in their place", "rev", f.current.Rev, "error", err)
		return
	}
	f.cfg.Logger.Info("settings have expired: the program's own hold", "rev", f.current.Rev, "expires", f.current.Expires)
}

// apply has a document's settings put into force, or with nil the program's own where a document's were.
func (f *Follower) apply(spec json.RawMessage) error {
	if spec == nil && !f.applied {
		return nil
	}
	if err := f.cfg.Apply(spec, spec != nil && len(f.cfg.Keys) > 0); err != nil {
		return err
	}
	f.applied = spec != nil
	return nil
}
