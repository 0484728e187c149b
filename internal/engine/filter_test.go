package engine

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/internal/frame"
	"github.com/rocketkit/rocketkit/internal/protocol"
)

func sqlConfig(g *got) Config {
	cfg := config(nil)
	cfg.Topics["t"] = Topic{Workers: 1, Timeout: time.Minute, Handle: g.handle, SQL: "amount > 5"}
	return cfg
}

// TestRefusedFilter: Run ends with an error that says what to do, before any broker has heard of the member.
func TestRefusedFilter(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		answer *frame.Frame
		parts  []string
	}{
		"no property filter": {refuse(protocol.CodeSystemError, "The broker does not support consumer to filter message by SQL92"),
			[]string{"topic t:", "broker b ", "enablePropertyFilter=true"}},
		"syntax": {refuse(protocol.CodeSubscriptionParseFailed, "Encountered \" \"and\" \"AND\" \"\nWas expecting one of:\n    <EOF>"),
			[]string{"topic t:", `can't read "amount > 5"`, `Encountered " "and" "AND" "`}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				r.Topic(topicT, 1)
				r.Script(func(_ *scriptedConn, req *frame.Frame) *frame.Frame {
					if req.Code == protocol.ReqCheckClient {
						return test.answer
					}
					return nil
				})
				err := r.engine(sqlConfig(&got{})).Run(t.Context())
				if !errors.Is(err, rocketkit.ErrConfig) {
					t.Fatalf("Run returned %v", err)
				}
				for _, part := range test.parts {
					if !strings.Contains(err.Error(), part) {
						t.Errorf("%q is not in: %v", part, err)
					}
				}
				if strings.Contains(err.Error(), "red%") || strings.Contains(err.Error(), "expecting") {
					t.Errorf("says too much: %v", err)
				}
				if n := len(r.Requests(protocol.ReqHeartbeat)); n != 0 {
					t.Errorf("%d heartbeats were sent", n)
				}
			})
		})
	}
}

// TestFilterIsSent: the expression goes into the heartbeat and its type into the pulls.
func TestFilterIsSent(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.Topic(topicT, 1)
		r.SendWith(topicT, 0, "m", protocol.PropertyTags, "any")
		var subscribed atomic.Pointer[protocol.SubscriptionData]
		r.Script(func(_ *scriptedConn, req *frame.Frame) *frame.Frame {
			switch req.Code {
			case protocol.ReqCheckClient:
				if protocol.ParseCheckClient(req) != protocol.ExpressionSQL {
					t.Errorf("checked %s", req.Body)
				}
				return &frame.Frame{}
			case protocol.ReqHeartbeat:
				beat, err := protocol.ParseHeartbeat(req)
				if err != nil {
					t.Error(err)
					return nil
				}
				for _, s := range beat.Consumers[0].Subscriptions {
					if s.Topic == topicT {
						subscribed.Store(&s)
					}
				}
			}
			return nil
		})
		g := &got{}
		e := r.run(sqlConfig(g))
		eventually(t, "the message", func() bool { return g.len() == 1 })
		e.mustStop()
		if s := subscribed.Load(); s == nil || s.Expression != "amount > 5" || s.ExpressionType != "SQL92" || s.Tags != nil {
			t.Errorf("subscribed %+v", s)
		}
		for _, pull := range r.Requests(protocol.ReqPullMessage) {
			kind, _ := pull.fields.Get("expressionType")
			topic, _ := pull.fields.Get("topic")
			if (topic == topicT) != (kind == "SQL92") {
				t.Errorf("a pull of %s by %s", topic, kind)
			}
		}
	})
}

// TestFilterWaitsForABroker: one that is away isn't waited for, but some broker is; one that can't check, or may not, is
// taken as it is.
func TestFilterWaitsForABroker(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newScripted("a", "b")
		s.Topic(topicT, 1)
		s.Stop("a")
		s.Stop("b")
		r := rigOn(t, s, "one")
		e := r.start(sqlConfig(&got{}))
		time.Sleep(time.Minute)
		if now := e.Snapshot(); now.State != Starting || !strings.HasPrefix(now.Waits, "brokers") {
			t.Errorf("%v, waits for %q", now.State, now.Waits)
		}
		s.Start("b") // which doesn't know the request
		eventually(t, "ready", func() bool { return e.Snapshot().State == Running })
		if r.logs.count("filter not checked") != 1 {
			t.Error("not logged that the filter wasn't checked")
		}
		e.mustStop()
	})
}

// TestFilterEndsWithContext: while it waits for brokers Run can be stopped.
func TestFilterEndsWithContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.Topic(topicT, 1)
		r.Stop("b")
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := r.engine(sqlConfig(&got{})).Run(ctx); err != nil {
			t.Errorf("Run returned %v", err)
		}
	})
}
