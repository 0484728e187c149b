package engine

import (
	"slices"

	"github.com/rocketkit/rocketkit/internal/protocol"
)

// assign shares queues among members exactly as the Java client's AllocateMessageQueueAveragely does, so that groups may
// mix: both lists sorted, each member gets a run of neighbors, the first ones one more when it doesn't come out even.
// queues must be sorted. A member that is not in the list gets nothing.
func assign(queues []protocol.Queue, members []string, self string) []protocol.Queue {
	members = slices.Clone(members)
	slices.Sort(members)
	members = slices.Compact(members)
	at, ok := slices.BinarySearch(members, self)
	if !ok {
		return nil
	}
	each, extra := len(queues)/len(members), len(queues)%len(members)
	from := at*each + min(at, extra)
	to := from + each
	if at < extra {
		to++
	}
	return queues[from:to]
}
