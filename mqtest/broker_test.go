package mqtest

import (
	"bytes"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rocketkit/rocketkit/internal/frame"
	"github.com/rocketkit/rocketkit/internal/protocol"
)

func TestTagsAreFilteredByHash(t *testing.T) {
	bubble(t, Config{Topics: map[string]int{"orders": 1}}, func(t *testing.T, c *Cluster, cl *client) {
		cl.send("orders", "1", "TAGS", "a")
		cl.send("orders", "2", "TAGS", "AaAa")
		cl.send("orders", "3", "TAGS", "BBBB") // Java hashes it as it does AaAa
		cl.send("orders", "4")
		p := pullRequest("g", "orders", 0)
		p.Subscription = "AaAa || c"
		r := cl.pull(p)
		msgs, err := protocol.DecodeMessages(r.Body, "orders")
		if err != nil || len(msgs) != 2 || string(msgs[1].Body) != "3" || r.NextOffset != 4 {
			t.Fatalf("%+v, %v", r, err)
		}
		p.Offset = 3
		if r := cl.pull(p); r.Status != protocol.PullRetryImmediately || r.NextOffset != 4 {
			t.Fatalf("%+v", r)
		}
		p.Subscription, p.ExpressionType = "a > 1", protocol.ExpressionSQL
		cl.refused(protocol.CodeSystemError, p.Frame())
	})
}

func TestAHeldPullSkipsWhatItDoesNotWant(t *testing.T) {
	bubble(t, Config{Topics: map[string]int{"orders": 1}}, func(t *testing.T, c *Cluster, cl *client) {
		p := pullRequest("g", "orders", 0)
		p.SysFlag |= protocol.PullSuspend
		p.SuspendMillis, p.Subscription = 15_000, "a"
		begin := time.Now()
		done := make(chan protocol.PullResult, 1)
		go func() { done <- cl.pull(p) }()
		time.Sleep(time.Second)
		cl.send("orders", "1", "TAGS", "b")
		r := <-done
		if r.Status != protocol.PullRetryImmediately || r.NextOffset != 1 || time.Since(begin) != 5*time.Second {
			t.Fatalf("%+v after %v", r, time.Since(begin))
		}
	})
}

func TestAnswersAreBounded(t *testing.T) {
	bubble(t, Config{Topics: map[string]int{"many": 1, "large": 1, "huge": 1}}, func(t *testing.T, c *Cluster, cl *client) {
		for range 40 {
			cl.send("many", "x")
			cl.send("large", strings.Repeat("x", 50<<10))
		}
		if n := len(cl.messages("g", "many", 0)); n != 32 {
			t.Errorf("%d messages, want 32", n)
		}
		if n := len(cl.messages("g", "large", 0)); n != 5 {
			t.Errorf("%d messages, want 5 of 50 KiB in 256", n)
		}
		cl.send("huge", strings.Repeat("x", 1<<20))
		if n := len(cl.messages("g", "huge", 0)); n != 1 {
			t.Errorf("%d messages, want the one that is too large by itself", n)
		}
	})
}

func TestOffsetsOutsideOfTheQueue(t *testing.T) {
	bubble(t, Config{Topics: map[string]int{"orders": 1, "empty": 1}}, func(t *testing.T, c *Cluster, cl *client) {
		for range 5 {
			cl.send("orders", "x")
		}
		if err := c.Expire("orders", 2); err != nil {
			t.Fatal(err)
		}
		for _, test := range []struct {
			topic        string
			offset, next int64
			status       protocol.PullStatus
		}{
			{"orders", 0, 3, protocol.PullOffsetMoved},
			{"orders", -1, 3, protocol.PullOffsetMoved},
			{"orders", 3, 5, protocol.PullFound},
			{"orders", 5, 5, protocol.PullNotFound},
			{"orders", 6, 5, protocol.PullOffsetMoved},
			{"empty", 0, 0, protocol.PullNotFound},
			{"empty", 7, 0, protocol.PullOffsetMoved},
		} {
			if r := cl.pull(pullRequest("g", test.topic, test.offset)); r.Status != test.status || r.NextOffset != test.next {
				t.Errorf("%s from %d: %v, next %d; want %v, %d", test.topic, test.offset, r.Status, r.NextOffset, test.status, test.next)
			}
		}
		for code, want := range map[int32]int64{protocol.ReqMinOffset: 3, protocol.ReqMaxOffset: 5} {
			f := cl.ok(&frame.Frame{Code: code, Fields: protocol.MaxOffset{Topic: "orders"}.Frame().Fields})
			if n, _ := f.Fields.Int64("offset"); n != want {
				t.Errorf("%s: %d, want %d", protocol.RequestName(code), n, want)
			}
		}
	})
}

func TestCommittedOffsets(t *testing.T) {
	bubble(t, Config{Topics: map[string]int{"orders": 1, "empty": 1}}, func(t *testing.T, c *Cluster, cl *client) {
		cl.send("orders", "x")
		query := func(topic string, zero bool) *frame.Frame {
			return protocol.QueryOffset{Group: "g", Topic: topic, ZeroIfAbsent: zero}.Frame()
		}
		update := protocol.UpdateOffset{Group: "g", Topic: "orders", Offset: 7}.Frame()
		cl.refused(protocol.CodeGroupNotExist, update)
		cl.ok(protocol.CreateGroup{Config: protocol.NewGroupConfig("g")}.Frame())
		cl.refused(protocol.CodeQueryNotFound, query("orders", false))
		cl.refused(protocol.CodeQueryNotFound, query("empty", true))
		if n, _, _ := protocol.ParseQueryOffset(cl.ok(query("orders", true))); n != 0 {
			t.Fatal(n)
		}
		cl.ok(update)
		if n, _, _ := protocol.ParseQueryOffset(cl.ok(query("orders", false))); n != 7 {
			t.Fatal(n)
		}
		p := pullRequest("g", "orders", 0)
		p.SysFlag |= protocol.PullCommitOffset
		p.CommitOffset = 1
		cl.pull(p)
		if n, _, _ := protocol.ParseQueryOffset(cl.ok(query("orders", false))); n != 1 {
			t.Fatal(n)
		}
	})
}

func TestReset(t *testing.T) {
	bubble(t, Config{Topics: map[string]int{"orders": 1}}, func(t *testing.T, c *Cluster, cl *client) {
		for range 4 {
			cl.send("orders", "x")
			time.Sleep(time.Second)
		}
		cl.join("g", "orders")
		update := protocol.UpdateOffset{Group: "g", Topic: "orders", Offset: 4}.Frame()
		cl.ok(update)
		moved, err := protocol.ParseResetOffset(cl.ok(protocol.ResetOffset{
			Group: "g", Topic: "orders", Time: time.Now().Add(-2 * time.Second).UnixMilli(),
		}.Frame()))
		if want := (protocol.Queue{Topic: "orders", Broker: "broker-a"}); err != nil || moved[want] != 2 {
			t.Fatal(moved, err)
		}
		if reset, err := protocol.ParseUpdateOffset(cl.ok(update)); !reset || err != nil {
			t.Fatal(reset, err)
		}
		r := cl.pull(pullRequest("g", "orders", 4))
		if !r.IsReset() || r.NextOffset != 2 {
			t.Fatalf("%+v", r)
		}
		if reset, err := protocol.ParseUpdateOffset(cl.ok(update)); reset || err != nil {
			t.Fatal(reset, err)
		}
		synctest.Wait()
		if n := cl.notices(protocol.ReqResetClientOffset); n != 0 {
			t.Errorf("%d members were told", n)
		}
	})
}

func TestBatch(t *testing.T) {
	bubble(t, Config{Topics: map[string]int{"orders": 1}, MaxMessageBytes: 1000}, func(t *testing.T, c *Cluster, cl *client) {
		body := protocol.AppendBatchMessage(nil, 0, []byte("one"), protocol.AppendProperty(nil, "TAGS", "a"))
		body = protocol.AppendBatchMessage(body, 0, []byte("two"), nil)
		m := sendRequest("orders", string(body))
		m.Batch = true
		r, err := protocol.ParseSendResult(cl.ok(m.Frame()))
		if err != nil || len(strings.Split(r.OffsetID, ",")) != 2 || r.QueueOffset != 0 {
			t.Fatalf("%+v, %v", r, err)
		}
		msgs := cl.messages("g", "orders", 0)
		if len(msgs) != 2 || string(msgs[0].Body) != "one" || prop(msgs[0], "TAGS") != "a" || msgs[1].QueueOffset != 1 {
			t.Fatalf("%+v", msgs)
		}
		m.Body = protocol.AppendBatchMessage(nil, 0, bytes.Repeat([]byte{1}, 1000), nil)
		cl.refused(protocol.CodeSystemError, m.Frame())
		m.Topic = "%RETRY%g"
		m.Body = body
		cl.refused(protocol.CodeMessageIllegal, m.Frame())
	})
}

func TestWhatIsRefused(t *testing.T) {
	cfg := Config{Topics: map[string]int{"orders": 2}, RequireGroups: true, MaxMessageBytes: 1000}
	bubble(t, cfg, func(t *testing.T, c *Cluster, cl *client) {
		queue := func(q int32) *frame.Frame {
			m := sendRequest("orders", "x")
			m.QueueID = q
			return m.Frame()
		}
		cl.ok(protocol.CreateGroup{Config: protocol.NewGroupConfig("g")}.Frame())
		cl.ok(protocol.CreateTopic{Config: protocol.TopicConfig{Name: "secret", ReadQueues: 1, WriteQueues: 1, Perm: protocol.PermWrite}}.Frame())
		queueless := pullRequest("g", "orders", 0)
		queueless.QueueID = 2
		for name, test := range map[string]struct {
			code int32
			req  *frame.Frame
		}{
			"too large":       {protocol.CodeMessageIllegal, sendRequest("orders", strings.Repeat("x", 1001)).Frame()},
			"no topic":        {protocol.CodeTopicNotExist, sendRequest("missing", "x").Frame()},
			"bad topic":       {protocol.CodeInvalidParameter, sendRequest("a b", "x").Frame()},
			"system topic":    {protocol.CodeNoPermission, sendRequest("SCHEDULE_TOPIC_XXXX", "x").Frame()},
			"no queue":        {protocol.CodeInvalidParameter, queue(2)},
			"no group":        {protocol.CodeGroupNotExist, pullRequest("h", "orders", 0).Frame()},
			"pull no topic":   {protocol.CodeTopicNotExist, pullRequest("g", "missing", 0).Frame()},
			"pull no queue":   {protocol.CodeInvalidParameter, queueless.Frame()},
			"unreadable":      {protocol.CodeNoPermission, pullRequest("g", "secret", 0).Frame()},
			"unknown request": {protocol.CodeRequestNotSupported, &frame.Frame{Code: 9999}},
			"create system":   {protocol.CodeInvalidParameter, protocol.CreateTopic{Config: protocol.NewTopicConfig("BenchmarkTest", 1)}.Frame()},
			"not subscribed":  {protocol.CodeSubscriptionNotExist, protocol.PullMessage{Group: "g", Topic: "orders"}.Frame()},
		} {
			if f := cl.call("", test.req); f.Code != test.code {
				t.Errorf("%s: %s %q, want %s", name, protocol.CodeName(f.Code), f.Remark, protocol.CodeName(test.code))
			}
		}
		cl.join("h", "orders") // answered with success, and nothing else
		cl.refused(protocol.CodeSystemError, protocol.ConsumerList{Group: "h"}.Frame())
	})
}

func TestAutoCreateTopics(t *testing.T) {
	bubble(t, Config{AutoCreateTopics: true}, func(t *testing.T, c *Cluster, cl *client) {
		cl.send("orders", "x")
		config, err := protocol.ParseTopicConfig(cl.ok(protocol.GetTopicConfig{Topic: "orders"}.Frame()))
		if err != nil || config.ReadQueues != 4 || config.Perm != protocol.PermRead|protocol.PermWrite {
			t.Fatalf("%+v, %v", config, err)
		}
		if f := cl.call("namesrv-a", protocol.GetRoute{Topic: "orders"}.Frame()); f.Code != 0 {
			t.Fatal(f.Remark)
		}
	})
}

func TestASilentMemberIsForgotten(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, c *Cluster, cl *client) {
		other := newClient(t, c)
		other.join("g")
		for range 4 {
			cl.join("g")
			time.Sleep(30 * time.Second)
		}
		synctest.Wait()
		if ids := c.Members("g"); len(ids) != 2 {
			t.Fatal(ids)
		}
		cl.join("g")
		time.Sleep(15 * time.Second)
		synctest.Wait()
		if ids := c.Members("g"); len(ids) != 1 || ids[0] != cl.id {
			t.Fatal(ids)
		}
		if n := len(other.remote.Addresses()); n != 0 {
			t.Fatal("its connection is still there")
		}
	})
}
