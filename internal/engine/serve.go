package engine

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/rocketkit/rocketkit/internal/frame"
	"github.com/rocketkit/rocketkit/internal/protocol"
)

// serve answers a broker's requests about the group.
func (e *Engine) serve(ctx context.Context, broker string, req *frame.Frame) *frame.Frame {
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
		info := e.runningInfo()
		if ask, err := protocol.ParseGetRunningInfo(req); err == nil && ask.Stack {
			info.Stack = e.stacks()
		}
		return info.Answer()
	case protocol.ReqConsumeDirectly:
		return e.consumeDirectly(ctx, req)
	}
	return protocol.Refuse(protocol.CodeRequestNotSupported, "rocketkit doesn't serve "+protocol.RequestName(req.Code))
}

// reset moves the queues that this member owns; the others' owners are told themselves.
func (e *Engine) reset(offsets map[protocol.Queue]int64) {
	_, lost := e.ownedAndLost()
	for _, q := range lost {
		if _, moved := offsets[q.id]; moved {
			q.unsure.Store(true) // its last commit would undo the reset
		}
	}
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
	if e.cfg.Broadcast {
		data.Model = protocol.Broadcasting
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
			protocol.RunningVersion:     "rocketkit",
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
		s := snapshot.Topics[t.name]
		workers += s.Workers
		info.Statuses[t.physical] = t.status(s.Times)
		if t.pool != nil {
			info.Properties["pool "+t.name] = s.pool()
		}
		s.describe(t.name, info.UserInfo)
	}
	info.Properties[protocol.RunningCorePool] = fmt.Sprint(workers)
	if e.cfg.Properties != nil {
		maps.Copy(info.Properties, e.cfg.Properties())
	}
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

// status is the topic's traffic as RocketMQ's tools show it: of the last minute, and failures of the last hour. As with the
// Java client, pulls count that brought messages, with the time for which the broker held them.
func (t *topic) status(handlers Times) protocol.ConsumeStatus {
	now := time.Now()
	began := now.Add(-handlers.Over)
	pulls, received, _ := t.pulls.recent(now, began)
	_, ok, failed := t.times.recent(now, began)
	return protocol.ConsumeStatus{
		PullRT: pulls.millis(), PullTPS: pulls.rate(received),
		ConsumeRT: handlers.millis(), OKTPS: handlers.rate(ok), FailedTPS: handlers.rate(failed),
		FailedMessages: t.hour.sum(now),
	}
}

// pool is a topic's workers in key=value pairs, which package admin reads.
func (s *TopicSnapshot) pool() string {
	timeout := "none"
	if s.Timeout > 0 {
		timeout = s.Timeout.String()
	}
	return fmt.Sprintf("core=%d max=%d active=%d waiting=%d paused=%t timeout=%s",
		s.Workers, s.MaxWorkers, s.Active, s.Waiting, s.Paused, timeout)
}

// describe adds what an operator wants to know of a topic and RocketMQ has no field for.
func (s *TopicSnapshot) describe(name string, into map[string]string) {
	text := fmt.Sprintf("handled=%d failed=%d cached=%d", s.Handled, s.Failed, s.Cached)
	if s.Times.Count > 0 {
		text += fmt.Sprintf("; last %v: %d returned, mean %v, max %v",
			s.Times.Over.Round(time.Second), s.Times.Count, s.Times.Mean.Round(time.Microsecond), s.Times.Max.Round(time.Microsecond))
	}
	if s.Longest != (RunningHandler{}) {
		text += fmt.Sprintf("; longest running: message %s, offset %d of %s, since %s",
			s.Longest.ID, s.Longest.Offset, s.Longest.Queue, s.Longest.Since.Format(time.RFC3339))
	}
	into["topic "+name] = text
	if s.LastError != "" {
		into["error "+name] = s.LastErrorTime.Format(time.RFC3339) + " " + s.LastError
	}
	for _, q := range s.Queues {
		if q.HeldBy != "" {
			into["held "+q.Queue.String()] = q.HeldBy
		}
	}
}

func (q *queue) info(owned bool) protocol.QueueInfo {
	_, longest := q.running()
	locked, renewed := q.believedHeld()
	q.mu.Lock()
	defer q.mu.Unlock()
	info := protocol.QueueInfo{
		CommitOffset: q.committed, LastConsumeTime: 1000 * q.handled.Load(),
		Locked: locked, LastLockTime: renewed, Dropped: !owned,
	}
	switch {
	case info.LastConsumeTime > 0:
	case longest != nil: // tools call a queue blocked when this was long ago
		info.LastConsumeTime = longest.began.UnixMilli()
	default:
		info.LastConsumeTime = time.Now().UnixMilli()
	}
	if !q.pulled.IsZero() {
		info.LastPullTime = q.pulled.UnixMilli()
	}
	if q.window != nil {
		info.CachedMinOffset = q.window.floor()
		info.CachedMaxOffset = q.position
		info.CachedCount = int32(q.window.counts().cached)
	}
	return info
}
