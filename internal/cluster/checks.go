package cluster

import (
	"context"
	"slices"
	"sync"

	"github.com/rocketkit/rocketkit/internal/frame"
	"github.com/rocketkit/rocketkit/internal/protocol"
)

// Checker answers a producer group's check-backs (CHECK_TRANSACTION_STATE 39). Its methods are called on goroutines of
// their own and mustn't wait.
type Checker interface {
	// OwnCheck takes a check-back whose transaction this Checker's producer is in the middle of; false leaves it to others.
	OwnCheck(broker string, q *protocol.CheckTransaction) bool

	// Check takes any check-back of the group.
	Check(broker string, q *protocol.CheckTransaction)
}

// checkers are the producers of this process that answer check-backs, and the brokers that have to know them. A broker
// asks any one producer of the group, also about messages of producers that are gone. Which topics those sent to nobody
// knows, so all masters that the name servers list hear of the group.
type checkers struct {
	mu      sync.Mutex
	all     map[string][]Checker // by physical group
	masters map[string]string    // addresses by broker, as last listed
}

// ServeChecks has check-backs of a physical producer group answered by k, and the group, once joined, known to all
// masters, until stop is called.
func (c *Cluster) ServeChecks(group string, k Checker) (stop func()) {
	s := &c.checkers
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.all == nil {
		s.all = map[string][]Checker{}
	}
	s.all[group] = append(s.all[group], k)
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		left := slices.DeleteFunc(slices.Clone(s.all[group]), func(other Checker) bool { return other == k })
		if s.all[group] = left; len(left) == 0 {
			delete(s.all, group)
		}
		if len(s.all) == 0 {
			s.masters = nil
		}
	}
}

// FindMasters asks the name servers for all masters, for those who serve check-backs; without any of them it asks nothing.
func (c *Cluster) FindMasters(ctx context.Context) error {
	c.checkers.mu.Lock()
	none := len(c.checkers.all) == 0
	c.checkers.mu.Unlock()
	if none {
		return nil
	}
	answer, err := c.names.Ask(ctx, protocol.GetCluster{}.Frame(), func(f *frame.Frame) bool { return f.Code == protocol.CodeSuccess })
	if err != nil {
		return err
	}
	info, err := protocol.ParseClusterInfo(answer)
	if err != nil {
		return err
	}
	c.checkers.listed(info)
	return nil
}

// listed takes over what the name servers list: nothing when it is nothing, as from one that was just started.
func (s *checkers) listed(info protocol.ClusterInfo) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.all) == 0 {
		return
	}
	masters := make(map[string]string, len(info.Brokers))
	for name, broker := range info.Brokers {
		if address, up := broker.Addresses[protocol.MasterID]; up {
			masters[name] = address
		}
	}
	if len(masters) > 0 {
		s.masters = masters
	}
}

// Asking tells how many masters are connected and have heard of a physical producer group, and how many there are, as far
// as those who serve check-backs know.
func (c *Cluster) Asking(group string) (asking, masters int) {
	key := memberKey{group: group}
	by, _ := c.members.speakerOf(key)
	all := c.checkers.addresses()
	for _, address := range all {
		if c.knows(address, key, by) && !c.members.isQuiet(heard{address, by}) {
			asking++
		}
	}
	return asking, len(all)
}

// addresses are those of the masters, by the brokers' names.
func (s *checkers) addresses() map[string]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.masters
}

// at names the broker whose master has an address.
func (s *checkers) at(address string) (broker string, ok bool) {
	for name, its := range s.addresses() {
		if its == address {
			return name, true
		}
	}
	return "", false
}

// handle gives a check-back to the producer that the transaction is of, and to any of the group when none is in the
// middle of it.
func (s *checkers) handle(broker string, req *frame.Frame) error {
	q, err := protocol.ParseCheckTransaction(req)
	if err != nil {
		return err
	}
	group, _ := q.Message.Properties.Get(protocol.PropertyProducerGroup)
	s.mu.Lock()
	list := s.all[group]
	s.mu.Unlock()
	if slices.ContainsFunc(list, func(k Checker) bool { return k.OwnCheck(broker, &q) }) || len(list) == 0 {
		return nil // a group that has just left may still be asked: the broker asks again, then another
	}
	list[0].Check(broker, &q)
	return nil
}
