package cluster_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rocketkit/rocketkit/internal/cluster"
	"github.com/rocketkit/rocketkit/internal/frame"
	"github.com/rocketkit/rocketkit/internal/protocol"
	"github.com/rocketkit/rocketkit/tenant"
)

// beside is another tenant on the sockets of v, with credentials of its own.
func beside(t *testing.T, v *cluster.View, name string, ask func(context.Context) (cluster.Credentials, error)) *cluster.View {
	t.Helper()
	names, err := tenant.New(name)
	if err != nil {
		t.Fatal(err)
	}
	return v.View(names, v.NewKeys(ask))
}

func signerOf(req *frame.Frame) string {
	by, _ := req.Fields.Get("AccessKey")
	return by
}

// refusingBlue answers as brokers on which the user blue has no rights.
func refusingBlue(c *conn, req *frame.Frame) {
	if signerOf(req) == "blue" {
		c.reply(req, &frame.Frame{Code: protocol.CodeNoPermission, Remark: "no"})
		return
	}
	wide(c, req)
}

func lastingAsk(name string) func(context.Context) (cluster.Credentials, error) {
	return func(context.Context) (cluster.Credentials, error) { return lasting(name, 0), nil }
}

// TestTenantThatIsRefusedHurtsNoOther: brokers refuse one tenant's heartbeats. Those of another still come before its
// requests, it still counts as known, and it is still registered anew when a reply is missed, also when the former has left.
func TestTenantThatIsRefusedHurtsNoOther(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := &network{answer: refusingBlue}
		red := open(t, n)
		knowTopic(t, red)
		blue := beside(t, red, "blue", lastingAsk("blue"))
		foe, friend := cluster.Member{Group: "blue%p"}, cluster.Member{Group: "red%p"}
		if err := blue.Join(t.Context(), foe); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		known := func() (count int) {
			for _, r := range n.to("b:1", protocol.ReqHeartbeat) {
				if _, producers := groupsIn(t, r); signerOf(r.Frame) == "" && len(producers) == 1 {
					count++
				}
			}
			return count
		}
		if err := red.Enlist(friend); err != nil {
			t.Fatal(err)
		}
		defer red.ServeChecks(friend.Group, &checker{})()
		red.Introduce(t.Context(), friend, "a:1", "b:1")
		if known() != 1 {
			t.Errorf("b was told %d times", known())
		}
		if err := red.FindMasters(t.Context()); err != nil {
			t.Fatal(err)
		}
		red.Introduce(t.Context(), friend, "c:1")
		if asking, masters := red.Asking(friend.Group); asking != 2 || masters != 2 {
			t.Errorf("%d of %d masters ask", asking, masters)
		}
		if asking, _ := red.Asking(foe.Group); asking != 0 {
			t.Errorf("%d masters ask whom they refuse", asking)
		}
		for range 2 {
			before := len(n.to("b:1", protocol.ReqUnregister))
			red.DoubtReplies()
			red.Introduce(t.Context(), friend, "b:1")
			all := n.to("b:1", protocol.ReqUnregister)
			if len(all) == before {
				t.Fatal("not registered anew")
			}
			if group, _ := all[len(all)-1].Fields.Get("producerGroup"); group != friend.Group {
				t.Errorf("registered anew: %s", group)
			}
			_ = blue.Leave(t.Context(), foe)
			time.Sleep(time.Minute)
		}
	})
}

// TestTenantWithoutCredentialsDelaysNoOther: the function that gives one tenant's credentials hangs, and nobody else waits.
func TestTenantWithoutCredentialsDelaysNoOther(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := &network{answer: well}
		red := open(t, n)
		knowTopic(t, red)
		blue := beside(t, red, "blue", func(ctx context.Context) (cluster.Credentials, error) {
			<-ctx.Done()
			return cluster.Credentials{}, ctx.Err()
		})
		friend := cluster.Member{Group: "red%p"}
		if err := errors.Join(blue.Enlist(cluster.Member{Group: "blue%p"}), red.Enlist(friend)); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		red.Introduce(t.Context(), friend, "a:1", "b:1")
		if took := time.Since(began); took > 0 || len(n.to("b:1", protocol.ReqHeartbeat)) == 0 {
			t.Errorf("introduced after %v, with %d heartbeats", took, len(n.to("b:1", protocol.ReqHeartbeat)))
		}
	})
}

// TestRegisteringAnewOutlivesItsCause: the request that missed a reply waits for it no longer than its context, and a
// broker that has unregistered the group by then is told of it again.
func TestRegisteringAnewOutlivesItsCause(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := &network{answer: func(c *conn, req *frame.Frame) {
			if req.Code != protocol.ReqUnregister { // else it is carried out, and the answer lost
				well(c, req)
			}
		}}
		v := open(t, n)
		knowTopic(t, v)
		m := cluster.Member{Group: "red%p"}
		if err := v.Join(t.Context(), m); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		before := len(n.to("b:1", protocol.ReqHeartbeat))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		v.DoubtReplies()
		v.Introduce(ctx, m, "b:1")
		if took := time.Since(began); took > time.Second {
			t.Errorf("waited %v", took)
		}
		time.Sleep(5 * time.Second)
		if len(n.to("b:1", protocol.ReqUnregister)) != 1 || len(n.to("b:1", protocol.ReqHeartbeat)) == before {
			t.Error("unregistered and not registered again")
		}
	})
}
