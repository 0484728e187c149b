package producer

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"strconv"
	"time"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/internal/hook"
	"github.com/rocketkit/rocketkit/internal/protocol"
)

const (
	maxInflated    = 64 << 20 // a compressed body may grow to this
	mostWaiting    = 10_000   // check-backs; what is beyond the broker asks again
	mostWaitBytes  = 64 << 20 // of their bodies
	usualCheckMax  = 15       // transactionCheckMax of a broker that isn't set otherwise
	warnFromChecks = usualCheckMax - 2
)

// errGone is what a Check without an end leaves.
var errGone = errors.New("Check ended its goroutine")

// check is a broker's question.
type check struct {
	at place
	q  protocol.CheckTransaction // under transactions.mu: asked again meanwhile, the message is elsewhere
}

// OwnCheck takes a check-back for a transaction in the middle of its local step. Only that step knows what becomes of it:
// a Check would look into the database too early. Its answer goes to the place that the message has now.
func (t *transactions) OwnCheck(broker string, q *protocol.CheckTransaction) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	h := t.halves[q.Message.ID()]
	if h == nil {
		return false
	}
	t.counts.Checks++
	t.counts.CheckOwn++
	// A message that isn't known to be stored yet, or is one more copy on another broker, isn't this one's place.
	if (h.address == broker || h.broker != "" && h.broker == q.BrokerName) && q.CommitLogOffset > h.commitLogOffset {
		h.queueOffset, h.commitLogOffset = q.PreparedOffset, q.CommitLogOffset
	}
	return true
}

// Check has Config.Check called, at once or when it is the message's turn.
func (t *transactions) Check(broker string, q *protocol.CheckTransaction) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return // the broker asks another instance next time
	}
	t.counts.Checks++
	k := &check{at: place{broker, q.Message.ID()}, q: *q}
	if same := t.under[k.at]; same != nil {
		t.counts.CheckRepeated++
		if q.CommitLogOffset > same.q.CommitLogOffset {
			same.q.PreparedOffset, same.q.CommitLogOffset = q.PreparedOffset, q.CommitLogOffset
		}
		return
	}
	room := len(t.waiting) < mostWaiting && (len(t.waiting) == 0 || t.bytes+len(q.Message.Body) <= mostWaitBytes)
	if !room {
		t.counts.CheckDropped++
		if !t.full {
			t.p.view.Log().Warn("more check-backs than can wait, brokers ask again: Check is slow, or MaxChecks too low",
				"group", t.p.cfg.Group, "waiting", len(t.waiting))
		}
		t.full = true
		return
	}
	t.full = false
	t.under[k.at] = k
	if t.running >= t.p.cfg.MaxChecks {
		t.waiting = append(t.waiting, k)
		t.bytes += len(q.Message.Body)
		return
	}
	t.running++
	go t.run(k)
}

// run answers one check-back, and has the next begin.
func (t *transactions) run(k *check) {
	defer t.next()
	err := errGone
	defer func() { t.answer(k, err) }() // also when Check ends the goroutine
	err = t.ask(k)
}

// next starts the check that has waited longest, in place of one that has ended.
func (t *transactions) next() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.waiting) > 0 {
		k := t.waiting[0]
		t.waiting[0] = nil
		t.waiting = t.waiting[1:]
		t.bytes -= len(k.q.Message.Body)
		go t.run(k)
		return
	}
	t.running--
	t.endIfIdle()
}

// ask calls Config.Check. A panic leaves the message open, as an error does.
func (t *transactions) ask(k *check) (err error) {
	raw := k.q.Message
	topic, mine := t.p.view.Names.LogicalTopic(raw.Topic)
	if !mine {
		return errors.New("it is for a topic of another tenant, and none of this producer's")
	}
	if err := raw.Inflate(maxInflated); err != nil {
		return fmt.Errorf("its body can't be read: %w", err)
	}
	m := rocketkit.Received(&raw, topic, rocketkit.Queue{Topic: topic, Broker: k.q.BrokerName, ID: int(raw.QueueID)})
	ctx, cancel := context.WithTimeout(t.ctx, t.p.cfg.CheckTimeout)
	defer cancel()
	defer func() {
		if p := recover(); p != nil {
			t.p.view.Log().Error("Check panicked", "group", t.p.cfg.Group, "topic", topic, "message", m.ID(), "panic", p, "stack", string(debug.Stack()))
			err = fmt.Errorf("Check panicked: %v", p)
		}
	}()
	return t.p.cfg.Check(ctx, &m)
}

// answer tells the broker what Check said, if that was an outcome, and counts it. A broker that can't be told asks again.
func (t *transactions) answer(k *check, said error) {
	is, err := outcomeOf(said), said
	if is != open {
		ctx, cancel := context.WithTimeout(t.ctx, t.p.view.RequestTimeout())
		defer cancel()
		asker := func(context.Context) (string, error) { return k.at.address, nil }
		if err = t.p.end(ctx, asker, func() protocol.EndTransaction { return t.endOfCheck(k, is) }); err != nil {
			err = fmt.Errorf("the broker couldn't be told of its outcome: %w", err)
		}
	}
	topic, _ := t.p.view.Names.LogicalTopic(k.q.Message.Topic)
	t.endedCheck(k, topic, is, err)
	o := &OpenTransaction{ID: k.at.id, Topic: topic, Began: k.q.Message.BornTime(), Checks: checksOf(&k.q)}
	t.mu.Lock()
	delete(t.under, k.at)
	switch {
	case err != nil:
		o.Error = err.Error()
		t.counts.CheckOpen++
		t.keep(k.at, o)
	case is == commits:
		t.counts.CheckCommitted++
		delete(t.left, k.at)
	default:
		t.counts.CheckRolledBack++
		delete(t.left, k.at)
	}
	t.mu.Unlock()
	if err != nil {
		t.logOpen(o)
	}
}

// endedCheck tells the hooks what Check said of a message of a topic of this tenant's.
func (t *transactions) endedCheck(k *check, topic string, is outcome, err error) {
	if topic == "" {
		return
	}
	if is == open {
		err = nil // nobody is told
	}
	tag, _ := k.q.Message.Properties.Get(protocol.PropertyTags)
	t.p.ended(&hook.Ended{
		End: is.shown(), Group: t.p.cfg.Group, Topic: topic, ID: k.at.id, Tag: tag, Keys: k.q.Message.Keys(),
		TransactionID: k.q.TransactionID, Checked: true, Address: k.at.address, Err: err,
	})
}

func (t *transactions) endOfCheck(k *check, is outcome) protocol.EndTransaction {
	t.mu.Lock()
	defer t.mu.Unlock()
	return protocol.EndTransaction{
		ProducerGroup: t.p.group, Topic: k.q.Message.Topic, PreparedOffset: k.q.PreparedOffset,
		CommitLogOffset: k.q.CommitLogOffset, Outcome: int32(is), FromCheck: true,
		MessageID: k.q.MessageID, TransactionID: k.q.TransactionID, BrokerName: k.q.BrokerName,
	}
}

// checksOf is how often brokers have asked about a message, this time included.
func checksOf(q *protocol.CheckTransaction) int {
	text, _ := q.Message.Properties.Get(protocol.PropertyTransactionChecks)
	n, _ := strconv.Atoi(text) // 0 from brokers that don't count
	return n
}

// logOpen tells of a message that Check left open, louder when the broker is about to give up.
func (t *transactions) logOpen(o *OpenTransaction) {
	log, text := t.p.view.Log().Info, "transaction left open, its broker asks again"
	if o.Checks >= warnFromChecks {
		log = t.p.view.Log().Warn
		text = "transaction left open, its broker soon gives up and moves the message to TRANS_CHECK_MAX_TIME_TOPIC (transactionCheckMax, 15 unless set otherwise)"
	}
	log(text, "group", t.p.cfg.Group, "topic", o.Topic, "message", o.ID, "began", o.Began, "checks", o.Checks, "error", o.Error)
}

// completeChecks validates what concerns check-backs, and fills in its defaults.
func (c *Config) completeChecks() error {
	for _, f := range []struct {
		name       string
		is         *time.Duration
		most, zero time.Duration
	}{
		{"CheckAfter", &c.CheckAfter, 5 * time.Minute, 0},
		{"CheckTimeout", &c.CheckTimeout, time.Hour, 30 * time.Second},
	} {
		if *f.is < 0 || *f.is > f.most {
			return configError(f.name, "%v is not from 0 to %v", *f.is, f.most)
		}
		if *f.is == 0 {
			*f.is = f.zero
		}
	}
	c.CheckAfter = (c.CheckAfter + time.Second - 1).Truncate(time.Second)
	if c.MaxChecks < 0 || c.MaxChecks > 10_000 {
		return configError("MaxChecks", "%d is not from 0 to 10000", c.MaxChecks)
	}
	if c.MaxChecks == 0 {
		c.MaxChecks = 16
	}
	return nil
}

// close takes no more check-backs, drops those that wait, and waits until none runs. When ctx ends before, those that run
// are canceled and it returns an error.
func (t *transactions) close(ctx context.Context) error {
	t.mu.Lock()
	first := !t.closed
	t.closed = true
	for _, k := range t.waiting {
		delete(t.under, k.at)
	}
	t.waiting, t.bytes = nil, 0
	if first {
		t.endIfIdle()
	}
	t.mu.Unlock()
	defer t.cancel()
	select {
	case <-t.idle:
		return nil
	case <-ctx.Done():
		t.mu.Lock()
		defer t.mu.Unlock()
		if t.running == 0 {
			return nil
		}
		return fmt.Errorf("producer: close: checks of transactions still under way: %d: %w", t.running, context.Cause(ctx))
	}
}

func (t *transactions) endIfIdle() {
	if !t.closed || t.running > 0 {
		return
	}
	select {
	case <-t.idle:
	default:
		close(t.idle)
	}
}
