package mqtest

import (
	"context"
	"errors"
	"strings"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/tenant"
)

// Tenant is one tenant's view of a Cluster: its methods do what the Cluster's do, and take and give logical names. It is
// safe for concurrent use.
type Tenant struct {
	cluster *Cluster
	names   tenant.Names
}

// Tenant gives a tenant's view. An error says what is wrong with the name.
func (c *Cluster) Tenant(name string) (*Tenant, error) {
	names, err := tenant.New(name)
	if err != nil {
		return nil, err
	}
	return &Tenant{c, names}, nil
}

// A name that can't be mapped is taken as it is: nothing is found under it, and the error of a wait shows it.

func (t *Tenant) topic(logical string) string {
	if physical, err := t.names.Resource(logical); err == nil {
		return physical
	}
	return logical
}

func (t *Tenant) group(logical string) string {
	if physical, err := t.names.Group(logical); err == nil {
		return physical
	}
	return logical
}

func (t *Tenant) logicalTopic(physical string) string {
	if logical, ok := t.names.LogicalTopic(physical); ok {
		return logical
	}
	return physical
}

// wait is the cluster's, with the tenant taken out of what its error says.
func (t *Tenant) wait(ctx context.Context, reached func() error) error {
	return t.cluster.wait(ctx, func() error {
		if missing := reached(); missing != nil {
			return errors.New(strings.ReplaceAll(missing.Error(), strings.TrimSuffix(t.group("x"), "x"), ""))
		}
		return nil
	})
}

// Config gives the settings to Open one of the tenant's clients with.
func (t *Tenant) Config() rocketkit.Config {
	cfg := t.cluster.Config()
	cfg.Tenant = t.names.Tenant()
	return cfg
}

// CreateTopic is [Cluster.CreateTopic].
func (t *Tenant) CreateTopic(topic string, queues int) error {
	physical, err := t.names.Topic(topic)
	if err != nil {
		return err
	}
	return t.cluster.CreateTopic(physical, queues)
}

// Messages is [Cluster.Messages].
func (t *Tenant) Messages(topic string) []rocketkit.Message {
	return t.cluster.messages(t.topic(topic), t.logicalTopic)
}

// DeadLetters is [Cluster.DeadLetters].
func (t *Tenant) DeadLetters(group string) []rocketkit.Message {
	return t.Messages(deadLetterPrefix + group)
}

// Offsets is [Cluster.Offsets].
func (t *Tenant) Offsets(group, topic string) map[rocketkit.Queue]Offset {
	return t.cluster.offsets(t.group(group), t.topic(topic), t.logicalTopic)
}

// Members is [Cluster.Members].
func (t *Tenant) Members(group string) []string { return t.cluster.Members(t.group(group)) }

// Groups is [Cluster.Groups], of this tenant's only.
func (t *Tenant) Groups() []string { return logical(t.cluster.Groups(), t.names.LogicalGroup) }

// Topics is [Cluster.Topics], of this tenant's only.
func (t *Tenant) Topics() []string { return logical(t.cluster.Topics(), t.names.LogicalTopic) }

func logical(physical []string, of func(string) (string, bool)) (names []string) {
	for _, name := range physical {
		if own, ok := of(name); ok {
			names = append(names, own)
		}
	}
	return names
}

// WaitConsumed is [Cluster.WaitConsumed].
func (t *Tenant) WaitConsumed(ctx context.Context, group, topic string) error {
	return t.wait(ctx, func() error { return t.cluster.consumed(t.group(group), t.topic(topic)) })
}

// WaitMembers is [Cluster.WaitMembers].
func (t *Tenant) WaitMembers(ctx context.Context, group string, n int) error {
	return t.wait(ctx, func() error { return t.cluster.hasMembers(t.group(group), n) })
}

// WaitMessages is [Cluster.WaitMessages].
func (t *Tenant) WaitMessages(ctx context.Context, topic string, n int) error {
	return t.wait(ctx, func() error { return t.cluster.holds(t.topic(topic), n) })
}

// WaitDeadLetters is [Cluster.WaitDeadLetters].
func (t *Tenant) WaitDeadLetters(ctx context.Context, group string, n int) error {
	return t.wait(ctx, func() error { return t.cluster.holds(t.topic(deadLetterPrefix+group), n) })
}
