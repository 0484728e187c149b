package cluster

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/rocketkit/rocketkit/internal/frame"
	"github.com/rocketkit/rocketkit/internal/protocol"
)

// nameServers asks one name server at a time and stays with the one that answered last.
type nameServers struct {
	cluster   *Cluster
	addresses []string
	current   atomic.Uint32
}

// Ask sends req to the name servers in turn until one gives an answer that accept accepts. When all that answer give
// others, one of those is returned: TOPIC_NOT_EXIST only if every one of them says so, since one that has just started
// knows no topic yet, and another may not be ready. An error means that none answered.
func (n *nameServers) Ask(ctx context.Context, req *frame.Frame, accept func(*frame.Frame) bool) (*frame.Frame, error) {
	start := n.current.Load()
	var refused *frame.Frame
	var failures []error
	for i := range uint32(len(n.addresses)) {
		at := (start + i) % uint32(len(n.addresses))
		answer, err := n.ask(ctx, n.addresses[at], req)
		switch {
		case err != nil:
			failures = append(failures, err)
		case accept(answer):
			n.current.Store(at)
			return answer, nil
		case refused == nil || refused.Code == protocol.CodeTopicNotExist:
			refused = answer
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
