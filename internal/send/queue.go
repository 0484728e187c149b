package send

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/rocketkit/rocketkit/internal/protocol"
	"github.com/rocketkit/rocketkit/internal/route"
)

var (
	errNoQueue     = errors.New("no queue of this topic can be written to now: its brokers' masters are down, or it is read-only")
	errNoMaster    = errors.New("the queue's broker has no master now")
	errNoSuchQueue = errors.New("there is no such queue to write to")
)

// choose picks the queue of the next attempt.
func (s *sending) choose(ctx context.Context, r *route.Route) (protocol.Queue, error) {
	if s.request.Queue != nil {
		return s.named(ctx, r)
	}
	if s.pinned != (protocol.Queue{}) {
		return s.pinned, nil
	}
	if len(r.Write) == 0 {
		return protocol.Queue{}, errNoQueue
	}
	if key := s.request.ShardingKey; key != "" {
		s.pinned = r.Write[hashIndex(key, len(r.Write))]
		return s.pinned, nil
	}
	if queue, ok := s.first(r); ok {
		return queue, nil
	}
	turn := s.topic.turn.Add(1)
	if len(s.tried) == 0 && s.topic.sender.faults.none() {
		q := r.Write[turn%uint32(len(r.Write))]
		if single(r.Write) || s.topic.paces.standing(q.Broker, time.Now()) != avoided {
			return q, nil
		}
	}
	return s.chooseAround(r.Write, turn), nil
}

// first gives a queue of the broker to try first, unless this round has tried it.
func (s *sending) first(r *route.Route) (protocol.Queue, bool) {
	if s.request.First == "" || slices.Contains(s.tried, s.request.First) {
		return protocol.Queue{}, false
	}
	i := slices.IndexFunc(r.Write, func(q protocol.Queue) bool { return q.Broker == s.request.First })
	if i < 0 {
		return protocol.Queue{}, false
	}
	return r.Write[i], true
}

// chooseAround picks among the queues of brokers that this send hasn't tried in this round: those of the ones that are
// well if there are any, else of slow ones, else of those that failed other sends.
func (s *sending) chooseAround(queues []protocol.Queue, turn uint32) protocol.Queue {
	var good, slow, untried []protocol.Queue
	broker, failed, pace, now := "", well, well, time.Now()
	for _, q := range queues { // sorted, so a broker's queues stand together
		if slices.Contains(s.tried, q.Broker) {
			continue
		}
		if q.Broker != broker {
			broker, failed, pace = q.Broker, s.topic.sender.faults.standing(q.Broker, now), well
			if failed == well {
				pace = s.topic.paces.standing(q.Broker, now)
			}
		}
		switch {
		case failed == probe || pace == probe:
			return q
		case failed == avoided:
			untried = append(untried, q)
		case pace == avoided:
			slow = append(slow, q)
		default:
			good = append(good, q)
		}
	}
	for _, some := range [][]protocol.Queue{good, slow, untried} {
		if len(some) > 0 {
			return some[turn%uint32(len(some))]
		}
	}
	return queues[turn%uint32(len(queues))] // the route has changed, and the brokers that are left have failed
}

// bound tells that the message may go to one queue only.
func (s *sending) bound() bool { return s.request.Queue != nil || s.request.ShardingKey != "" }

// named gives the queue that the caller named. One that isn't in the route is looked for once more in a fresh one, lest a
// queue that was just added be refused. A broker that is away may come back with its queues, so that is worth waiting for.
func (s *sending) named(ctx context.Context, r *route.Route) (protocol.Queue, error) {
	q := protocol.Queue{Topic: s.topic.physical, Broker: s.request.Queue.Broker, ID: s.request.Queue.ID}
	if slices.Contains(r.Write, q) {
		return q, nil
	}
	view := s.topic.sender.view
	if err := s.topic.refresh(ctx); err != nil {
		return q, err
	}
	r, err := view.Routes().Get(ctx, s.topic.physical)
	if err != nil {
		return q, err
	}
	s.route = r
	_, up := r.Master(q.Broker)
	switch {
	case slices.Contains(r.Write, q):
		return q, nil
	case view.Away(q.Broker), !up && len(r.Nodes(q.Broker)) > 0:
		return q, errNoMaster
	}
	return q, fmt.Errorf("%w: %s/%d; topic %s has %s", errNoSuchQueue, q.Broker, q.ID, s.topic.logical, listed(r.Write))
}

// listed tells which queues there are: "broker-a 0 to 7, broker-b 0 to 3". A broker's queues are numbered from 0.
func listed(queues []protocol.Queue) string {
	if len(queues) == 0 {
		return "none that can be written to now"
	}
	var list []string
	for i, q := range queues { // sorted by broker and number
		if last := i+1 == len(queues) || queues[i+1].Broker != q.Broker; last {
			list = append(list, fmt.Sprintf("%s 0 to %d", q.Broker, q.ID))
		}
	}
	return strings.Join(list, ", ")
}
