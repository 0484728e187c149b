package mqtest

import (
	"github.com/rocketkit/rocketkit/internal/frame"
	"github.com/rocketkit/rocketkit/internal/protocol"
)

// findGroup gives a group's settings; a missing group is created unless the cluster requires groups to be created
// (SubscriptionGroupManager.findSubscriptionGroupConfig).
func (b *broker) findGroup(name string) (protocol.GroupConfig, bool) {
	if config, ok := b.groups[name]; ok {
		return config, true
	}
	if b.cluster.cfg.RequireGroups || badGroup(name) != "" {
		return protocol.GroupConfig{}, false
	}
	config := protocol.NewGroupConfig(name)
	b.putGroup(config)
	return config, true
}

func (b *broker) putGroup(config protocol.GroupConfig) {
	b.groups[config.Name] = config
	next(&b.groupVersion)
	b.cluster.state.change()
}

func (b *broker) createGroup(c *call) *frame.Frame {
	config, err := protocol.ParseCreateGroup(c.req)
	if err != nil {
		return malformed(err)
	}
	if why := badGroup(config.Name); why != "" {
		return refuse(protocol.CodeInvalidParameter, why)
	}
	var changes string
	for name, value := range config.Attributes {
		if changes += "," + name; value != "" {
			changes += "=" + value
		}
	}
	config.Attributes = protocol.ApplyAttributes(b.groups[config.Name].Attributes, changes)
	b.putGroup(config)
	return &frame.Frame{}
}

// deleteGroup deletes a group's settings and, when asked to, its offsets. Its members aren't told: the next heartbeat or
// pull of one brings the group back.
func (b *broker) deleteGroup(c *call) *frame.Frame {
	name, _ := c.req.Fields.Get("groupName")
	if _, ok := b.groups[name]; ok {
		delete(b.groups, name)
		next(&b.groupVersion)
	}
	if c.req.Fields.Bool("cleanOffset") {
		b.forgetPlaces(func(p place) bool { return p.group == name })
	}
	b.cluster.state.change()
	return &frame.Frame{}
}

func (b *broker) groupConfig(c *call) *frame.Frame {
	name, _ := c.req.Fields.Get("group")
	config, ok := b.findGroup(name)
	if !ok {
		return refuse(protocol.CodeGroupNotExist, "No group in this broker")
	}
	return config.Answer()
}

func (b *broker) groupConfigs(*call) *frame.Frame {
	return protocol.AnswerGroups(b.groups, b.groupVersion)
}
