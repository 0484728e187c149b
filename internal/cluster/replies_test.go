package cluster_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rocketkit/rocketkit/internal/cluster"
	"github.com/rocketkit/rocketkit/internal/frame"
	"github.com/rocketkit/rocketkit/internal/protocol"
)

func pushOf(id, group, topic string) *frame.Frame {
	p := protocol.PushReply{ProducerGroup: group, Message: protocol.Message{Topic: topic, Body: []byte("answer")}}
	if id != "" {
		p.Message.Properties = protocol.AppendProperty(nil, protocol.PropertyCorrelationID, id)
	}
	return p.Request()
}

// TestReplies: a reply reaches the request with its correlation id, once. One that nobody waits for is taken, as a refusal
// would have it sent again; one of another tenant or without an id is refused, and takes nothing from who waits.
func TestReplies(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := &network{answer: well}
		v := open(t, n)
		knowTopic(t, v)
		arrived := 0
		a, other := v.AwaitReply(func() { arrived++ }), v.AwaitReply(func() { t.Error("the wrong one") })
		if a.ID == other.ID || len(a.ID) < 20 {
			t.Errorf("ids %s and %s", a.ID, other.ID)
		}
		if err := v.Join(t.Context(), cluster.Member{Group: "red%p"}); err != nil {
			t.Fatal(err)
		}
		broker := n.connTo("b:1")
		push := func(req *frame.Frame) int32 {
			broker.send(req)
			return (<-broker.answers).Code
		}
		const reply = "c_REPLY_TOPIC"
		for _, step := range []struct {
			what string
			req  *frame.Frame
			code int32
			want cluster.ReplyCounts
		}{
			{"another tenant's group", pushOf(a.ID, "blue%billing", reply), protocol.CodeSystemError, cluster.ReplyCounts{Refused: 1}},
			{"another tenant's topic", pushOf(a.ID, "billing", "blue%"+reply), protocol.CodeSystemError, cluster.ReplyCounts{Refused: 2}},
			{"no id", pushOf("", "red%billing", reply), protocol.CodeSystemError, cluster.ReplyCounts{Refused: 3}},
			{"no header", &frame.Frame{Code: protocol.ReqPushReply}, protocol.CodeSystemError, cluster.ReplyCounts{Refused: 4}},
			{"a guessed id", pushOf("guessed", "red%billing", reply), protocol.CodeSuccess, cluster.ReplyCounts{Refused: 4, Unclaimed: 1}},
			{"the reply", pushOf(a.ID, "red%billing", reply), protocol.CodeSuccess, cluster.ReplyCounts{Refused: 4, Unclaimed: 1, Delivered: 1}},
			{"again", pushOf(a.ID, "red%billing", reply), protocol.CodeSuccess, cluster.ReplyCounts{Refused: 4, Unclaimed: 2, Delivered: 1}},
		} {
			if code := push(step.req); code != step.code {
				t.Errorf("%s: answered with %d, want %d", step.what, code, step.code)
			}
			if got := v.ReplyCounts(); got != step.want {
				t.Errorf("%s: %+v, want %+v", step.what, got, step.want)
			}
			if waits := step.want.Delivered == 0; waits != isOpen(a.Done()) {
				t.Errorf("%s: still waits: %t", step.what, !waits)
			}
		}
		if m, from := a.Reply(); m == nil || string(m.Body) != "answer" || from != "b" || arrived != 1 {
			t.Errorf("%+v from %s, told %d times", m, from, arrived)
		}

		other.Forget()
		push(pushOf(other.ID, "red%billing", reply))
		if m, _ := other.Reply(); m != nil || v.ReplyCounts().Unclaimed != 3 {
			t.Errorf("after Forget: %+v, %+v", m, v.ReplyCounts())
		}
		last := v.AwaitReply(func() {})
		_ = v.Close()
		<-last.Done()
		<-v.AwaitReply(func() {}).Done()
	})
}

func isOpen(c <-chan struct{}) bool {
	select {
	case <-c:
		return false
	default:
		return true
	}
}

// TestIntroduce: a broker gets one heartbeat with the member for each connection, and one that takes none isn't waited for
// twice.
func TestIntroduce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := &network{answer: well}
		v := open(t, n)
		knowTopic(t, v)
		m := cluster.Member{Group: "red%p"}
		if err := v.Enlist(m); err != nil {
			t.Fatal(err)
		}
		beats := func(want int) {
			t.Helper()
			synctest.Wait()
			if got := len(n.to("b:1", protocol.ReqHeartbeat)); got != want {
				t.Errorf("%d heartbeats, want %d", got, want)
			}
		}
		v.Introduce(t.Context(), m, "a:1", "b:1")
		beats(2) // one for the new connection, as ever
		v.Introduce(t.Context(), m, "a:1", "b:1")
		beats(2)
		n.connTo("b:1").nc.Close()
		synctest.Wait()
		v.Introduce(t.Context(), m, "a:1", "b:1")
		if got := len(n.to("b:1", protocol.ReqHeartbeat)); got < 3 {
			t.Errorf("%d heartbeats when it returned, of which none on the new connection", got)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		before := len(n.to("b:1", protocol.ReqHeartbeat))
		v.Introduce(t.Context(), m, "b:1")
		beats(before)

		n.mu.Lock()
		n.answer = func(c *conn, req *frame.Frame) {
			if req.Code != protocol.ReqHeartbeat || c.address != "b:1" {
				well(c, req)
			}
		}
		n.mu.Unlock()
		n.connTo("b:1").nc.Close()
		synctest.Wait()
		began := time.Now()
		v.Introduce(t.Context(), m, "a:1", "b:1") // the silent one has its request time-out
		took := time.Since(began)
		v.Introduce(t.Context(), m, "a:1", "b:1")
		if took > 3*time.Second || time.Since(began) != took {
			t.Errorf("a silent broker was waited for %v, then %v", took, time.Since(began)-took)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		v.Introduce(ctx, m, "a:1", "b:1", "a:2")
	})
}

// TestRegisteredAnew: brokers drop the entry by which they find a client when one of its producers leaves, and when an old
// connection ends. In the first case they are made to write it again at once, in the second when a reply is missed.
func TestRegisteredAnew(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := &network{answer: well}
		v := open(t, n)
		knowTopic(t, v)
		stays, leaves := cluster.Member{Group: "red%stays"}, cluster.Member{Group: "red%leaves"}
		for _, m := range []cluster.Member{stays, leaves} {
			if err := v.Join(t.Context(), m); err != nil {
				t.Fatal(err)
			}
		}
		last := func() (left []string, beatsAfter int) {
			n.mu.Lock()
			defer n.mu.Unlock()
			for _, r := range n.seen {
				if r.address != "a:1" {
					continue
				}
				switch r.Code {
				case protocol.ReqUnregister:
					group, _ := r.Fields.Get("producerGroup")
					left, beatsAfter = append(left, group), 0
				case protocol.ReqHeartbeat:
					beatsAfter++
				}
			}
			return left, beatsAfter
		}
		v.AwaitReply(func() {}).Forget()
		if err := v.Leave(t.Context(), leaves); err != nil {
			t.Fatal(err)
		}
		if left, after := last(); len(left) != 2 || left[1] != "red%stays" || after == 0 {
			t.Errorf("unregistered %v, then %d heartbeats", left, after)
		}

		time.Sleep(time.Minute)
		for range 3 {
			v.DoubtReplies()
			v.Introduce(t.Context(), stays, "a:1")
		}
		if left, after := last(); len(left) != 3 || left[2] != "red%stays" || after == 0 {
			t.Errorf("after missed replies: unregistered %v, then %d heartbeats", left, after)
		}
		time.Sleep(time.Minute)
		v.Introduce(t.Context(), stays, "a:1") // the doubt is from before
		v.Introduce(t.Context(), stays, "a:1")
		if left, _ := last(); len(left) != 4 {
			t.Errorf("unregistered %v", left)
		}
		if err := v.Leave(t.Context(), stays); err != nil {
			t.Fatal(err)
		}
	})
}
