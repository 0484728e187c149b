package admin

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rocketkit/rocketkit/internal/protocol"
)

// atOnce bounds how many requests of one call are under way.
const atOnce = 32

// Broker is a master and its replicas, as the name servers know them.
type Broker struct {
	Name      string
	Cluster   string
	Addresses map[int64]string // host:port by broker id; 0 is the master, which is missing while it is down
}

// Brokers lists all brokers of the cluster, sorted by name, as the union of what the name servers say: one that has
// just started knows only the brokers that have reported to it. It fails when no name server answers.
func (a *Admin) Brokers(ctx context.Context) ([]Broker, error) {
	return a.brokers(ctx, "list brokers")
}

// NameServers returns the addresses of the name servers that the client was configured with, or those that its address
// server told last; none before they were first needed.
func (a *Admin) NameServers() []string { return slices.Clone(a.view.NameServers()) }

// server is who a request goes to, and what errors call it.
type server struct {
	name, address string
	why           error // that it can't be asked, other than that a broker has no master
}

// nameServers gives all of them, never none: where they aren't known, a stand-in that fails each request with the reason.
func (a *Admin) nameServers(ctx context.Context) []server {
	addresses, err := a.view.AwaitNameServers(ctx)
	if err != nil {
		return []server{{name: "the name servers", why: err}}
	}
	servers := make([]server, 0, len(addresses))
	for _, address := range addresses {
		servers = append(servers, nameServer(address))
	}
	return servers
}

func nameServer(address string) server {
	return server{name: "name server " + address, address: address}
}

func (b Broker) master() server {
	return server{name: b.Name, address: b.Addresses[protocol.MasterID]}
}

func (b Broker) replicas() []server {
	var servers []server
	for _, id := range slices.Sorted(maps.Keys(b.Addresses)) {
		if id != protocol.MasterID {
			servers = append(servers, server{name: fmt.Sprintf("%s replica %d", b.Name, id), address: b.Addresses[id]})
		}
	}
	return servers
}

func (a *Admin) brokers(ctx context.Context, op string) ([]Broker, error) {
	return a.brokersWithin(ctx, op, 0)
}

// brokersWithin leaves out name servers that haven't answered so long after the first one has; 0 waits for all.
func (a *Admin) brokersWithin(ctx context.Context, op string, after time.Duration) ([]Broker, error) {
	asking, enough := context.WithCancel(ctx)
	defer enough()
	answers, outcomes := onEach(asking, a.nameServers(ctx), func(ctx context.Context, s server) (protocol.ClusterInfo, error) {
		answer, err := a.ask(ctx, s, protocol.GetCluster{}.Frame())
		if err != nil {
			return protocol.ClusterInfo{}, err
		}
		if after > 0 {
			time.AfterFunc(after, enough)
		}
		return protocol.ParseClusterInfo(answer)
	})
	if err := noneAnswered(outcomes); err != nil {
		return nil, failed(op, err)
	}
	all := map[string]Broker{}
	for _, info := range answers {
		for name, data := range info.Brokers {
			b, known := all[name]
			if !known {
				b = Broker{Name: name, Cluster: data.Cluster, Addresses: map[int64]string{}}
				all[name] = b
			}
			for id, address := range data.Addresses {
				if _, known := b.Addresses[id]; !known {
					b.Addresses[id] = address
				}
			}
		}
	}
	return slices.SortedFunc(maps.Values(all), func(x, y Broker) int { return cmp.Compare(x.Name, y.Name) }), nil
}

// someBrokers gives the brokers that only names, and all when it is empty.
func (a *Admin) someBrokers(ctx context.Context, op string, only []string) ([]Broker, error) {
	all, err := a.brokers(ctx, op)
	if err != nil {
		return nil, err
	}
	if len(all) == 0 {
		return nil, noBrokers(op)
	}
	if len(only) == 0 {
		return all, nil
	}
	var some []Broker
	var names []string
	for _, b := range all {
		names = append(names, b.Name)
		if slices.Contains(only, b.Name) {
			some = append(some, b)
		}
	}
	for i, name := range only {
		if !slices.Contains(names, name) {
			return nil, invalid(op, fmt.Sprintf("Brokers[%d]", i), fmt.Errorf("there is no broker %q, but %s", name, strings.Join(names, ", ")))
		}
	}
	return some, nil
}

func noBrokers(op string) error {
	return fmt.Errorf("admin: %s: no broker has reported to the name servers: wait until one has, or check their addresses", op)
}

func masters(brokers []Broker) []server {
	servers := make([]server, 0, len(brokers))
	for _, b := range brokers {
		servers = append(servers, b.master())
	}
	return servers
}

func replicas(brokers []Broker) []server {
	var servers []server
	for _, b := range brokers {
		servers = append(servers, b.replicas()...)
	}
	return servers
}

// noneAnswered gives an error when every name server failed. One answer is enough where the rest can only add to it.
func noneAnswered(outcomes []error) error {
	for _, err := range outcomes {
		if err == nil {
			return nil
		}
	}
	return fmt.Errorf("no name server answers: %w", causes(outcomes))
}

// onEach calls do for all targets at once and returns when every call has, with results and errors in their order.
func onEach[S, T any](ctx context.Context, targets []S, do func(context.Context, S) (T, error)) ([]T, []error) {
	results, outcomes := make([]T, len(targets)), make([]error, len(targets))
	slots := make(chan struct{}, atOnce)
	var wg sync.WaitGroup
	for i, target := range targets {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			if outcomes[i] = ctx.Err(); outcomes[i] == nil {
				results[i], outcomes[i] = do(ctx, target)
			}
		})
	}
	wg.Wait()
	return results, outcomes
}

// tell sends each server a change.
func (a *Admin) tell(ctx context.Context, t *tally, servers []server, change func(context.Context, server) error) {
	_, outcomes := onEach(ctx, servers, func(ctx context.Context, s server) (struct{}, error) {
		return struct{}{}, change(ctx, s)
	})
	t.add(servers, outcomes)
}
