package send

import (
	"cmp"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rocketkit/rocketkit/internal/protocol"
	"github.com/rocketkit/rocketkit/internal/route"
)

// A broker is slow for a topic when its sends take longer than slowFactor times those of the topic's fastest broker, and
// slowLeast longer: less is noise. It is judged by the topic's own sends, since others' messages may be larger, and by
// those that wait: while sends wait there and none was answered for as long, it is taken for slow before the first answer
// tells so, lest every caller get stuck there.
const (
	slowFactor = 4
	slowLeast  = 20 * time.Millisecond

	probeSlow = time.Second            // how often one send tries a slow broker
	probeSoon = 100 * time.Millisecond // and when the last such try was quick
	goodTries = 3                      // that many quick ones in a row, and it is as good as the others again

	paceWeight = 8 // of a new time in the mean: one in eight
)

// paces are how fast the brokers of one topic are. The zero value is ready. Safe for concurrent use; neither choosing nor
// measuring takes a lock.
type paces struct {
	brokers atomic.Pointer[map[string]*pace] // replaced, never changed
	limit   atomic.Int64                     // ns above which a broker is slow; 0 while there is no other to compare with

	mu    sync.Mutex // of those that replace brokers
	route *route.Route
}

// pace is how fast one broker is. Its numbers may be a little off when many write them at once; nothing depends on more.
type pace struct {
	mean    atomic.Int64 // ns that a send took, the newest counting most; 0 before the first
	waiting atomic.Int32 // sends
	news    atomic.Int64 // when the first of those began, or the last answer came: ns since 1970
	slow    atomic.Bool
	good    atomic.Int32 // quick tries in a row, while slow
	next    atomic.Int64 // when it may be tried, while slow: ns since 1970
}

// of gives a broker's pace. What the route has lost is forgotten when something new is in it.
func (p *paces) of(broker string, r *route.Route) *pace {
	if all := p.brokers.Load(); all != nil && (*all)[broker] != nil {
		return (*all)[broker]
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	all := map[string]*pace{}
	if old := p.brokers.Load(); old != nil {
		if (*old)[broker] != nil {
			return (*old)[broker]
		}
		maps.Copy(all, *old)
		maps.DeleteFunc(all, func(name string, _ *pace) bool { return r.Nodes(name) == nil })
	}
	all[broker] = &pace{}
	p.brokers.Store(&all)
	return all[broker]
}

// begin counts a send in.
func (p *pace) begin(now time.Time) {
	if p.waiting.Add(1) == 1 {
		p.news.Store(now.UnixNano())
	}
}

// gaveUp counts a send out that had no answer. How long it waited is the least that an answer would have taken.
func (all *paces) gaveUp(p *pace, took time.Duration) {
	p.waiting.Add(-1)
	if int64(took) > p.mean.Load() {
		all.note(p, took)
	}
}

// answered counts a send out that was stored, or refused.
func (all *paces) answered(p *pace, now time.Time, took time.Duration, stored bool) {
	p.waiting.Add(-1)
	p.news.Store(now.UnixNano())
	if stored { // refusals may be quicker
		all.note(p, took)
	}
}

// note puts a time into the mean, and judges the broker by it.
func (all *paces) note(p *pace, took time.Duration) {
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
		if mean > limit {
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
	case p.waiting.Load() > 0 && now.UnixNano()-p.news.Load() > limit:
		return avoided
	case !p.slow.Load():
		return well
	}
	if next := p.next.Load(); now.UnixNano() < next || !p.next.CompareAndSwap(next, now.Add(probeSlow).UnixNano()) {
		return avoided
	}
	return probe
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
	limit, now := t.paces.limit.Load(), time.Now().UnixNano()
	list := make([]Pace, 0, len(*all))
	for broker, p := range *all {
		waiting := int(p.waiting.Load())
		stuck := limit > 0 && waiting > 0 && now-p.news.Load() > limit
		list = append(list, Pace{broker, time.Duration(p.mean.Load()), waiting, p.slow.Load() || stuck})
	}
	slices.SortFunc(list, func(a, b Pace) int { return cmp.Compare(a.Broker, b.Broker) })
	return list
}

// single tells that one broker has all the queues: there is nothing to choose then.
func single(queues []protocol.Queue) bool { return queues[0].Broker == queues[len(queues)-1].Broker } // they are sorted
