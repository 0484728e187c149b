package rocketkit

import (
	"fmt"

	"github.com/rocketkit/rocketkit/tenant"
)

// Trace switches RocketMQ's own message trace on: producers and consumers then write, to a topic for it, when a message was
// sent, stored and handled and how that ended, as the Java client does. `mqadmin queryMsgTraceById` and RocketMQ's
// dashboards read it. Sends and handlers never wait for it and never fail because of it; see docs/observability.md.
type Trace struct {
	// On switches it on for all producers and consumers of the Client. Default: off.
	On bool

	// Topic is the logical topic to write to, which has to be created first. Default: with a tenant "TRACE_TOPIC", so
	// each tenant has its own ("red%TRACE_TOPIC" on the broker); without one "RMQ_SYS_TRACE_TOPIC", which brokers create
	// when traceTopicEnable is set. With a tenant, none of RocketMQ's own topics: all tenants share those.
	Topic string
}

// The topics of the message trace when Trace.Topic is empty.
const (
	DefaultTraceTopic       = "RMQ_SYS_TRACE_TOPIC" // without a tenant; TopicValidator.RMQ_SYS_TRACE_TOPIC
	DefaultTenantTraceTopic = "TRACE_TOPIC"
)

// of validates the Trace and fills in its default as it is for a tenant.
func (t Trace) of(names tenant.Names) (Trace, error) {
	if t.Topic == "" {
		t.Topic = DefaultTraceTopic
		if names.Tenant() != "" {
			t.Topic = DefaultTenantTraceTopic
		}
	}
	if _, err := names.Topic(t.Topic); err != nil {
		return t, err
	}
	if names.Tenant() != "" && tenant.IsSystemTopic(t.Topic) {
		return t, fmt.Errorf("%s is shared by all tenants, who would read each other's traces: choose another, or leave it empty for %s",
			t.Topic, DefaultTenantTraceTopic)
	}
	return t, nil
}

// Trace returns the Config's Trace with the Topic that this Client's tenant has.
func (c *Client) Trace() Trace {
	t, _ := c.owner.trace.of(c.view.Names) // checked by Open or For
	return t
}
