package dynconf

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"time"

	"github.com/rocketkit/rocketkit/internal/protocol"
)

// batch are questions that are under way at the same time. Who waits for them gives up after pollWait, but an answer
// that comes later counts as well: so what is slower than that is read all the same, and a connection that has died in
// silence is found out.
type batch struct {
	left  int           // that aren't answered; under poller.mu
	ready bool          // all have been sent; under poller.mu
	done  chan struct{} // closed when none is left
}

// send asks a name server for documents, but not for those that it is still asked for; without all, not for what is far too
// large there, and one that rests only for what nobody was asked for yet: a start waits for that.
func (p *poller) send(ctx context.Context, r *rounds, b *batch, server string, documents []*watched, all bool) {
	var list []*watched
	p.mu.Lock()
	rests := !all && time.Now().Before(p.resting[server])
	ended := p.rounds != r // others have begun, to whom the documents may belong by now
	for _, w := range documents {
		if !ended && (!rests || !w.asked) && w.mayAsk(server, all) {
			w.pending[server] = true
			b.left++
			list = append(list, w)
		}
	}
	p.mu.Unlock()
	var next atomic.Int64
	var down atomic.Pointer[error]
	for range min(len(list), atOnce) {
		r.asking.Go(func() {
			for i := next.Add(1) - 1; i < int64(len(list)); i = next.Add(1) - 1 {
				p.get(ctx, b, server, list[i], &down)
			}
		})
	}
}

// get asks for one document. When the name server can't be reached for one, the others needn't try.
func (p *poller) get(ctx context.Context, b *batch, server string, w *watched, down *atomic.Pointer[error]) {
	var text string
	var err error
	if failed := down.Load(); failed != nil {
		err = *failed
	} else if text, err = w.read(ctx, server, p.cluster.RequestTimeout()); err != nil {
		if refused := (*protocol.Error)(nil); !errors.As(err, &refused) {
			down.Store(&err)
		}
	}
	dropped := err != nil && !slices.Contains(p.cluster.NameServers(), server) // from an address server's list, in the middle of this
	p.mu.Lock()
	defer p.mu.Unlock()
	if delete(w.pending, server); ctx.Err() == nil && !dropped {
		w.record(server, text, err, p.servers)
		if delete(p.resting, server); errors.Is(err, context.DeadlineExceeded) {
			p.resting[server] = time.Now().Add(restFor)
		}
	}
	if b.left--; b.left == 0 && b.ready {
		close(b.done)
	}
}

// await waits for the answers, but not for long.
func (p *poller) await(ctx context.Context, b *batch) {
	p.mu.Lock()
	b.ready = true
	left := b.left
	p.mu.Unlock()
	if left == 0 {
		return
	}
	timer := time.NewTimer(pollWait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-b.done:
	case <-timer.C:
	}
}
