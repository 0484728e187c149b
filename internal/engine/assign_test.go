package engine

import (
	"fmt"
	"slices"
	"testing"

	"github.com/rocketkit/rocketkit/internal/protocol"
)

// javaAllocate is AllocateMessageQueueAveragely.allocate of RocketMQ 5.5.0, its arithmetic term by term.
func javaAllocate(currentCID string, mqAll []protocol.Queue, cidAll []string) []protocol.Queue {
	var result []protocol.Queue
	index := slices.Index(cidAll, currentCID)
	if index < 0 || len(mqAll) == 0 {
		return result
	}
	mod := len(mqAll) % len(cidAll)
	var averageSize int
	switch {
	case len(mqAll) <= len(cidAll):
		averageSize = 1
	case mod > 0 && index < mod:
		averageSize = len(mqAll)/len(cidAll) + 1
	default:
		averageSize = len(mqAll) / len(cidAll)
	}
	startIndex := index*averageSize + mod
	if mod > 0 && index < mod {
		startIndex = index * averageSize
	}
	for i := range min(averageSize, len(mqAll)-startIndex) {
		result = append(result, mqAll[startIndex+i])
	}
	return result
}

func someQueues(n int) []protocol.Queue {
	queues := make([]protocol.Queue, n)
	for i := range queues {
		queues[i] = protocol.Queue{Topic: "t", Broker: fmt.Sprintf("b%d", i/8), ID: int32(i % 8)}
	}
	return queues
}

func someMembers(n int) []string {
	members := make([]string, n)
	for i := range members {
		members[i] = fmt.Sprintf("10.0.0.%d@x", i)
	}
	slices.Sort(members)
	return members
}

func TestAssignAsJava(t *testing.T) {
	t.Parallel()
	for q := range 40 {
		for m := 1; m < 24; m++ {
			queues, members := someQueues(q), someMembers(m)
			shuffled := slices.Clone(members)
			slices.Reverse(shuffled) // brokers list members in no order
			var owned []protocol.Queue
			for _, self := range members {
				mine := assign(queues, shuffled, self)
				if want := javaAllocate(self, queues, members); !slices.Equal(mine, want) {
					t.Fatalf("%d queues, %d members: %s gets %v, in Java %v", q, m, self, mine, want)
				}
				owned = append(owned, mine...)
			}
			if !slices.Equal(owned, queues) {
				t.Fatalf("%d queues, %d members: owned are %v", q, m, owned)
			}
		}
	}
}

func TestAssignOddLists(t *testing.T) {
	t.Parallel()
	queues := someQueues(4)
	if got := assign(queues, []string{"a", "b"}, "c"); got != nil {
		t.Errorf("a member that is not in the list gets %v", got)
	}
	if got := assign(queues, nil, "c"); got != nil {
		t.Errorf("an empty list gives %v", got)
	}
	if got := assign(queues, []string{"a", "a"}, "a"); !slices.Equal(got, queues) {
		t.Errorf("a member listed twice, as after a reconnect, gets %v, want all", got)
	}
	members := []string{"b", "a"}
	assign(queues, members, "a")
	if !slices.Equal(members, []string{"b", "a"}) {
		t.Errorf("the list was changed: %v", members)
	}
}
