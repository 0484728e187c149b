package engine

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/rocketkit/rocketkit/internal/frame"
	"github.com/rocketkit/rocketkit/internal/protocol"
)

// Faults of rocketmq-client-go's consumers that only a scripted broker shows; docs/faults.md lists them all.

// TestNegativeOffsetIsNeverCommitted: client-go stores what it is answered when there is no offset, -1, and commits it.
// Brokers take it, and answer it to the next who asks.
func TestNegativeOffsetIsNeverCommitted(t *testing.T) {
	t.Parallel()
	for name, start := range map[string]StartWhere{"earliest": StartEarliest, "latest": StartLatest, "by time": StartTime} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				r.Topic(topicT, 2)
				r.brokers["b"].groups[groupG] = true
				r.brokers["b"].offsets[offsetKey{groupG, topicT, 1}] = -1 // a member of client-go's was here
				r.Script(func(_ *scriptedConn, req *frame.Frame) *frame.Frame {
					switch req.Code {
					case protocol.ReqMinOffset, protocol.ReqMaxOffset, protocol.ReqSearchOffset:
						return number("offset", -1) // a queue that isn't there yet
					}
					return nil
				})
				cfg := config(new(got).handle)
				cfg.Start = Start{Where: start, Time: time.Now()}
				e := r.run(cfg)
				time.Sleep(time.Minute)
				e.mustStop()
				for queue := range int64(2) {
					for _, offset := range r.commits(queue) {
						if offset < 0 {
							t.Errorf("%d was committed for queue %d", offset, queue)
						}
					}
				}
				if got := r.Offset(groupG, topicT, 1); got != 0 {
					t.Errorf("queue 1 stands at %d, want 0", got)
				}
			})
		})
	}
}

// TestRunningInfoTellsThePool: client-go tells RocketMQ's tools that its pool has "-1" workers.
func TestRunningInfoTellsThePool(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.Topic(topicT, 2)
		e := r.run(config(new(got).handle))
		info, err := protocol.ParseRunningInfo(e.serve(t.Context(), "b:10911", &frame.Frame{Code: protocol.ReqRunningInfo}))
		if err != nil {
			t.Fatal(err)
		}
		if workers := info.Properties[protocol.RunningCorePool]; workers != "4" {
			t.Errorf("%q workers, want 4", workers)
		}
		if len(info.Queues) != 3 || len(info.Subscriptions) != 2 {
			t.Errorf("%d queues, %d subscriptions, want 3 and 2, those of retries included", len(info.Queues), len(info.Subscriptions))
		}
		e.mustStop()
	})
}
