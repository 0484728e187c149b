package cluster_test

import (
	"testing"
	"testing/synctest"

	"github.com/rocketkit/rocketkit/internal/cluster"
	"github.com/rocketkit/rocketkit/internal/protocol"
)

// TestLastProducerUnregisters: a producer group's producers are one member to brokers, which stays until the last has
// left.
func TestLastProducerUnregisters(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := &network{answer: well}
		v := open(t, n)
		knowTopic(t, v)
		producer := cluster.Member{Group: "red%p"}
		for range 2 {
			if err := v.Join(t.Context(), producer); err != nil {
				t.Fatal(err)
			}
		}
		for i, want := range []int{0, 1} {
			if err := v.Leave(t.Context(), producer); err != nil {
				t.Fatal(err)
			}
			if got := len(n.to("a:1", protocol.ReqUnregister)); got != want {
				t.Errorf("%d unregistered after %d have left, want %d", got, i+1, want)
			}
		}
	})
}
