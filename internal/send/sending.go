package send

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/rocketkit/rocketkit/internal/protocol"
	"github.com/rocketkit/rocketkit/internal/route"
)

// sending is one Send under way. A round is one attempt on each broker.
type sending struct {
	topic    *Topic
	request  *Request
	begun    time.Time
	oneWay   bool
	route    *route.Route   // of the last attempt; nil when there was none
	queue    protocol.Queue // of the last attempt; zero when there was none
	pinned   protocol.Queue // a sharding key's queue, once chosen
	attempts int
	rounds   int
	tried    []string // brokers that failed in this round
	denied   int      // how often this round met NO_PERMISSION
	why      verdict  // of the last failure
	last     error
}

// attempt sends the request to one queue.
func (s *sending) attempt(ctx context.Context) (Result, error) {
	s.attempts++
	address, err := s.target(ctx)
	if err != nil {
		return Result{}, err
	}
	begun := time.Now()
	var pace *pace
	if !s.oneWay { // which is answered by nobody
		pace = s.topic.paces.of(s.queue.Broker, s.route)
		pace.begin(begun)
	}
	result, err := s.put(ctx, s.queue, address)
	took := time.Since(begun)
	if pace != nil {
		s.topic.paces.end(pace, begun.Add(took), took, err)
	}
	faults := &s.topic.sender.faults
	if err == nil {
		if !s.oneWay {
			faults.worked(s.queue.Broker)
		}
		return Result{SendResult: result, Broker: s.queue.Broker, Address: address}, nil
	}
	s.tried = append(s.tried, s.queue.Broker)
	if avoid := avoidance(ctx, err, took); avoid > 0 {
		faults.failed(s.queue.Broker, avoid, err)
	}
	return Result{}, err
}

// target sets the queue of this attempt, and gives its broker's address.
func (s *sending) target(ctx context.Context) (address string, err error) {
	s.queue = protocol.Queue{}
	s.route, err = s.topic.sender.view.Routes().Get(ctx, s.topic.physical)
	if err != nil {
		return "", err
	}
	if s.queue, err = s.choose(ctx, s.route); err != nil {
		return "", err
	}
	address, ok := s.route.Master(s.queue.Broker)
	if !ok {
		return "", errNoMaster
	}
	return address, nil
}

// put makes one request of it.
func (s *sending) put(ctx context.Context, queue protocol.Queue, address string) (protocol.SendResult, error) {
	view := s.topic.sender.view
	req := protocol.SendMessage{
		ProducerGroup: s.request.Group,
		Topic:         s.topic.physical,
		QueueID:       queue.ID,
		SysFlag:       s.request.SysFlag,
		Flag:          s.request.Flag,
		BornTime:      s.begun.UnixMilli(),
		Properties:    s.request.Properties,
		BrokerName:    queue.Broker,
		Batch:         s.request.Batch,
		Reply:         s.request.Reply,
		Body:          s.request.Body,
	}.Frame()
	if deadline, ok := ctx.Deadline(); !ok || time.Until(deadline) > view.RequestTimeout() {
		limited, cancel := context.WithTimeout(ctx, view.RequestTimeout())
		defer cancel()
		ctx = limited
	}
	if s.request.Timed {
		if err := s.topic.sender.checkTimers(ctx, queue, address); err != nil {
			return protocol.SendResult{}, err
		}
	}
	if s.oneWay {
		return protocol.SendResult{QueueID: queue.ID}, view.Tell(ctx, address, req)
	}
	answer, err := view.Call(ctx, address, req)
	if err != nil {
		return protocol.SendResult{}, err
	}
	result, err := protocol.ParseSendResult(answer)
	if err == nil && s.request.Timed && answer.Version < protocol.Version5 {
		return result, deliveredEarly(queue, answer.Version)
	}
	if refusal := (*protocol.Error)(nil); errors.As(err, &refusal) {
		refusal.Request, refusal.Address = req.Code, address
	}
	return result, err
}

// another tells whether this round has a broker left to try now.
func (s *sending) another() bool {
	if s.bound() || s.route == nil || s.why == moved { // all brokers' queues may have moved
		return false
	}
	return slices.ContainsFunc(s.route.Write, func(q protocol.Queue) bool { return !slices.Contains(s.tried, q.Broker) })
}

// judge notes a failure and tells whether it is for good.
func (s *sending) judge(err error) bool {
	s.why = verdictOf(err)
	switch s.why {
	case refused:
		return true
	case denied:
		s.denied++
	case busy:
		return s.request.Several && s.rounds > 0 && protocol.HasCode(err, protocol.CodeSystemError)
	case moved:
		if s.request.Pinned != (protocol.Queue{}) {
			return true
		}
		s.pinned = protocol.Queue{} // it is no more: the key has another one now, for every producer
	}
	return false
}

// again ends a round: it waits, and sees to it that the next has a fresh route. An error means that there is no next.
func (s *sending) again(ctx context.Context) error {
	everywhere := s.denied > 0 && s.denied >= len(s.tried)
	if !everywhere {
		s.rest(ctx, backoff(s.rounds))
	}
	if s.why != busy && !s.followed() && ctx.Err() == nil {
		err := s.topic.refresh(ctx)
		if err != nil && s.why == missing {
			return err // a broker and the name servers say so: it isn't a name server that has just started
		}
	}
	if everywhere {
		if s.route, _ = s.topic.sender.view.Routes().Get(ctx, s.topic.physical); !s.another() {
			return s.last
		}
		return nil
	}
	s.rounds++
	s.tried, s.denied = s.tried[:0], 0
	return nil
}
