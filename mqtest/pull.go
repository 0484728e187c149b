package mqtest

import (
	"fmt"
	"slices"
	"time"

	"github.com/rocketkit/rocketkit/internal/frame"
	"github.com/rocketkit/rocketkit/internal/protocol"
)

// Bounds of one answer (MessageStoreConfig's maxTransferCountOnMessageInMemory, maxTransferBytesOnMessageInMemory and
// maxFilterMessageSize by a queue unit's 20 bytes).
const (
	pullMessages = 32
	pullBytes    = 256 << 10
	pullScan     = 800
)

// pull answers with messages, or holds the request until there are some (PullMessageProcessor).
func (b *broker) pull(c *call) *frame.Frame { return b.answerPull(c, true) }

// answerPull handles a pull. One that was held before isn't held again, and doesn't commit a second time.
func (b *broker) answerPull(c *call, first bool) *frame.Frame {
	p, err := protocol.ParsePullRequest(c.req)
	if err != nil {
		return malformed(err)
	}
	filter, refusal := b.checkPull(&p)
	if refusal != nil {
		return refusal
	}
	where := place{p.Group, p.Topic, p.QueueID}
	result := b.lookUp(&p, where, filter)
	b.pulled[where] = result.NextOffset
	if first && p.SysFlag&protocol.PullCommitOffset != 0 {
		b.offsets[where] = p.CommitOffset
		b.cluster.state.change()
	}
	if result.Status == protocol.PullNotFound && first && p.SysFlag&protocol.PullSuspend != 0 {
		b.hold(c, &p, filter)
		return nil
	}
	return result.Answer()
}

// checkPull looks at group, topic, queue and subscription, in the order a broker does.
func (b *broker) checkPull(p *protocol.PullMessage) (filter, *frame.Frame) {
	config, ok := b.findGroup(p.Group)
	if !ok {
		return nil, refuse(protocol.CodeGroupNotExist, "subscription group ["+p.Group+"] does not exist, ")
	}
	if !config.ConsumeEnable {
		return nil, refuse(protocol.CodeNoPermission, "subscription group no permission, "+p.Group)
	}
	t := b.store.topics[p.Topic]
	if t == nil {
		return nil, refuse(protocol.CodeTopicNotExist, "topic["+p.Topic+"] not exist, apply first please! ")
	}
	if t.config.Perm&protocol.PermRead == 0 {
		return nil, refuse(protocol.CodeNoPermission, "the topic["+p.Topic+"] pulling message is forbidden")
	}
	if p.QueueID < 0 || p.QueueID >= t.config.ReadQueues {
		return nil, refuse(protocol.CodeInvalidParameter, fmt.Sprintf(
			"queueId[%d] is illegal, topic:[%s] topicConfig.readQueueNums:[%d]", p.QueueID, p.Topic, t.config.ReadQueues))
	}
	subscription, refusal := b.subscription(p, &config)
	if refusal != nil {
		return nil, refusal
	}
	if !isTags(subscription.ExpressionType) {
		return nil, refuse(protocol.CodeSystemError,
			"The broker does not support consumer to filter message by "+subscription.ExpressionType)
	}
	return filterOf(&subscription), nil
}

func isTags(expressionType string) bool {
	return expressionType == "" || expressionType == protocol.ExpressionTag
}

// subscription is what a pull says of itself, or else what the group's heartbeat said.
func (b *broker) subscription(p *protocol.PullMessage, config *protocol.GroupConfig) (protocol.SubscriptionData, *frame.Frame) {
	var none protocol.SubscriptionData
	if p.SysFlag&protocol.PullSubscription != 0 {
		if !isTags(p.ExpressionType) {
			return protocol.SubscriptionData{ExpressionType: p.ExpressionType}, nil
		}
		s, err := protocol.SubscriptionFor(p.Topic, p.Subscription)
		if err != nil {
			return none, refuse(protocol.CodeSubscriptionParseFailed, "parse the consumer's subscription failed")
		}
		return s, nil
	}
	g := b.members[p.Group]
	if g == nil {
		return none, refuse(protocol.CodeSubscriptionNotExist, "the consumer's group info not exist")
	}
	if !config.BroadcastEnable && g.model == protocol.Broadcasting {
		return none, refuse(protocol.CodeNoPermission, "the consumer group["+p.Group+"] can not consume by broadcast way")
	}
	s, ok := g.subscriptions[p.Topic]
	if !ok {
		return none, refuse(protocol.CodeSubscriptionNotExist, "the consumer's subscription not exist")
	}
	if s.Version < p.SubVersion {
		return none, refuse(protocol.CodeSubscriptionNotLatest, "the consumer's subscription not latest")
	}
	return s, nil
}

// filter holds the hashes of the tags that are wanted; nil wants everything.
type filter []int32

func filterOf(s *protocol.SubscriptionData) filter {
	if s.Expression == protocol.AllTags || s.ClassFilterMode {
		return nil
	}
	return append(filter{}, s.Codes...)
}

func (f filter) wants(r *record) bool { return f == nil || slices.Contains(f, r.tags) }

// lookUp reads a queue (DefaultMessageStore.getMessage, PullMessageProcessor.composeResponseHeader). A reset of the
// group's offset is handed out here, once.
func (b *broker) lookUp(p *protocol.PullMessage, where place, f filter) protocol.PullResult {
	q := b.store.topics[p.Topic].queue(p.QueueID)
	r := protocol.PullResult{MinOffset: q.min, MaxOffset: q.max(), NextOffset: p.Offset}
	if offset, ok := b.resets[where]; ok {
		delete(b.resets, where)
		r.Status, r.Remark, r.NextOffset = protocol.PullOffsetMoved, "OFFSET_RESET", offset
		return r
	}
	switch {
	case r.MaxOffset == 0:
		r.Status, r.Remark, r.NextOffset = protocol.PullNotFound, "NO_MESSAGE_IN_QUEUE", 0
		if p.Offset != 0 {
			r.Status = protocol.PullOffsetMoved
		}
	case p.Offset < r.MinOffset:
		r.Status, r.Remark, r.NextOffset = protocol.PullOffsetMoved, "OFFSET_TOO_SMALL", r.MinOffset
	case p.Offset == r.MaxOffset:
		r.Status, r.Remark = protocol.PullNotFound, "OFFSET_OVERFLOW_ONE"
	case p.Offset > r.MaxOffset:
		r.Status, r.Remark, r.NextOffset = protocol.PullOffsetMoved, "OFFSET_OVERFLOW_BADLY", r.MaxOffset
	default:
		collect(&r, q, p, f)
	}
	return r
}

// collect takes messages off a queue until the answer is full.
func collect(r *protocol.PullResult, q *queue, p *protocol.PullMessage, f filter) {
	r.Status, r.Remark = protocol.PullRetryImmediately, "NO_MATCHED_MESSAGE"
	scan := max(pullScan, int64(p.MaxMessages))
	for n := int32(0); r.NextOffset < r.MaxOffset && r.NextOffset-p.Offset < scan; r.NextOffset++ {
		m := q.at(r.NextOffset)
		if n > 0 && (n >= p.MaxMessages || n >= pullMessages || len(r.Body)+len(m.data) > pullBytes) {
			return
		}
		if f.wants(m) {
			r.Body = append(r.Body, m.data...)
			r.Status, r.Remark = protocol.PullFound, "FOUND"
			n++
		}
	}
}

// recheckEvery is how often a broker looks at the pulls it holds, whether or not a message they want has come
// (PullRequestHoldService).
const recheckEvery = 5 * time.Second

// hold is a pull that waits for messages.
type hold struct {
	call    *call
	key     queueKey
	offset  int64
	filter  filter
	until   time.Time // by the broker's clock
	limit   *plan
	recheck *plan // set once messages came that it doesn't want: it is to skip them
}

func (b *broker) hold(c *call, p *protocol.PullMessage, f filter) {
	limit := time.Duration(p.SuspendMillis) * time.Millisecond
	h := &hold{call: c, key: queueKey{p.Topic, p.QueueID}, offset: p.Offset, filter: f, until: b.now().Add(limit)}
	b.holds[h.key] = append(b.holds[h.key], h)
	h.limit = b.later(limit, func() { b.wake(h) })
}

// wake answers a held pull with what is there now.
func (b *broker) wake(h *hold) {
	b.release(h)
	if f := b.answerPull(h.call, false); f != nil {
		h.call.answer(f)
	}
}

func (b *broker) release(h *hold) {
	b.cluster.schedule.cancel(h.limit)
	b.cluster.schedule.cancel(h.recheck)
	b.holds[h.key] = slices.DeleteFunc(b.holds[h.key], func(other *hold) bool { return other == h })
	if len(b.holds[h.key]) == 0 {
		delete(b.holds, h.key)
	}
}

// arrived wakes the pulls that want a message. The others skip it with the broker's next look at them.
func (b *broker) arrived(r *record) {
	for _, h := range slices.Clone(b.holds[queueKey{r.msg.Topic, r.msg.QueueID}]) {
		switch {
		case r.msg.QueueOffset < h.offset:
		case h.filter.wants(r):
			b.wake(h)
		case h.recheck == nil:
			wait := recheckEvery - time.Since(b.started)%recheckEvery
			h.recheck = b.later(wait, func() { b.wake(h) })
		}
	}
}
