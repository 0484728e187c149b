package cluster

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/rocketkit/rocketkit/internal/frame"
)

// nameServers asks one name server at a time and stays with the one that answered last.
type nameServers struct {
	cluster   *Cluster
	addresses []string
	current   atomic.Uint32
}

// Ask sends req to the name servers in turn until one gives an answer that final accepts. When all that answer give one
// that final refuses, the last of those is returned; an error means that none answered.
func (n *nameServers) Ask(ctx context.Context, req *frame.Frame, final func(*frame.Frame) bool) (*frame.Frame, error) {
	start := n.current.Load()
	var refused *frame.Frame
	var failures []error
	for i := range uint32(len(n.addresses)) {
		at := (start + i) % uint32(len(n.addresses))
		answer, err := n.ask(ctx, n.addresses[at], req)
		switch {
		case err != nil:
			failures = append(failures, err)
		case !final(answer):
			refused = answer
		default:
			n.current.Store(at)
			return answer, nil
		}
		if ctx.Err() != nil {
			break
		}
	}
	if refused != nil {
		return refused, nil
	}
	return nil, fmt.Errorf("no name server answers: %w", errors.Join(failures...))
}

func (n *nameServers) ask(ctx context.Context, address string, req *frame.Frame) (*frame.Frame, error) {
	ctx, cancel := context.WithTimeout(ctx, n.cluster.cfg.RequestTimeout)
	defer cancel()
	return n.cluster.remote.Call(ctx, address, req)
}
