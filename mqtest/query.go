package mqtest

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/rocketkit/rocketkit/internal/frame"
	"github.com/rocketkit/rocketkit/internal/protocol"
)

// mostUnique is how many messages a query by a message's own id finds at most (defaultQueryMaxNum).
const mostUnique = 32

func (b *broker) viewMessage(c *call) *frame.Frame {
	offset, err := c.req.Fields.Int64("offset")
	if err != nil {
		return malformed(err)
	}
	r := b.store.log[offset]
	if r == nil {
		return refuse(protocol.CodeSystemError, fmt.Sprintf("can not find message by the offset, %d", offset))
	}
	return &frame.Frame{Body: r.data}
}

// queryMessages finds messages by one of their keys or by their id, the newest first.
func (b *broker) queryMessages(c *call) *frame.Frame {
	q, err := protocol.ParseQueryRequest(c.req)
	if err != nil {
		return malformed(err)
	}
	if q.Unique {
		q.Max = mostUnique
	}
	var found []*record
	if t := b.store.topics[q.Topic]; t != nil {
		for _, queue := range t.queues {
			for _, r := range queue.records {
				if r.msg.StoreMillis >= q.Begin && r.msg.StoreMillis <= q.End && hasKey(&r.msg, &q) {
					found = append(found, r)
				}
			}
		}
	}
	slices.SortFunc(found, func(x, y *record) int { return int(y.msg.CommitLogOffset - x.msg.CommitLogOffset) })
	found = found[:min(len(found), int(max(q.Max, 0)))]
	if len(found) == 0 {
		return refuse(protocol.CodeQueryNotFound, "can not find message, maybe time range not correct")
	}
	f := &frame.Frame{Fields: frame.Fields{
		{Key: "indexLastUpdateTimestamp", Value: strconv.FormatInt(b.millis(), 10)},
		{Key: "indexLastUpdatePhyoffset", Value: strconv.FormatInt(b.store.end, 10)},
	}}
	for _, r := range found {
		f.Body = append(f.Body, r.data...)
	}
	return f
}

func hasKey(m *protocol.Message, q *protocol.QueryMessages) bool {
	if id, _ := m.Properties.Get(protocol.PropertyUniqueKey); id == q.Key {
		return true
	}
	keys, _ := m.Properties.Get(protocol.PropertyKeys)
	return slices.Contains(strings.Split(keys, " "), q.Key) // with Unique too: there is one index for both
}
