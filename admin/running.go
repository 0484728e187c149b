package admin

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/internal/protocol"
)

// relayTimeout is the least a broker gets for a question that it passes on: it waits 10 s for the member's answer
// (Broker2Client.callClient).
const relayTimeout = 12 * time.Second

// RunningInfo is what a member of a consumer group says of itself.
type RunningInfo struct {
	ClientID      string
	Properties    map[string]string // what it was configured with, as it names that; of rocketkit's, Pools and Settings read some
	Subscriptions []Subscription    // sorted by topic
	Queues        []RunningQueue    // those it holds, sorted
	Topics        []TopicTraffic    // sorted by topic
	Info          map[string]string // whatever it adds; rocketkit's members say here what holds their queues back. Before 5.0 brokers' members had none
	Stack         string            // if asked for; rocketkit's begin with the handler that has run longest
}

// RunningQueue is a queue as its owner sees it. Its offsets are those that the library keeps: a rocketkit member's Min is
// the lowest that isn't finished, Max the next one to receive.
type RunningQueue struct {
	Queue     rocketkit.Queue
	Committed int64
	Min, Max  int64 // of the messages it has received and not finished
	Cached    int   // how many those are
	Locked    bool  // it holds the broker's lock of the queue, or believes to
	Dropped   bool  // it is giving the queue up

	LastPull    time.Time // zero when it doesn't say, as the next
	LastHandled time.Time
}

// TopicTraffic is what a member receives and handles of one topic, over the library's own window: rocketkit's is the last
// minute.
type TopicTraffic struct {
	Topic                  string        // logical
	PullTime, HandleTime   time.Duration // in the mean; a pull's time includes how long the broker held it
	Received, Done, Failed float64       // messages a second
	FailedInHour           int64
}

// RunningInfo asks a member of a consumer group what it is doing (GET_CONSUMER_RUNNING_INFO 307), through a broker that it is
// connected to; with stack it adds where the process's threads or goroutines are, which costs it some milliseconds. The
// member has 10 s to answer. clientID is one of [Admin.Connections]; one that no broker knows gives an error that
// wraps [ErrNoMember].
func (a *Admin) RunningInfo(ctx context.Context, group, clientID string, stack bool) (RunningInfo, error) {
	op := fmt.Sprintf("read the running info of %s in group %s", shown(clientID), shown(group))
	physical, err := a.group(op, "group", group)
	if err != nil {
		return RunningInfo{}, err
	}
	servers, seen, t, err := a.connections(ctx, op, physical)
	if err != nil {
		return RunningInfo{}, err
	}
	var at []server
	for i, known := range seen {
		if slices.ContainsFunc(known.Connections, func(c protocol.Connection) bool { return c.ClientID == clientID }) {
			at = append(at, servers[i])
		}
	}
	if len(at) == 0 {
		if err := t.err(); err != nil {
			return RunningInfo{}, err // one of those that failed may know it
		}
		return RunningInfo{}, failed(op, ErrNoMember)
	}
	info, err := a.relayed(ctx, at, physical, clientID, stack)
	if err != nil {
		return RunningInfo{}, failed(op, err)
	}
	return info, nil
}

// relayed asks a member by way of the brokers it is connected to, one after the other until one brings an answer.
func (a *Admin) relayed(ctx context.Context, by []server, physical, clientID string, stack bool) (RunningInfo, error) {
	req := protocol.GetRunningInfo{Group: physical, ClientID: clientID, Stack: stack}.Frame()
	var refused []error
	for _, s := range by {
		answer, err := a.call(ctx, s, req, max(a.view.RequestTimeout(), relayTimeout))
		if err == nil {
			var info protocol.ConsumerRunningInfo
			if info, err = protocol.ParseRunningInfo(answer); err == nil {
				return a.runningInfo(clientID, info), nil
			}
		}
		refused = append(refused, err)
	}
	return RunningInfo{}, causes(refused)
}

// runningInfo gives what belongs to the tenant, by its logical names.
func (a *Admin) runningInfo(clientID string, from protocol.ConsumerRunningInfo) RunningInfo {
	info := RunningInfo{
		ClientID: clientID, Properties: from.Properties, Info: from.UserInfo, Stack: from.Stack,
		Subscriptions: a.subscriptions(from.Subscriptions),
	}
	for id, q := range from.Queues {
		topic, ok := a.view.Names.LogicalTopic(id.Topic)
		if !ok {
			continue
		}
		info.Queues = append(info.Queues, RunningQueue{
			Queue: rocketkit.Queue{Topic: topic, Broker: id.Broker, ID: int(id.ID)}, Committed: q.CommitOffset,
			Min: q.CachedMinOffset, Max: q.CachedMaxOffset, Cached: int(q.CachedCount), Locked: q.Locked, Dropped: q.Dropped,
			LastPull: millisTime(q.LastPullTime), LastHandled: millisTime(q.LastConsumeTime),
		})
	}
	for physical, s := range from.Statuses {
		if topic, ok := a.view.Names.LogicalTopic(physical); ok {
			info.Topics = append(info.Topics, TopicTraffic{
				Topic: topic, PullTime: millisDuration(s.PullRT), HandleTime: millisDuration(s.ConsumeRT),
				Received: s.PullTPS, Done: s.OKTPS, Failed: s.FailedTPS, FailedInHour: s.FailedMessages,
			})
		}
	}
	slices.SortFunc(info.Queues, func(x, y RunningQueue) int {
		return cmp.Or(cmp.Compare(x.Queue.Topic, y.Queue.Topic), cmp.Compare(x.Queue.Broker, y.Queue.Broker), cmp.Compare(x.Queue.ID, y.Queue.ID))
	})
	slices.SortFunc(info.Topics, func(x, y TopicTraffic) int { return cmp.Compare(x.Topic, y.Topic) })
	return info
}

func millisTime(ms int64) time.Time {
	if ms <= 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms)
}

func millisDuration(ms float64) time.Duration { return time.Duration(ms * float64(time.Millisecond)) }
