package producer

import (
	"context"
	"sync"
	"time"

	"github.com/rocketkit/rocketkit/internal/protocol"
	"github.com/rocketkit/rocketkit/internal/send"
)

// half is a message whose local step is under way.
type half struct {
	id      string
	logical string // topic
	topic   string // physical
	began   time.Time
	tag     string
	keys    []string

	// Set once it is stored.
	broker, address string

	// Under transactions.mu: where it is. Each check stores it anew, and an outcome for the old place would leave the new
	// one to be checked, and delivered, again.
	queueOffset, commitLogOffset int64
}

// place names one stored copy of a message: a send that was repeated may have left one on each of several brokers.
type place struct{ address, id string }

// transactions are a producer's: those in the middle of their local step, the checks that run or wait, and what both
// came to. It is there when Config.Check is.
type transactions struct {
	p      *Producer
	ctx    context.Context //nolint:containedctx // of the Checks, which no caller waits for: Close ends it
	cancel context.CancelFunc

	mu      sync.Mutex
	halves  map[string]*half // by message id
	under   map[place]*check // that run or wait
	waiting []*check
	bytes   int // of those that wait
	running int
	closed  bool
	idle    chan struct{} // closed once closed and none runs

	counts TransactionStats
	left   map[place]*OpenTransaction // left open, as far as this producer knows
	full   bool                       // the last check-back found no room
}

func newTransactions(p *Producer) *transactions {
	ctx, cancel := context.WithCancel(context.Background())
	return &transactions{
		p: p, ctx: ctx, cancel: cancel, idle: make(chan struct{}),
		halves: map[string]*half{}, under: map[place]*check{}, left: map[place]*OpenTransaction{},
	}
}

// begin notes a transaction before its message is stored: its check-back could overtake the answer.
func (t *transactions) begin(m *Message, topic, id string) *half {
	h := &half{id: id, logical: m.Topic, topic: topic, began: time.Now(), tag: m.Tag, keys: m.Keys}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.halves[id] = h
	return h
}

// stored notes where the message is.
func (t *transactions) stored(h *half, r *send.Result) {
	_, at, err := protocol.ParseOffsetID(r.OffsetID)
	if err != nil { // the END will be refused, and the check settles it
		t.p.view.Log().Warn("a broker gave an id that can't be read", "broker", r.Broker, "error", err)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	h.broker, h.address = r.Broker, r.Address
	if at >= h.commitLogOffset {
		h.queueOffset, h.commitLogOffset = r.QueueOffset, at
	}
}

// finish ends what begin began.
func (t *transactions) finish(h *half) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.halves[h.id] == h { // ids of the caller's may come twice
		delete(t.halves, h.id)
	}
}

// endOf gives the request that tells the outcome of a half message, where that is by then.
func (t *transactions) endOf(h *half, is outcome) func() protocol.EndTransaction {
	return func() protocol.EndTransaction {
		t.mu.Lock()
		defer t.mu.Unlock()
		return protocol.EndTransaction{
			ProducerGroup: t.p.group, Topic: h.topic, PreparedOffset: h.queueOffset, CommitLogOffset: h.commitLogOffset,
			Outcome: int32(is), MessageID: h.id, TransactionID: h.id, BrokerName: h.broker,
		}
	}
}

// settled counts a transaction that ended as its local step said.
func (t *transactions) settled(h *half, is outcome) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.left, place{h.address, h.id})
	if is == commits {
		t.counts.Committed++
	} else {
		t.counts.RolledBack++
	}
}

func (t *transactions) lost() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.counts.Lost++
}

// leave counts a transaction that is left to the check.
func (t *transactions) leave(h *half) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.counts.LeftToCheck++
	t.keep(place{h.address, h.id}, &OpenTransaction{ID: h.id, Topic: h.logical, Began: h.began})
}

// forget drops a transaction that was left to the check and is settled now.
func (t *transactions) forget(h *half) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.left, place{h.address, h.id})
}
