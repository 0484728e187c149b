package cluster

import (
	"context"

	"github.com/rocketkit/rocketkit/internal/frame"
	"github.com/rocketkit/rocketkit/internal/protocol"
	"github.com/rocketkit/rocketkit/tenant"
)

// handle gives a request that a broker sent to the member it is about, or a reply to who waits for it.
func (c *Cluster) handle(ctx context.Context, broker string, req *frame.Frame) *frame.Frame {
	if req.Code == protocol.ReqCheckTransaction {
		if err := c.checkers.handle(broker, req); err != nil {
			c.cfg.Log.Warn("a check-back can't be read, its broker asks again", "broker", broker, "error", err)
		}
		return nil // the request is one-way: the answer to it is END_TRANSACTION 37
	}
	if req.Code == protocol.ReqPushReply {
		return c.reply(ctx, broker, req)
	}
	key, known := addressee(req)
	if !known {
		return protocol.Refuse(protocol.CodeRequestNotSupported, "rocketkit doesn't serve "+protocol.RequestName(req.Code))
	}
	c.members.mu.Lock()
	m, ok := c.members.all[key]
	c.members.mu.Unlock()
	if !ok || m.Handle == nil {
		_, logical := tenant.Split(key.group)
		return protocol.Refuse(protocol.CodeSystemError, "client "+c.cfg.ClientID+" has no member in group "+logical)
	}
	return m.Handle(ctx, broker, req)
}

// addressee reads which group a broker's request is about. The header field's name differs from request to request
// (NotifyConsumerIdsChangedRequestHeader, ResetOffsetRequestHeader, ...).
func addressee(req *frame.Frame) (memberKey, bool) {
	field := "consumerGroup"
	switch req.Code {
	case protocol.ReqConsumersChanged, protocol.ReqRunningInfo, protocol.ReqConsumeDirectly:
	case protocol.ReqResetClientOffset, protocol.ReqConsumerStatus:
		field = "group"
	default:
		return memberKey{}, false
	}
	group, ok := req.Fields.Get(field)
	return memberKey{group, true}, ok
}
