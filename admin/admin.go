package admin

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"strings"
	"time"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/internal/cluster"
	"github.com/rocketkit/rocketkit/internal/frame"
	"github.com/rocketkit/rocketkit/tenant"
)

// changeTimeout is the least a broker gets for a change: it answers only after it has told every name server, and waits
// 24 s for one that hangs (BrokerConfig's registerBrokerTimeoutMills).
const changeTimeout = 30 * time.Second

// What the names of a group's own topics begin with (MixAll).
const (
	retryPrefix      = "%RETRY%"
	deadLetterPrefix = "%DLQ%"
)

// Admin does what the package says, on the sockets of its client and in the client's tenant. It holds nothing to close
// and is safe for concurrent use. The zero Admin is not usable.
type Admin struct {
	view *cluster.View
	keys []ed25519.PublicKey // that a settings document must be signed with one of; none: any counts
}

// New makes an Admin; nothing is sent. It works until client is closed.
func New(client *rocketkit.Client) *Admin {
	return &Admin{view: client.Cluster(), keys: client.Settings().Keys}
}

// ask sends a request that is quickly answered.
func (a *Admin) ask(ctx context.Context, s server, req *frame.Frame) (*frame.Frame, error) {
	return a.call(ctx, s, req, a.view.RequestTimeout())
}

// change sends a broker a request that changes it.
func (a *Admin) change(ctx context.Context, s server, req *frame.Frame) error {
	_, err := a.call(ctx, s, req, max(a.view.RequestTimeout(), changeTimeout))
	return err
}

func (a *Admin) call(ctx context.Context, s server, req *frame.Frame, timeout time.Duration) (*frame.Frame, error) {
	switch {
	case s.why != nil:
		return nil, s.why
	case s.address == "":
		return nil, errNoMaster
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	answer, err := a.view.Call(ctx, s.address, req)
	if err != nil {
		return nil, err
	}
	return answer, cluster.CheckFrom(s.address, req.Code, answer)
}

// readable gives the physical name of a topic that may be any the tenant sees, RocketMQ's own included.
func (a *Admin) readable(op, topic string) (string, error) {
	physical, err := a.view.Names.Resource(topic)
	if err != nil {
		return "", invalid(op, "topic", err)
	}
	return physical, nil
}

// changeable gives the physical name of a topic that is the tenant's own.
func (a *Admin) changeable(op, field, topic string) (string, error) {
	physical, err := a.view.Names.Resource(topic)
	if err != nil {
		return "", invalid(op, field, err)
	}
	if systemTopic(physical) {
		return "", invalid(op, field, fmt.Errorf("%s belongs to RocketMQ and is shared by all tenants: it may only be read", topic))
	}
	return physical, nil
}

// group gives the physical name of a group; RocketMQ's own are refused, since no tenant has a part in them.
func (a *Admin) group(op, field, group string) (string, error) {
	physical, err := a.view.Names.Group(group)
	if err != nil {
		return "", invalid(op, field, err)
	}
	if systemGroup(physical) {
		return "", invalid(op, field, fmt.Errorf("%s belongs to RocketMQ and is shared by all tenants: leave it alone", group))
	}
	return physical, nil
}

// systemTopic tells whether a physical topic is RocketMQ's, or the retry or dead-letter topic of a group of RocketMQ's.
func systemTopic(physical string) bool {
	for _, prefix := range [...]string{retryPrefix, deadLetterPrefix} {
		if group, ok := strings.CutPrefix(physical, prefix); ok {
			return systemGroup(group)
		}
	}
	return tenant.IsSystemTopic(physical)
}

// systemGroup tells whether a physical group is one that every broker has by itself (MixAll.PREDEFINE_GROUP_SET and
// CID_RMQ_SYS_PREFIX).
func systemGroup(physical string) bool {
	switch physical {
	case "DEFAULT_CONSUMER", "DEFAULT_PRODUCER", "TOOLS_CONSUMER", "SCHEDULE_CONSUMER", "FILTERSRV_CONSUMER",
		"__MONITOR_CONSUMER", "CLIENT_INNER_PRODUCER", "SELF_TEST_P_GROUP", "SELF_TEST_C_GROUP", "CID_ONS-HTTP-PROXY",
		"CID_ONSAPI_PERMISSION", "CID_ONSAPI_OWNER", "CID_ONSAPI_PULL":
		return true
	}
	return strings.HasPrefix(physical, "CID_RMQ_SYS_")
}
