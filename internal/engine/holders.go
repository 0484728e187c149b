package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rocketkit/rocketkit/internal/frame"
	"github.com/rocketkit/rocketkit/internal/protocol"
)

// A broker that refuses a lock doesn't say who holds it, and goes on refusing for a minute after the holder died. So the
// group's other members are asked what they hold, by the request for running info (GET_CONSUMER_RUNNING_INFO 307), which
// a broker passes on to them.

const (
	askWithin  = 3 * time.Second // a member that takes longer doesn't answer
	askAtLeast = time.Second     // between two rounds of asking; less when members come or go
	askAtMost  = 5 * time.Second
)

// testimony is what a member says of the queues it holds.
type testimony struct {
	member string
	silent bool // it doesn't answer: if it holds a lock, that lapses, unless it comes back to life
	held   map[protocol.Queue]bool
}

// askHolders asks while locks are refused, until ctx ends. While nobody waits for a lock it does nothing.
func (e *Engine) askHolders(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-e.asking:
		}
		for pause := askAtLeast; ctx.Err() == nil && len(e.refusedQueues()) > 0; {
			began := e.clock()
			all, whole := e.askMembers(ctx)
			if !whole {
				continue // the group has changed: ask those who are members now
			}
			e.judgeHolders(all, began)
			timer := time.NewTimer(pause)
			select {
			case <-ctx.Done():
			case <-e.asking:
				pause = askAtLeast
			case <-timer.C:
				pause = min(2*pause, askAtMost)
			}
			timer.Stop()
		}
	}
}

// refusedQueues lists the queues of which it is open who has them.
func (e *Engine) refusedQueues() (queues []*queue) {
	e.mu.Lock()
	brokers := e.allBrokers()
	e.mu.Unlock()
	for _, b := range brokers {
		b.locks.mu.Lock()
		for _, q := range b.locks.queues {
			if q.lock.state == lockRefused || q.lock.doubt {
				queues = append(queues, q)
			}
		}
		b.locks.mu.Unlock()
	}
	return queues
}

// askMembers asks every other member at once. It is not whole when ctx ended or the group changed meanwhile.
func (e *Engine) askMembers(ctx context.Context) (all []testimony, whole bool) {
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	members := e.otherMembers()
	answers := make(chan testimony, len(members))
	var asking sync.WaitGroup
	defer asking.Wait()
	for member, brokers := range members {
		asking.Go(func() { answers <- e.askMember(ctx, member, brokers) })
	}
	for range members {
		select {
		case a := <-answers:
			all = append(all, a)
		case <-e.asking:
			cancel()
			return nil, false
		}
	}
	slices.SortFunc(all, func(a, b testimony) int { return strings.Compare(a.member, b.member) })
	return all, !errors.Is(ctx.Err(), context.Canceled)
}

// askMember asks one member, by a broker that lists it. One that says no, or that the broker no longer knows, holds
// nothing.
func (e *Engine) askMember(ctx context.Context, member string, brokers []string) testimony {
	silent := testimony{member: member, silent: true}
	err := errors.New("no broker lists it") // after its broker was restarted it hasn't reported yet
	var answer *frame.Frame
	for _, broker := range brokers {
		answer, err = e.view.Call(ctx, broker, protocol.GetRunningInfo{Group: e.group, ClientID: member}.Frame())
		if err == nil {
			break
		}
	}
	if err != nil {
		return silent
	}
	info, err := protocol.ParseRunningInfo(answer)
	switch {
	case protocol.HasCode(err, protocol.CodeConsumeTimeout, protocol.CodeSystemBusy):
		return silent
	case err != nil:
		return testimony{member: member}
	}
	says := testimony{member: member, held: map[protocol.Queue]bool{}}
	for id, q := range info.Queues {
		says.held[id] = q.Locked
	}
	return says
}

// judgeHolders decides, by what members said from began on, what becomes of the queues whose lock is refused.
func (e *Engine) judgeHolders(all []testimony, began int64) {
	for _, q := range e.refusedQueues() {
		holder, silent := "", ""
		for _, says := range all {
			switch {
			case says.held[q.id]:
				holder = says.member
			case says.silent:
				silent = says.member
			}
		}
		q.judge(holder, silent, began)
	}
}

// judge draws the conclusion for one queue.
func (q *queue) judge(holder, silent string, began int64) {
	l := &q.broker.locks
	l.mu.Lock()
	defer l.mu.Unlock()
	waits := q.lock.state == lockRefused
	switch {
	case !waits && !q.lock.doubt: // granted in the meantime
	case waits && holder != "":
		q.waitsFor(fmt.Sprintf("lock held by %s", holder))
	case waits && silent != "":
		q.waitsFor(fmt.Sprintf("lock that may be held by %s, which doesn't answer", silent))
	case waits:
		q.lock.clear = true
		l.pollAt = time.Time{}
		wake(l.wanted)
	case holder != "":
		q.lock.doubt = false
		q.lose(holder + " says it has it")
	case silent == "":
		q.lock.doubt = false
		q.assure(began)
	default:
		q.lock.doubt = false // asked again after the next renewal, unless that is granted
	}
}
