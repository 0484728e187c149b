package cluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"github.com/rocketkit/rocketkit/internal/frame"
	"github.com/rocketkit/rocketkit/internal/protocol"
	"github.com/rocketkit/rocketkit/internal/remoting"
	"github.com/rocketkit/rocketkit/internal/route"
	"github.com/rocketkit/rocketkit/tenant"
)

// View is a Cluster as one tenant sees it. What servers say reaches the tenant's code in its own, logical names; what
// it asks is signed with the tenant's keys. Cluster.View makes one.
type View struct {
	*Cluster
	Names tenant.Names

	// Unwatched has producers and consumers made without hooks. It is for benchmarks, of what hooks cost that are off.
	Unwatched bool

	keys   *Keys
	remote remoting.Caller // not the Cluster's, which signs with the Cluster's keys
}

// LogOf is the Cluster's log with these attributes, and the tenant's name where there is one.
func (v *View) LogOf(attributes ...any) *slog.Logger {
	log := v.Log().With(attributes...)
	if tenant := v.Names.Tenant(); tenant != "" {
		log = log.With("tenant", tenant)
	}
	return log
}

// Keys returns what signs the View's requests; nil when nothing does.
func (v *View) Keys() *Keys { return v.keys }

// Join is Cluster.Join in the View's name.
func (v *View) Join(ctx context.Context, m Member) error {
	m.speaker = v.speaker()
	return v.Cluster.Join(ctx, m)
}

// Enlist is Cluster.Enlist in the View's name.
func (v *View) Enlist(m Member) error {
	m.speaker = v.speaker()
	return v.Cluster.Enlist(m)
}

// Leave is Cluster.Leave in the View's name.
func (v *View) Leave(ctx context.Context, m Member) error {
	m.speaker = v.speaker()
	return v.Cluster.Leave(ctx, m)
}

// Call sends a request and returns its answer, whatever code it bears. ctx is the only clock.
func (v *View) Call(ctx context.Context, address string, req *frame.Frame) (*frame.Frame, error) {
	answer, err := v.remote.Call(ctx, address, req)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", protocol.RequestName(req.Code), err)
	}
	v.hideTenant(answer)
	return answer, nil
}

// Tell sends a request one-way: nil means that it stands in line to be written, not that it arrived.
func (v *View) Tell(ctx context.Context, address string, req *frame.Frame) error {
	if err := v.remote.Send(ctx, address, req); err != nil {
		return fmt.Errorf("%s: %w", protocol.RequestName(req.Code), err)
	}
	return nil
}

// Ask sends a request to the name servers, beginning with the one that answered last, and returns the first answer,
// whatever code it bears. Each gets the request time-out.
func (v *View) Ask(ctx context.Context, req *frame.Frame) (*frame.Frame, error) {
	answer, err := v.names.Ask(ctx, req, func(*frame.Frame) bool { return true })
	if err != nil {
		return nil, fmt.Errorf("%s: %w", protocol.RequestName(req.Code), err)
	}
	v.hideTenant(answer)
	return answer, nil
}

// hideTenant gives a refusal's remark logical names.
func (v *View) hideTenant(answer *frame.Frame) {
	if answer.Code != protocol.CodeSuccess && v.Names.Tenant() != "" {
		answer.Remark = withoutPrefix(answer.Remark, v.Names.Tenant()+"%")
	}
}

// withoutPrefix takes prefix out of every name in text that begins with it; tenant "d" must not turn "red%x" into "rex".
func withoutPrefix(text, prefix string) string {
	var b strings.Builder
	for {
		before, after, found := strings.Cut(text, prefix)
		b.WriteString(before)
		if !found {
			return b.String()
		}
		if before != "" && isNameByte(before[len(before)-1]) {
			b.WriteString(prefix)
		}
		text = after
	}
}

func isNameByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_'
}

// Invoke sends a request under ctx and the request time-out, and returns its answer when that bears code 0, else a
// *protocol.Error with the server's address.
func (v *View) Invoke(ctx context.Context, address string, req *frame.Frame) (*frame.Frame, error) {
	ctx, cancel := context.WithTimeout(ctx, v.cfg.RequestTimeout)
	defer cancel()
	answer, err := v.Call(ctx, address, req)
	if err != nil {
		return nil, err
	}
	return answer, CheckFrom(address, req.Code, answer)
}

// CheckFrom is protocol.Check with the address of who answered.
func CheckFrom(address string, request int32, answer *frame.Frame) error {
	err := protocol.Check(request, answer)
	var refused *protocol.Error
	if errors.As(err, &refused) {
		refused.Address = address
	}
	return err
}

// Master returns the address of the master of a broker that holds the physical topic.
func (v *View) Master(ctx context.Context, topic, broker string) (string, error) {
	r, err := v.Route(ctx, topic)
	if err != nil {
		return "", err
	}
	address, ok := r.Master(broker)
	if !ok {
		return "", fmt.Errorf("broker %s has no master in the route of topic %s", broker, v.logical(topic))
	}
	return address, nil
}

// Route returns the route of a physical topic; its errors name the topic by its logical name.
func (v *View) Route(ctx context.Context, topic string) (*route.Route, error) {
	r, err := v.routes.Get(ctx, topic)
	if err != nil {
		return nil, fmt.Errorf("topic %s: %w", v.logical(topic), err)
	}
	return r, nil
}

func (v *View) logical(topic string) string {
	if name, ok := v.Names.LogicalTopic(topic); ok {
		return name
	}
	return topic
}
