package mqtest

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rocketkit/rocketkit/internal/protocol"
)

func TestSendAndPull(t *testing.T) {
	for name, tcp := range map[string]bool{"memory": false, "tcp": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := New(t, Config{Topics: map[string]int{"orders": 1}, TCP: tcp})
			cl := newClient(t, c)
			route, err := protocol.ParseTopicRoute(cl.call("namesrv-a", protocol.GetRoute{Topic: "orders"}.Frame()))
			if err != nil || len(route.Queues) != 1 || route.Brokers[0].Addresses[0] != cl.address("broker-a") {
				t.Fatalf("%+v, %v", route, err)
			}
			sent := cl.send("orders", "one", "TAGS", "a")
			cl.send("orders", "two")
			msgs := cl.messages("g", "orders", 0)
			if len(msgs) != 2 || string(msgs[0].Body) != "one" || string(msgs[1].Body) != "two" {
				t.Fatalf("%+v", msgs)
			}
			if m := msgs[0]; m.OffsetID() != sent.OffsetID || m.QueueOffset != 0 || m.ID() != sent.TransactionID {
				t.Fatalf("%+v, %+v", m, sent)
			}
			for name, want := range map[string]string{"TAGS": "a", "CLUSTER": "DefaultCluster", "MSG_REGION": "DefaultRegion", "TRACE_ON": "true"} {
				if got, _ := msgs[0].Properties.Get(name); got != want {
					t.Errorf("%s is %q, want %q", name, got, want)
				}
			}
		})
	}
}

func TestLongPoll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := New(t, Config{Topics: map[string]int{"orders": 1}})
		cl := newClient(t, c)
		p := pullRequest("g", "orders", 0)
		p.SysFlag |= protocol.PullSuspend
		p.SuspendMillis = 15_000

		begin := time.Now()
		if r := cl.pull(p); r.Status != protocol.PullNotFound || time.Since(begin) != 15*time.Second {
			t.Fatalf("%+v after %v", r, time.Since(begin))
		}
		begin = time.Now()
		time.AfterFunc(7*time.Second, func() {
			_, _ = cl.remote.Call(context.Background(), cl.address("broker-a"), sendRequest("orders", "one").Frame())
		})
		if r := cl.pull(p); r.Status != protocol.PullFound || time.Since(begin) != 7*time.Second {
			t.Fatalf("%+v after %v", r, time.Since(begin))
		}
	})
}

func TestMembersAreTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := New(t, Config{Topics: map[string]int{"orders": 1}})
		one, two, three := newClient(t, c), newClient(t, c), newClient(t, c)
		one.join("g", "orders")
		two.join("g", "orders")
		three.join("g", "orders")
		synctest.Wait()
		if n := [3]int{one.notices(40), two.notices(40), three.notices(40)}; n != [3]int{3, 2, 1} {
			t.Fatal(n)
		}
		three.ok(protocol.Unregister{ClientID: three.id, ConsumerGroup: "g"}.Frame())
		synctest.Wait()
		two.remote.Drop(two.address("broker-a"))
		synctest.Wait()
		if n := [3]int{one.notices(40), two.notices(40), three.notices(40)}; n != [3]int{2, 1, 0} {
			t.Fatal(n)
		}
		ids, err := protocol.ParseConsumerList(one.ok(protocol.ConsumerList{Group: "g"}.Frame()))
		if err != nil || len(ids) != 1 || ids[0] != one.id {
			t.Fatal(ids, err)
		}
		one.ok(protocol.GetTopicConfig{Topic: "%RETRY%g"}.Frame())
		time.Sleep(3 * time.Minute)
		one.refused(protocol.CodeSystemError, protocol.ConsumerList{Group: "g"}.Frame())
	})
}
