// Package admin looks after a RocketMQ cluster for one tenant: its topics, groups and their settings, offsets and messages, the name servers'
// key-value table and the brokers themselves.
//
//	a := admin.New(client)
//	err := a.CreateTopic(ctx, admin.TopicConfig{Name: "orders"})
//
// # Names
//
// Names are logical and belong to the client's tenant: "orders", the group "billing", and where a topic is read,
// changed or deleted also the group's own topics "%RETRY%billing" and "%DLQ%billing". Other tenants' topics and groups
// can't be named and are never listed. Topics and groups that RocketMQ keeps for itself are left out of lists; its
// topics may be read but not changed. The key-value table ([KV]) has no tenants.
//
// # Several servers
//
// Brokers don't share settings, and name servers don't share anything, so most changes are made on each of them. A
// change is tried on every server it concerns, whatever happens on the others; if one misses it, the error is a
// [*PartialError] with what was done and what wasn't. Changes are safe to repeat, and repeating heals. What is read from
// several brokers comes back, as far as it could be read, beside such an error.
//
// Create never changes what exists ([ErrExists] when it differs), Update never creates, and neither touches a setting
// that isn't set.
//
// # Errors and time
//
// Errors name what was asked, the logical name and the server. [rocketkit.Code] gives the code and remark of a server
// that refused, errors.Is finds [rocketkit.ErrNoRoute] for a topic that doesn't exist, and [rocketkit.ErrConfig] for an
// argument that can't be right, in which case nothing was sent. A context bounds every call. Besides, one request has the
// client's RequestTimeout, but at least 30 s where it changes a broker, which answers only after it has told every name
// server and waits long for one that hangs.
package admin
