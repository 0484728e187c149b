package trace

import (
	"context"
	"log/slog"
	"net/netip"
	"os"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/internal/cluster"
	"github.com/rocketkit/rocketkit/internal/protocol"
	"github.com/rocketkit/rocketkit/internal/send"
)

// sendGroup is the producer group of trace messages, the tenant's.
const sendGroup = "rocketkit-trace"

// Recorder traces one producer or one consumer. It is a hook.Sender and a hook.Handler. A nil Recorder traces nothing and
// may be closed. Safe for concurrent use.
type Recorder struct {
	group   string // of whom it traces; logical
	topic   string // logical
	to      *send.Topic
	through string // physical producer group
	ids     *protocol.IDs
	log     *slog.Logger

	records buffer
	lost    atomic.Int64 // records that came faster than they could be sent, or couldn't be sent
	running atomic.Bool
	full    chan struct{} // a parcel is

	mu     sync.Mutex
	closed bool
	stop   chan struct{} // closed by Close
	done   chan struct{} // closed when what runs has ended; nil before it runs
	cancel context.CancelFunc
}

// New makes a Recorder for the producers or consumers of a logical group, or nil when the client doesn't trace. It starts
// nothing: the first record does. Close it.
func New(client *rocketkit.Client, group string) *Recorder {
	cfg := client.Trace()
	if !cfg.On {
		return nil
	}
	view := client.Cluster()
	topic, _ := view.Names.Topic(cfg.Topic) // Open and For have checked it
	through, _ := view.Names.Group(sendGroup)
	return &Recorder{
		group: group, topic: cfg.Topic,
		to: send.New(view).Topic(topic), through: through,
		ids:  protocol.NewIDs(address(view), os.Getpid()),
		log:  view.LogOf("group", group, "trace_topic", cfg.Topic),
		full: make(chan struct{}, 1),
		stop: make(chan struct{}),
	}
}

// address reads the IP out of a client id, ip@instance; without one it is the zero Addr.
func address(view *cluster.View) netip.Addr {
	ip, _, _ := strings.Cut(view.ClientID(), "@")
	addr, _ := netip.ParseAddr(ip)
	return addr
}

// On tells that it traces.
func (*Recorder) On() bool { return true }

// add notes a record and never waits.
func (r *Recorder) add(one *record) {
	if !r.start() {
		r.lost.Add(1)
		return
	}
	ok, filled := r.records.add(one)
	if !ok {
		r.lost.Add(1)
	}
	if filled {
		select {
		case r.full <- struct{}{}:
		default:
		}
	}
}

// start sees to it that what is added is sent; it is false after Close.
func (r *Recorder) start() bool {
	if r.running.Load() {
		return true
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed || r.done != nil {
		return !r.closed
	}
	ctx, cancel := context.WithCancel(context.Background())
	r.done, r.cancel = make(chan struct{}), cancel
	r.running.Store(true)
	go r.run(ctx)
	return true
}

// Close sends what was recorded, within ctx and [flushWithin], and ends the Recorder; what it couldn't send is lost, and
// so is what is recorded later. It may be called again.
func (r *Recorder) Close(ctx context.Context) {
	if r == nil {
		return
	}
	r.mu.Lock()
	if !r.closed {
		r.closed = true
		r.running.Store(false)
		close(r.stop)
	}
	done, cancel := r.done, r.cancel
	r.mu.Unlock()
	if done == nil {
		return
	}
	ctx, release := context.WithTimeout(ctx, flushWithin)
	defer release()
	stopped := context.AfterFunc(ctx, cancel)
	<-done
	stopped()
	cancel()
}
