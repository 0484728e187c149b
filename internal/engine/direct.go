package engine

import (
	"context"
	"time"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/internal/frame"
	"github.com/rocketkit/rocketkit/internal/protocol"
)

const (
	directWithin = 9 * time.Second // a broker waits 10 s for the answer (Broker2Client.callClient)
	directAtOnce = 16              // tools ask for one after the other
)

// consumeDirectly has the handler of a message's topic handle it for a tool (CONSUME_MESSAGE_DIRECTLY 309), and tells what
// it said. The handler runs under its time-out and middleware, but on a goroutine of its own and not through the pool,
// whose workers may all be stuck, or be none: that is when operators ask. Nothing follows from what it says: no offset is
// committed, and a message that fails is not retried. The answer comes within directWithin, the handler's end
// perhaps later; a drain waits for it as for any.
func (e *Engine) consumeDirectly(ctx context.Context, req *frame.Frame) *frame.Frame {
	r, err := protocol.ParseConsumeDirectly(req)
	if err != nil {
		return protocol.Refuse(protocol.CodeSystemError, err.Error())
	}
	t := e.topics[r.Message.Topic]
	if t == nil || t.pool == nil {
		t = e.retried(&r.Message)
	}
	name, own := e.view.Names.LogicalTopic(r.Message.Topic)
	if t == nil || !own {
		return protocol.Refuse(protocol.CodeSystemError, "this consumer has no handler for the topic of the message")
	}
	if e.directs.unfinished() >= directAtOnce {
		return protocol.Refuse(protocol.CodeSystemBusy, "this consumer handles many messages directly already; try again later")
	}
	ticket := e.directs.extend([]int64{0}, 0)
	if !e.directs.begin(ticket) {
		return protocol.Refuse(protocol.CodeSystemError, "this consumer is being stopped")
	}
	from := &queue{engine: e, topic: t, public: rocketkit.Queue{Topic: name, Broker: r.BrokerName, ID: int(r.Message.QueueID)}}
	done := make(chan protocol.ConsumeResult, 1)
	go func() {
		result := protocol.ConsumeResult{AutoCommit: true, Result: protocol.ResultThrew, Remark: "handler ended its goroutine (runtime.Goexit)"}
		defer func() { // deferred for the sake of Goexit
			e.directs.finish(ticket)
			done <- result
		}()
		e.handleDirectly(task{topic: t, queue: from, raw: &r.Message}, &result)
	}()
	limit := time.NewTimer(directWithin)
	defer limit.Stop()
	select {
	case result := <-done:
		return result.Answer()
	case <-limit.C:
		return protocol.Refuse(protocol.CodeConsumeTimeout, "the handler still runs after "+directWithin.String()+"; it goes on until its own time-out")
	case <-ctx.Done():
		return nil
	}
}

// handleDirectly runs the handler and says in RocketMQ's terms what came of it.
func (e *Engine) handleDirectly(t task, result *protocol.ConsumeResult) {
	began := time.Now()
	o := e.handle(t)
	result.SpentMillis = time.Since(began).Milliseconds()
	result.Result, result.Remark = directResult(o)
	e.log.Info("message handled directly, as a tool has asked", "topic", t.topic.name, "id", t.raw.ID(), "result", result.Result, "remark", result.Remark)
}

func directResult(o *outcome) (result, remark string) {
	switch {
	case o == nil:
		return protocol.ResultSuccess, ""
	case o.stack != "":
		return protocol.ResultThrew, o.why
	case o.Action == Drop:
		return protocol.ResultSuccess, o.why
	}
	return protocol.ResultLater, o.why
}
