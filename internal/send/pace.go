package send

import (
	"cmp"
	"errors"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rocketkit/rocketkit/internal/protocol"
	"github.com/rocketkit/rocketkit/internal/route"
)

// A broker is slow for a topic when its sends take longer than slowFactor times those of the topic's fastest broker, and
// slowLeast longer: less is noise. It is judged by the topic's own sends, since others' messages may be larger. A slow
// broker gets one send a second, as a try, until a few tries in a row were quick.
//
// Answers that don't come tell nothing, and until they do every caller would get stuck. So a broker is also passed over
// while sends wait for it and none was answered for as long as makes it slow, and while crowdFactor times as many wait for
// it as for the broker with the fewest, and crowdLeast more.
const (
	slowFactor = 4
	slowLeast  = 20 * time.Millisecond

	crowdFactor = 2
	crowdLeast  = 4

	probeSlow = time.Second            // how often one send tries a slow broker
	probeSoon = 100 * time.Millisecond // and when the last such try was quick
	goodTries = 3                      // that many quick ones in a row, and it is as good as the others again

	paceWeight = 8 // of a new time in the mean: one in eight; and how many times a judgment needs
)

// paces are how fast the brokers of one topic are. The zero value is ready. Safe for concurrent use; neither choosing nor
// measuring takes a lock.
type paces struct {
	brokers atomic.Pointer[map[string]*pace] // those of route; replaced, never changed
	route   atomic.Pointer[route.Route]
	limit   atomic.Int64 // ns above which a broker is slow; 0 while there is no other to compare with
	mu      sync.Mutex   // of those that replace brokers
}

// pace is how fast one broker is. Its numbers may be a little off when many write them at once; nothing depends on more.
type pace struct {
	count   atomic.Int32 // times noted, up to enough of them
	mean    atomic.Int64 // ns that a send took, the newest counting most; 0 before the second, as the first had to connect
	waiting atomic.Int32 // sends
	news    atomic.Int64 // when the first of those began, or the last answer came: ns since 1970
	slow    atomic.Bool
	good    atomic.Int32 // quick tries in a row, while slow
	next    atomic.Int64 // when it may be tried, while slow: ns since 1970
}

// of gives the pace of a broker of the route. Brokers that the route has lost are forgotten.
func (all *paces) of(broker string, r *route.Route) *pace {
	if all.route.Load() == r {
		if p := (*all.brokers.Load())[broker]; p != nil {
			return p
		}
	}
	all.mu.Lock()
	defer all.mu.Unlock()
	known := map[string]*pace{}
	if old := all.brokers.Load(); old != nil {
		maps.Copy(known, *old)
		maps.DeleteFunc(known, func(name string, _ *pace) bool { return r.Nodes(name) == nil })
	}
	p := known[broker]
	if p == nil {
		p = &pace{}
		known[broker] = p
	}
	all.brokers.Store(&known)
	all.route.Store(r)
	return p
}

// begin counts a send in.
func (p *pace) begin(now time.Time) {
	if p.waiting.Add(1) == 1 {
		p.news.Store(now.UnixNano())
	}
}

// end counts a send out. How long it took is noted if it was stored, as refusals may be quicker. When there was no answer,
// it is the least that one would have taken.
func (all *paces) end(p *pace, now time.Time, took time.Duration, err error) {
	p.waiting.Add(-1)
	switch {
	case err == nil:
		p.news.Store(now.UnixNano())
		all.note(p, took)
	case Refused(err):
		p.news.Store(now.UnixNano())
	case int64(took) > p.mean.Load():
		all.note(p, took)
	}
}

// Refused tells whether a broker answered so: it hasn't stored what it was sent.
func Refused(err error) bool {
	var refusal *protocol.Error
	return errors.As(err, &refusal)
}

// note puts a time into the mean, and judges the broker by it.
func (all *paces) note(p *pace, took time.Duration) {
	count := p.count.Load()
	if count < paceWeight {
		if p.count.Add(1) == 1 {
			return
		}
	}
	mean := p.mean.Load()
	if mean == 0 {
		mean = int64(took)
	} else {
		mean += (int64(took) - mean) / paceWeight
	}
	p.mean.Store(max(mean, 1))
	limit := all.judge()
	switch {
	case limit == 0:
		p.slow.Store(false)
	case !p.slow.Load():
		if mean > limit && count >= paceWeight {
			p.good.Store(0)
			p.next.Store(time.Now().Add(probeSlow).UnixNano())
			p.slow.Store(true)
		}
	case int64(took) > limit:
		p.good.Store(0)
		p.next.Store(time.Now().Add(probeSlow).UnixNano())
	case p.good.Add(1) >= goodTries:
		p.mean.Store(int64(took))
		p.slow.Store(false)
	default:
		p.next.Store(time.Now().Add(probeSoon).UnixNano())
	}
}

// judge sets, and gives, the time above which a broker is slow.
func (all *paces) judge() int64 {
	best, others := int64(0), 0
	for _, p := range *all.brokers.Load() {
		if mean := p.mean.Load(); mean > 0 {
			others++
			if best == 0 || mean < best {
				best = mean
			}
		}
	}
	limit := int64(0)
	if others > 1 {
		limit = max(slowFactor*best, best+int64(slowLeast))
	}
	all.limit.Store(limit)
	return limit
}

// standing tells what to do about a broker. Who is told to probe must try it.
func (all *paces) standing(broker string, now time.Time) standing {
	limit := all.limit.Load()
	if limit == 0 {
		return well
	}
	p := (*all.brokers.Load())[broker]
	switch {
	case p == nil:
		return well
	case p.stuck(now, limit), all.crowded(p):
		return avoided
	case !p.slow.Load():
		return well
	}
	if next := p.next.Load(); now.UnixNano() < next || !p.next.CompareAndSwap(next, now.Add(probeSlow).UnixNano()) {
		return avoided
	}
	return probe
}

// stuck tells whether sends wait for the broker and none was answered for longer than makes it slow.
func (p *pace) stuck(now time.Time, limit int64) bool {
	return p.waiting.Load() > 0 && now.UnixNano()-p.news.Load() > limit
}

// crowded tells whether far more sends wait for the broker than for another.
func (all *paces) crowded(p *pace) bool {
	waiting := p.waiting.Load()
	if waiting <= crowdLeast {
		return false
	}
	fewest := waiting
	for _, other := range *all.brokers.Load() {
		fewest = min(fewest, other.waiting.Load())
	}
	return waiting > crowdFactor*fewest+crowdLeast
}

// Pace is how fast a broker has been for a topic.
type Pace struct {
	Broker  string
	Mean    time.Duration // of the sends that it answered, the newest counting most; 0 before the first
	Waiting int           // sends without an answer
	Slow    bool          // it is given less
}

// Paces gives those of the topic's brokers that were sent to, sorted by name.
func (t *Topic) Paces() []Pace {
	all := t.paces.brokers.Load()
	if all == nil {
		return nil
	}
	limit, now := t.paces.limit.Load(), time.Now()
	list := make([]Pace, 0, len(*all))
	for broker, p := range *all {
		slow := p.slow.Load() || limit > 0 && p.stuck(now, limit)
		list = append(list, Pace{broker, time.Duration(p.mean.Load()), int(p.waiting.Load()), slow})
	}
	slices.SortFunc(list, func(a, b Pace) int { return cmp.Compare(a.Broker, b.Broker) })
	return list
}

// single tells that one broker has all the queues: there is nothing to choose then.
func single(queues []protocol.Queue) bool { return queues[0].Broker == queues[len(queues)-1].Broker } // they are sorted
