package cluster

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rocketkit/rocketkit/internal/frame"
	"github.com/rocketkit/rocketkit/internal/remoting"
)

const (
	askTimeout      = 30 * time.Second // for the credentials, each time
	minAskAgain     = time.Second      // after a failure; doubles
	maxAskAgain     = 30 * time.Second
	never           = math.MaxInt64
	remainingToAsk  = 5 // credentials are asked for again when a fifth of their time remains
	minRefreshPause = time.Second
)

// Credentials are what requests are signed with.
type Credentials struct {
	AccessKey, SecretKey, SecurityToken string
	Expires                             time.Time     // zero: never
	Refresh                             time.Duration // ask again after; 0: ahead of Expires only
}

// Keys signs requests with credentials that it asks for at first need and again ahead of their end. Only a request that
// finds none that are valid waits. It has no goroutine but while it asks. Safe for concurrent use.
type Keys struct {
	ask     func(ctx context.Context) (Credentials, error)
	cluster *Cluster

	current atomic.Pointer[key]
	next    atomic.Int64 // when to ask again, in Unix nanoseconds; never while somebody asks

	mu     sync.Mutex
	asking chan struct{} // closed when the asking under way ends; nil when none is
	failed error         // of the last asking; nil after a success
	told   bool          // that they have expired, to the log
	pause  time.Duration // before the next asking, after a failure
}

// key is one answer.
type key struct {
	*remoting.Key
	expires time.Time
}

func (k *key) valid(now time.Time) bool {
	return k != nil && (k.expires.IsZero() || now.Before(k.expires))
}

// NewKeys makes Keys that ask by ask, which is called by one goroutine at a time and must heed its ctx. Nothing is asked
// yet. A nil ask gives nil, which signs nothing.
func (c *Cluster) NewKeys(ask func(ctx context.Context) (Credentials, error)) *Keys {
	if ask == nil {
		return nil
	}
	return &Keys{ask: ask, cluster: c}
}

// signer is k as remoting takes it: a nil *Keys in an interface would be no nil.
func (k *Keys) signer() remoting.Signer {
	if k == nil {
		return nil
	}
	return k
}

// Sign signs req. It waits, under ctx, only where there are no valid credentials.
func (k *Keys) Sign(ctx context.Context, req *frame.Frame) error {
	now := time.Now()
	current := k.current.Load()
	if now.UnixNano() >= k.next.Load() {
		k.start(now)
	}
	if !current.valid(now) {
		var err error
		if current, err = k.wait(ctx); err != nil {
			return fmt.Errorf("credentials: %w", err)
		}
	}
	current.Sign(req)
	return nil
}

// start begins to ask, unless somebody does.
func (k *Keys) start(now time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.asking != nil || now.UnixNano() < k.next.Load() {
		return
	}
	asking := make(chan struct{})
	if !k.cluster.background.Go(func(ctx context.Context) { k.renew(ctx, asking) }) {
		return // closed
	}
	k.asking = asking
	k.next.Store(never)
}

// wait waits for the asking under way; where none is, the last one has failed and the next is not due.
func (k *Keys) wait(ctx context.Context) (*key, error) {
	k.mu.Lock()
	asking := k.asking
	k.mu.Unlock()
	if asking != nil {
		select {
		case <-asking:
		case <-ctx.Done():
			return nil, fmt.Errorf("waiting for them: %w", ctx.Err())
		}
	}
	if current := k.current.Load(); current.valid(time.Now()) {
		return current, nil
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	switch last := k.current.Load(); {
	case k.failed != nil && last != nil:
		return nil, fmt.Errorf("the last ones expired at %s, and new ones could not be had: %w", last.expires.Format(time.RFC3339), k.failed)
	case k.failed != nil:
		return nil, fmt.Errorf("none could be had: %w", k.failed)
	case last != nil && k.cluster.life.Err() == nil:
		return nil, fmt.Errorf("the last ones expired at %s, before they could be used", last.expires.Format(time.RFC3339))
	}
	return nil, remoting.ErrClosed
}

// renew asks once and notes the outcome.
func (k *Keys) renew(ctx context.Context, asking chan struct{}) {
	asked := time.Now()
	answer, err := k.askOnce(ctx)
	now := time.Now()
	last := k.current.Load()

	k.mu.Lock()
	defer k.mu.Unlock()
	defer close(asking)
	k.asking = nil
	failing := k.failed != nil
	if err != nil {
		k.pause = min(max(2*k.pause, minAskAgain), maxAskAgain)
		k.next.Store(now.Add(k.pause).UnixNano())
		k.failed = err
		if expired := last != nil && !last.valid(now); ctx.Err() == nil && (!failing || expired && !k.told) {
			k.told = expired
			k.logFailure(last, expired, err)
		}
		return
	}
	k.failed, k.pause, k.told = nil, 0, false
	k.current.Store(&key{remoting.NewKey(answer.AccessKey, answer.SecretKey, answer.SecurityToken), answer.Expires})
	k.next.Store(answer.next(asked, now))
	if failing {
		k.cluster.cfg.Log.Info("credentials are renewed again", "accessKey", answer.AccessKey)
	}
}

func (k *Keys) logFailure(last *key, expired bool, err error) {
	switch {
	case expired:
		k.cluster.cfg.Log.Error("credentials have expired and can't be renewed: requests fail, trying on",
			"expires", last.expires, "error", err)
	case last == nil:
		k.cluster.cfg.Log.Error("no credentials to be had: requests fail, trying on", "error", err)
	case last.expires.IsZero():
		k.cluster.cfg.Log.Warn("credentials can't be renewed: the last ones go on, trying on", "error", err)
	default:
		k.cluster.cfg.Log.Warn("credentials can't be renewed: the last ones go on until they expire, trying on",
			"expires", last.expires, "error", err)
	}
}

// askOnce asks; a panic of the caller's code is an error.
func (k *Keys) askOnce(ctx context.Context) (answer Credentials, err error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the function that gives them panicked: %v", p)
		}
	}()
	if answer, err = k.ask(ctx); err != nil {
		return answer, err
	}
	switch {
	case answer.AccessKey == "" || answer.SecretKey == "":
		return answer, errors.New("an access key and a secret key are needed, and one is empty")
	case !answer.Expires.IsZero() && !time.Now().Before(answer.Expires):
		return answer, fmt.Errorf("those for access key %s expired at %s", answer.AccessKey, answer.Expires.Format(time.RFC3339))
	}
	return answer, nil
}

// next tells when to ask again, in Unix nanoseconds.
func (c Credentials) next(asked, now time.Time) int64 {
	next := int64(never)
	if !c.Expires.IsZero() {
		left := c.Expires.Sub(now)
		next = now.Add(left - left/remainingToAsk).UnixNano()
	}
	if c.Refresh > 0 {
		next = min(next, asked.Add(max(c.Refresh, minRefreshPause)).UnixNano())
	}
	return next
}

// background runs what a Cluster begins at times and must have ended by the end of Close.
type background struct {
	mu    sync.Mutex
	ended bool
	ctx   context.Context //nolint:containedctx // the Cluster's life
	group sync.WaitGroup
}

// Go runs do on a goroutine of its own; false when the Cluster was closed.
func (b *background) Go(do func(ctx context.Context)) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ended {
		return false
	}
	b.group.Go(func() { do(b.ctx) })
	return true
}

// end refuses more and waits for what runs, whose ctx has ended.
func (b *background) end() {
	b.mu.Lock()
	b.ended = true
	b.mu.Unlock()
	b.group.Wait()
}
