package send

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/rocketkit/rocketkit/internal/cluster"
	"github.com/rocketkit/rocketkit/internal/protocol"
	"github.com/rocketkit/rocketkit/internal/route"
	"github.com/rocketkit/rocketkit/tenant"
)

const (
	refreshEvery = time.Second // a topic's route is asked for no oftener, however many sends are in trouble
	refreshLimit = time.Second // slow name servers mustn't keep a send from its next attempt
)

// Sender sends for one tenant, and remembers which brokers failed just now. Safe for concurrent use.
type Sender struct {
	view     *cluster.View
	faults   faults
	versions versions
}

// New makes a Sender. It starts nothing.
func New(view *cluster.View) *Sender { return &Sender{view: view} }

// Topic is a topic to send to. It holds the turn of its queues, so keep it. Safe for concurrent use.
type Topic struct {
	sender   *Sender
	physical string
	logical  string
	turn     atomic.Uint32
	paces    paces
	asked    atomic.Int64 // when the route was last refreshed for a send in trouble, ns since 1970
}

// Topic returns the topic of a physical name, which is checked by nobody but the brokers. Its queues' turn starts at a
// random one, lest all producers of a fleet start at the first.
func (s *Sender) Topic(physical string) *Topic {
	_, logical := tenant.Split(physical)
	t := &Topic{sender: s, physical: physical, logical: logical}
	t.turn.Store(rand.Uint32())
	return t
}

// Request is what to send. Its slices are read until Send returns, and never changed.
type Request struct {
	Group      string // physical name of the producer group
	Properties []byte // encoded; empty for a batch, whose messages have their own
	Body       []byte // never empty: brokers refuse a message without a body
	ID         string // of the message, the first of a batch: for those who count failures
	Messages   int    // in the batch; 0 means 1
	Batch      bool   // Body holds messages encoded by protocol.AppendBatchMessage
	SysFlag    int32  // protocol's Sys bits
	Flag       int32  // the application's own; of a batch its messages have theirs
	Timed      bool   // Properties say when to deliver: only a broker with timers may get it

	Reply bool   // it goes to the client that its property REPLY_TO_CLIENT names
	First string // broker to try first, when not empty

	// ShardingKey, when not empty, chooses the queue as the Java client's SelectMessageQueueByHash does with a string.
	ShardingKey string

	// Queue, when not nil, is the queue to send to, by its broker and number, whatever the ShardingKey is.
	Queue *protocol.Queue

	Shared // what concerns requests that hold messages of several callers
}

// Result is a broker's answer to a message it stored. When Send fails, only Attempts is set, with the Broker and QueueID
// that it tried last, if it tried one.
type Result struct {
	protocol.SendResult
	Broker   string
	Address  string // host:port
	Attempts int    // requests made
}

// Send returns once a broker has stored the request, and otherwise with an [*Error]. ctx is the only clock; one attempt is
// also bounded by the Client's request time-out.
func (t *Topic) Send(ctx context.Context, r *Request) (Result, error) {
	s := sending{topic: t, request: r, begun: time.Now(), pinned: r.Pinned}
	return s.run(ctx)
}

// SendOneWay returns once the request stands in line to be written to a broker, which answers nothing: whether it is
// stored isn't known. A broker that can't be connected is no reason to give up as long as another may be sent to; after
// that it fails. Of the Result only Broker, Address, QueueID and Attempts are set.
func (t *Topic) SendOneWay(ctx context.Context, r *Request) (Result, error) {
	s := sending{topic: t, request: r, begun: time.Now(), oneWay: true}
	return s.run(ctx)
}

// Queues gives the queues that can be written to, in the Java client's order. They mustn't be changed.
func (t *Topic) Queues(ctx context.Context) ([]protocol.Queue, error) {
	r, err := t.sender.view.Route(ctx, t.physical)
	if err != nil {
		return nil, err
	}
	return r.Write, nil
}

func (s *sending) run(ctx context.Context) (Result, error) {
	result, err := s.send(ctx)
	if err != nil {
		result = Result{Broker: s.queue.Broker}
		result.QueueID = s.queue.ID
	}
	result.Attempts = s.attempts
	return result, err
}

func (s *sending) send(ctx context.Context) (Result, error) {
	for {
		if ctx.Err() != nil {
			return Result{}, s.ended(ctx)
		}
		result, err := s.attempt(ctx)
		if err == nil {
			return result, nil
		}
		s.last = err
		again := s.request.Failed == nil || s.request.Failed(err)
		if s.judge(err) || !again {
			return Result{}, s.failed(err)
		}
		if ctx.Err() != nil {
			return Result{}, s.ended(ctx)
		}
		if s.another() {
			continue
		}
		if s.oneWay {
			failure := s.failed(err)
			failure.Retryable = s.why != denied
			return Result{}, failure
		}
		if err := s.again(ctx); err != nil {
			return Result{}, s.failed(err)
		}
	}
}

// refresh asks the name servers for the topic's route, if nobody has within the last second. It returns an error only
// when they answered that there is no such topic; the old route is kept even then.
func (t *Topic) refresh(ctx context.Context) error {
	now, asked := time.Now().UnixNano(), t.asked.Load()
	if now-asked < int64(refreshEvery) || !t.asked.CompareAndSwap(asked, now) {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, refreshLimit)
	defer cancel()
	if _, err := t.sender.view.Routes().Refresh(ctx, t.physical); errors.Is(err, route.ErrNoRoute) {
		return err
	}
	return nil
}
