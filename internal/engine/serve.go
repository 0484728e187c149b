package engine

import (
	"context"
	"fmt"
	"strings"

	"github.com/rocketkit/rocketkit/internal/frame"
	"github.com/rocketkit/rocketkit/internal/protocol"
)

// serve answers a broker's requests about the group.
func (e *Engine) serve(_ context.Context, broker string, req *frame.Frame) *frame.Frame {
	switch req.Code {
	case protocol.ReqConsumersChanged:
		wake(e.again)
		return nil
	case protocol.ReqResetClientOffset: // brokers before 5.2; later ones tell with the next pull
		notice, err := protocol.ParseResetNotice(req)
		if err != nil {
			e.log.Warn("offset reset not understood", "broker", broker, "error", err)
			return nil
		}
		e.reset(notice.Offsets)
		return nil
	case protocol.ReqRunningInfo:
		return e.runningInfo().Answer()
	}
	return protocol.Refuse(protocol.CodeRequestNotSupported, "rocketkit doesn't serve "+protocol.RequestName(req.Code))
}

// reset moves the queues that this member owns; the others' owners are told themselves.
func (e *Engine) reset(offsets map[protocol.Queue]int64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for id, offset := range offsets {
		if q := e.queues[id]; q != nil {
			e.log.Warn("offset reset", "queue", q.public, "to", offset)
			q.restart(offset)
		}
	}
}

// consumerData is the group's entry in the heartbeat.
func (e *Engine) consumerData() *protocol.ConsumerData {
	data := &protocol.ConsumerData{Group: e.group, From: protocol.FromLastOffset}
	switch e.cfg.Start.Where {
	case StartEarliest:
		data.From = protocol.FromFirstOffset
	case StartTime:
		data.From = protocol.FromTimestamp
	}
	for _, t := range e.topics {
		data.Subscriptions = append(data.Subscriptions, t.sub)
	}
	return data
}

// runningInfo is what RocketMQ's tools show of this member (mqadmin consumerStatus).
func (e *Engine) runningInfo() *protocol.ConsumerRunningInfo {
	snapshot := e.Snapshot()
	info := &protocol.ConsumerRunningInfo{
		Properties: map[string]string{
			protocol.RunningNameServers: strings.Join(e.view.NameServers(), ";"),
			protocol.RunningConsumeType: protocol.ConsumePassively,
			protocol.RunningOrderly:     fmt.Sprint(e.orderly()),
			protocol.RunningStartTime:   fmt.Sprint(e.started.UnixMilli()),
		},
		Queues:   map[protocol.Queue]protocol.QueueInfo{},
		Statuses: map[string]protocol.ConsumeStatus{},
		UserInfo: map[string]string{"state": snapshot.State.String()},
	}
	workers := 0
	for _, t := range e.topics {
		info.Subscriptions = append(info.Subscriptions, t.sub)
		if t.pool == nil {
			continue
		}
		s := snapshot.Topics[t.name]
		workers += s.Workers
		info.UserInfo["pool "+t.name] = fmt.Sprintf("core=%d max=%d active=%d waiting=%d", s.Workers, s.Workers, s.Active, s.Waiting)
	}
	info.Properties[protocol.RunningCorePool] = fmt.Sprint(workers)
	owned, lost := e.ownedAndLost()
	for _, q := range lost { // those who gain them ask
		info.Queues[q.id] = q.info(false)
	}
	for _, q := range owned {
		was := info.Queues[q.id].Locked
		said := q.info(true)
		said.Locked = said.Locked || was
		info.Queues[q.id] = said
	}
	return info
}

func (q *queue) info(owned bool) protocol.QueueInfo {
	locked, renewed := q.believedHeld()
	q.mu.Lock()
	defer q.mu.Unlock()
	info := protocol.QueueInfo{
		CommitOffset: q.committed, LastPullTime: q.pulled.UnixMilli(), Locked: locked, LastLockTime: renewed, Dropped: !owned,
	}
	if q.window != nil {
		info.CachedMinOffset = q.window.floor()
		info.CachedMaxOffset = q.position
		info.CachedCount = int32(q.window.held())
	}
	return info
}
