package engine

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/internal/protocol"
	"github.com/rocketkit/rocketkit/internal/route"
)

// memberGrace is how long a broker that we have just connected isn't believed that the members it doesn't list are gone.
// One that was restarted knows only those that have reached it since, and whoever is first would take all queues.
const memberGrace = 5 * time.Second

// sighting is what is known of a member of the group.
type sighting struct {
	at      time.Time // when a broker last listed it
	brokers []string  // which did, by address; none while it is only counted for memberGrace
}

// roll is the group's members as the brokers list them.
type roll struct {
	sightings map[string]sighting
	old       bool      // some broker was connected long enough to know all
	reporting time.Time // since when the newest connection of a broker that answered
	failures  []error
}

// groupMembers asks every broker of the topics who is in the group and returns all that any of them names: a broker that
// was just started knows only those members that have reported since. Lists without ourselves are an error: the brokers
// have forgotten us, or never let us in, and to give up all queues for it would stop the group.
func (e *Engine) groupMembers(ctx context.Context, routes map[*topic]*route.Route) ([]string, error) {
	r := e.callRoll(ctx, mastersOf(routes))
	if _, listed := r.sightings[e.view.ClientID()]; !listed {
		for _, err := range r.failures {
			if errors.Is(err, rocketkit.ErrClosed) {
				return nil, err
			}
		}
		e.view.Beat(ctx)
		return nil, errors.Join(append([]error{errors.New("no broker lists this client in its group; when brokers don't create groups by " +
			"themselves (autoCreateSubscriptionGroup=false), create the group first")}, r.failures...)...)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.graceEnds = time.Time{}
	if !r.old {
		for member, last := range e.members {
			if _, listed := r.sightings[member]; !listed && last.at.Before(r.reporting) {
				r.sightings[member] = sighting{at: last.at}
				e.graceEnds = r.reporting.Add(memberGrace)
			}
		}
	}
	if !maps.EqualFunc(e.members, r.sightings, func(sighting, sighting) bool { return true }) {
		wake(e.asking) // who waits for a lock asks those who are members now
	}
	e.members = r.sightings
	members := make([]string, 0, len(e.members))
	for member := range e.members {
		members = append(members, member)
	}
	slices.Sort(members)
	return members, nil
}

// callRoll asks the brokers at some addresses for the group's members.
func (e *Engine) callRoll(ctx context.Context, addresses map[string]bool) roll {
	r := roll{sightings: map[string]sighting{}}
	var mu sync.Mutex
	var asking sync.WaitGroup
	for address := range addresses {
		asking.Go(func() {
			ids, err := e.membersAt(ctx, address)
			since, connected := e.view.Since(address)
			if !connected {
				since = time.Now() // it ended with the answer
			}
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				r.failures = append(r.failures, err)
				return
			}
			for _, id := range ids {
				r.sightings[id] = sighting{time.Now(), append(r.sightings[id].brokers, address)}
			}
			if r.reporting.Before(since) {
				r.reporting = since
			}
			r.old = r.old || time.Since(since) >= memberGrace
		})
	}
	asking.Wait()
	return r
}

func mastersOf(routes map[*topic]*route.Route) map[string]bool {
	addresses := map[string]bool{}
	for _, r := range routes {
		for _, broker := range r.Brokers() {
			if address, ok := r.Address(broker, protocol.MasterID); ok {
				addresses[address] = true
			}
		}
	}
	return addresses
}

func (e *Engine) membersAt(ctx context.Context, address string) ([]string, error) {
	answer, err := e.view.Invoke(ctx, address, protocol.ConsumerList{Group: e.group}.Frame())
	if err != nil {
		return nil, err
	}
	ids, err := protocol.ParseConsumerList(answer)
	if err != nil {
		return nil, fmt.Errorf("broker %s: %w", address, err)
	}
	return ids, nil
}

// otherMembers gives the group's other members as of the last rebalance, and which brokers, by address, list them.
func (e *Engine) otherMembers() map[string][]string {
	e.mu.Lock()
	defer e.mu.Unlock()
	others := make(map[string][]string, len(e.members))
	for member, seen := range e.members {
		if member != e.view.ClientID() {
			others[member] = seen.brokers
		}
	}
	return others
}
