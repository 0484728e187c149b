package cluster_test

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rocketkit/rocketkit/internal/cluster"
	"github.com/rocketkit/rocketkit/internal/frame"
	"github.com/rocketkit/rocketkit/internal/protocol"
)

// checker notes the check-backs it is given.
type checker struct {
	owns string // the transaction that it is in the middle of
	got  []string
}

func (k *checker) OwnCheck(_ string, q *protocol.CheckTransaction) bool {
	if q.Message.ID() != k.owns {
		return false
	}
	k.got = append(k.got, "own "+k.owns)
	return true
}

func (k *checker) Check(broker string, q *protocol.CheckTransaction) {
	k.got = append(k.got, broker+" "+q.Message.ID())
}

// wide answers as a name server that lists a broker on which no topic in use is, c.
func wide(c *conn, req *frame.Frame) {
	if req.Code != protocol.ReqGetCluster {
		well(c, req)
		return
	}
	c.reply(req, jsonBody(protocol.ClusterInfo{Brokers: map[string]protocol.BrokerData{
		"a": {Name: "a", Addresses: map[int64]string{0: "a:1", 1: "a:2"}},
		"c": {Name: "c", Addresses: map[int64]string{0: "c:1", 1: "c:2"}},
	}}))
}

// Who serves check-backs is known to all masters; consumers only where their topics are.
func TestCheckersAreKnownToAllMasters(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := &network{answer: wide}
		v := open(t, n)
		knowTopic(t, v)
		if err := v.Join(t.Context(), consumerIn("red%g")); err != nil {
			t.Fatal(err)
		}
		member := cluster.Member{Group: "red%p"}
		stop := v.ServeChecks(member.Group, &checker{})
		if err := v.Join(t.Context(), member); err != nil {
			t.Fatal(err)
		}
		for _, address := range []string{"a:1", "b:1", "c:1"} {
			beats := n.to(address, protocol.ReqHeartbeat)
			if len(beats) == 0 {
				t.Fatalf("%s was told nothing", address)
			}
			consumers, producers := groupsIn(t, beats[len(beats)-1])
			if !slices.Equal(producers, []string{"red%p"}) || slices.Contains(consumers, "red%g") != (address != "c:1") {
				t.Errorf("%s was told %v %v", address, consumers, producers)
			}
		}
		if asking, masters := v.Asking(member.Group); asking != 2 || masters != 2 {
			t.Errorf("%d of %d masters ask", asking, masters)
		}
		if err := v.Leave(t.Context(), member); err != nil {
			t.Fatal(err)
		}
		stop()
		before := len(n.to("c:1", protocol.ReqHeartbeat))
		time.Sleep(5 * time.Minute)
		if len(n.to("c:1", protocol.ReqUnregister)) != 1 || len(n.to("c:1", protocol.ReqHeartbeat)) != before || len(n.to("c:2", protocol.ReqHeartbeat)) != 0 {
			t.Error("c wasn't left, or is told on")
		}
	})
}

// A check-back goes to the producer that is in the middle of the transaction, else to one of the group; what isn't
// for any is let go.
func TestCheckersAreAsked(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := &network{answer: wide}
		v := open(t, n)
		first, second, other := &checker{}, &checker{owns: "7"}, &checker{}
		stop := v.ServeChecks("red%p", first)
		v.ServeChecks("red%p", second)
		v.ServeChecks("blue%p", other)
		if err := v.Join(t.Context(), cluster.Member{Group: "red%p"}); err != nil {
			t.Fatal(err)
		}
		ask := func(group, id string) {
			properties := protocol.AppendProperty(nil, protocol.PropertyUniqueKey, id)
			properties = protocol.AppendProperty(properties, protocol.PropertyProducerGroup, group)
			n.connTo("c:1").send(protocol.CheckTransaction{Message: protocol.Message{Topic: "red%t", Body: []byte("x"), Properties: properties}}.Request())
			synctest.Wait()
		}
		ask("red%p", "6")
		ask("red%p", "7")
		ask("green%p", "8")
		n.connTo("c:1").send(&frame.Frame{Code: protocol.ReqCheckTransaction, Flag: 2, Body: []byte("nonsense")})
		stop()
		ask("red%p", "9")
		if !slices.Equal(first.got, []string{"c:1 6"}) || !slices.Equal(second.got, []string{"own 7", "c:1 9"}) || len(other.got) > 0 {
			t.Errorf("asked %q, %q, %q", first.got, second.got, other.got)
		}
	})
}
