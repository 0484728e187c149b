package mqtest

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/rocketkit/rocketkit/internal/protocol"
)

func bubble(t *testing.T, cfg Config, run func(t *testing.T, c *Cluster, cl *client)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		c := New(t, cfg)
		run(t, c, newClient(t, c))
	})
}

func prop(m protocol.Message, name string) string {
	value, _ := m.Properties.Get(name)
	return value
}

func TestSixteenRetriesAndADeadLetter(t *testing.T) {
	bubble(t, Config{Topics: map[string]int{"orders": 1}}, func(t *testing.T, c *Cluster, cl *client) {
		cl.join("g", "orders")
		cl.send("orders", "one", "TAGS", "a")
		m := cl.messages("g", "orders", 0)[0]
		first := m
		var slept time.Duration
		for retry := range 16 {
			cl.ok(protocol.SendBack{Group: "g", Offset: m.CommitLogOffset, OriginTopic: "orders"}.Frame())
			level := c.cfg.DelayLevels[retry+2]
			time.Sleep(level - time.Millisecond)
			synctest.Wait()
			if early := cl.messages("g", "%RETRY%g", int64(retry)); len(early) != 0 {
				t.Fatalf("retry %d came early", retry+1)
			}
			time.Sleep(time.Millisecond)
			synctest.Wait()
			slept += level
			msgs := cl.messages("g", "%RETRY%g", int64(retry))
			if len(msgs) != 1 {
				t.Fatalf("retry %d: %d messages", retry+1, len(msgs))
			}
			m = msgs[0]
			if m.ReconsumeTimes != int32(retry+1) || prop(m, "RETRY_TOPIC") != "orders" ||
				prop(m, "ORIGIN_MESSAGE_ID") != first.OffsetID() || prop(m, "UNIQ_KEY") != first.ID() || prop(m, "TAGS") != "a" {
				t.Fatalf("retry %d: %+v", retry+1, m)
			}
		}
		if want := 17140 * time.Second; slept != want { // levels 3 to 18
			t.Errorf("slept %v, want %v", slept, want)
		}
		cl.ok(protocol.SendBack{Group: "g", Offset: m.CommitLogOffset, OriginTopic: "orders"}.Frame())
		dead := cl.messages("g", "%DLQ%g", 0)
		if len(dead) != 1 || dead[0].ReconsumeTimes != 17 || prop(dead[0], "RETRY_TOPIC") != "orders" || dead[0].ID() != first.ID() {
			t.Fatalf("%+v", dead)
		}
	})
}

func TestDeadLetterAtOnce(t *testing.T) {
	bubble(t, Config{Topics: map[string]int{"orders": 1}}, func(t *testing.T, c *Cluster, cl *client) {
		cl.join("g", "orders")
		for i, back := range []protocol.SendBack{{DelayLevel: -1}, {}, {}} {
			cl.send("orders", "one")
			back.Group, back.OriginTopic, back.Offset = "g", "orders", cl.messages("g", "orders", int64(i))[0].CommitLogOffset
			req := back.Frame()
			if i > 0 { // 0, then -1
				req.Fields = append(req.Fields, protocol.AnswerNumber("maxReconsumeTimes", int64(1-i)).Fields...)
			}
			cl.ok(req)
			if dead := cl.messages("g", "%DLQ%g", int64(i)); len(dead) != 1 {
				t.Fatalf("case %d: %d dead letters", i, len(dead))
			}
		}
		cl.refused(protocol.CodeSystemError, protocol.SendBack{Group: "g", Offset: 1}.Frame())
		req := sendRequest("%RETRY%g", "one").Frame()
		req.Fields = append(req.Fields, protocol.AnswerNumber("l", -1).Fields...)
		cl.ok(req)
		if dead := cl.messages("g", "%DLQ%g", 3); len(dead) != 1 {
			t.Fatalf("a plain retry: %d dead letters", len(dead))
		}
	})
}

func TestDelayedSend(t *testing.T) {
	bubble(t, Config{Topics: map[string]int{"orders": 1}}, func(t *testing.T, c *Cluster, cl *client) {
		cl.send("orders", "late", "DELAY", "3")
		cl.send("orders", "timed", "TIMER_DELAY_MS", "2500")
		if n := len(cl.messages("g", "orders", 0)); n != 0 {
			t.Fatal(n)
		}
		time.Sleep(3 * time.Second)
		synctest.Wait()
		if msgs := cl.messages("g", "orders", 0); len(msgs) != 1 || string(msgs[0].Body) != "timed" {
			t.Fatalf("%+v", msgs)
		}
		time.Sleep(7 * time.Second)
		synctest.Wait()
		msgs := cl.messages("g", "orders", 1)
		if len(msgs) != 1 || string(msgs[0].Body) != "late" || prop(msgs[0], "REAL_TOPIC") != "orders" {
			t.Fatalf("%+v", msgs)
		}
	})
}

func TestDelaysOutliveARestart(t *testing.T) {
	bubble(t, Config{Topics: map[string]int{"orders": 1}}, func(t *testing.T, c *Cluster, cl *client) {
		cl.send("orders", "late", "DELAY", "3")
		time.Sleep(time.Second)
		if err := c.Stop("broker-a"); err != nil {
			t.Fatal(err)
		}
		if _, err := cl.try("", sendRequest("orders", "x").Frame(), time.Second); err == nil {
			t.Fatal("a stopped broker answered")
		}
		time.Sleep(time.Minute)
		if err := c.Restart("broker-a"); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if n := len(cl.messages("g", "orders", 0)); n != 1 {
			t.Fatal(n)
		}
	})
}

func TestLocks(t *testing.T) {
	bubble(t, Config{Topics: map[string]int{"orders": 2}}, func(t *testing.T, c *Cluster, one *client) {
		two := newClient(t, c)
		queues := []protocol.Queue{{Topic: "orders", Broker: "broker-a"}, {Topic: "orders", Broker: "broker-a", ID: 1}}
		held := func(cl *client, queues ...protocol.Queue) int {
			got, err := protocol.ParseLockQueues(cl.ok(protocol.LockQueues{Group: "g", ClientID: cl.id, Queues: queues}.Frame()))
			if err != nil {
				t.Fatal(err)
			}
			return len(got)
		}
		if n, m := held(one, queues[0]), held(two, queues...); n != 1 || m != 1 {
			t.Fatal(n, m)
		}
		one.ok(protocol.UnlockQueues{Group: "g", ClientID: one.id, Queues: queues}.Frame())
		if n, m := held(two, queues...), held(one, queues...); n != 2 || m != 0 {
			t.Fatal(n, m)
		}
		two.remote.Close()
		time.Sleep(time.Minute)
		if n := held(one, queues...); n != 0 {
			t.Fatal("the lock of a member that left lasts 60 s")
		}
		time.Sleep(time.Second)
		if n := held(one, queues...); n != 2 {
			t.Fatal(n)
		}
	})
}

func TestAPlainRetryOfALockedGroupIsADeadLetter(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, c *Cluster, cl *client) {
		cl.join("g")
		cl.send("%RETRY%g", "fine")
		cl.ok(protocol.LockQueues{Group: "g", ClientID: cl.id, Queues: []protocol.Queue{{Topic: "orders", Broker: "broker-a"}}}.Frame())
		cl.send("%RETRY%g", "trapped")
		time.Sleep(61 * time.Second)
		cl.send("%RETRY%g", "fine again")
		if n, dead := len(cl.messages("g", "%RETRY%g", 0)), len(cl.messages("g", "%DLQ%g", 0)); n != 2 || dead != 1 {
			t.Fatal(n, dead)
		}
	})
}
