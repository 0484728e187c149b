package engine

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/internal/frame"
	"github.com/rocketkit/rocketkit/internal/protocol"
	"github.com/rocketkit/rocketkit/internal/remoting"
	"github.com/rocketkit/rocketkit/mqtest"
)

// shared is a cluster with a group "g" of several members on a topic "t", and the traffic they share.
type shared struct {
	*mqtest.Cluster
	t    *testing.T
	logs *logRecorder

	mu      sync.Mutex
	counts  map[string]int
	last    time.Time
	longest time.Duration // between two messages
}

func share(t *testing.T, cfg mqtest.Config) *shared {
	t.Helper()
	s := &shared{t: t, logs: &logRecorder{}, counts: map[string]int{}}
	cfg.Logger = slog.New(slog.NewTextHandler(s.logs, nil))
	if cfg.Topics == nil {
		cfg.Topics = map[string]int{"t": 8}
	}
	s.Cluster = mqtest.New(t, cfg)
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(strings.Join(s.logs.lines(), "\n"))
		}
	})
	return s
}

// handle takes 2 ms for each message.
func (s *shared) handle(ctx context.Context, m *rocketkit.Message) error {
	if err := sleep(ctx, 2*time.Millisecond); err != nil {
		return err
	}
	s.add(string(m.Body()))
	return nil
}

func (s *shared) add(body string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.counts[body]++; !s.last.IsZero() {
		s.longest = max(s.longest, time.Since(s.last))
	}
	s.last = time.Now()
}

func (s *shared) handled() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.counts)
}

// stall is the longest time that no message was handled since it was last asked for.
func (s *shared) stall() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	longest := s.longest
	s.longest = 0
	return longest
}

// onceEach checks that n messages were handled, none of them twice.
func (s *shared) onceEach(n int) {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	repeated := 0
	for _, times := range s.counts {
		repeated += times - 1
	}
	if len(s.counts) != n || repeated > 0 {
		s.t.Errorf("%d of %d messages handled, %d of them again", len(s.counts), n, repeated)
	}
}

func (s *shared) open() *rocketkit.Client {
	s.t.Helper()
	client, err := rocketkit.Open(s.Config())
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = client.Close(context.Background()) })
	return client
}

// sharing is one member.
type sharing struct {
	*running
	id     string
	client *rocketkit.Client
}

// join adds a member and waits until it is ready.
func (s *shared) join(cfg Config) *sharing {
	s.t.Helper()
	client := s.open()
	r := &rig{t: s.t, client: client, logs: s.logs}
	return &sharing{running: r.run(cfg), id: client.ID(), client: client}
}

// traffic sends at an interval until it is told to stop, and then tells how many.
func (s *shared) traffic(every time.Duration) (stop func() int) {
	client := s.open()
	end, ended := make(chan struct{}), make(chan struct{})
	n := 0
	go func() {
		defer close(ended)
		for ; !isClosed(end); n++ {
			s.send(client, n)
			time.Sleep(every)
		}
	}()
	halt := sync.OnceValue(func() int { close(end); <-ended; return n })
	s.t.Cleanup(func() { halt() })
	return halt
}

// send sends a message to the queue that its number says, on the next broker while that one is away.
func (s *shared) send(client *rocketkit.Client, n int) {
	view := client.Cluster()
	for try := n; ; try++ {
		r, err := view.Route(context.Background(), "t")
		if err == nil && len(r.Write) > 0 {
			q := r.Write[try%len(r.Write)]
			address, _ := r.Master(q.Broker)
			_, err = view.Invoke(context.Background(), address, protocol.SendMessage{
				ProducerGroup: "p", Topic: "t", QueueID: q.ID, BrokerName: q.Broker, BornTime: time.Now().UnixMilli(),
				Body: fmt.Appendf(nil, "m%06d", n),
			}.Frame())
			if err == nil {
				return
			}
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// all waits until n messages have been handled.
func (s *shared) all(n int) {
	s.t.Helper()
	eventually(s.t, fmt.Sprint(n, " messages handled"), func() bool { return s.handled() >= n })
}

// owned lists the member's queues that are under way, without the retry topic's.
func (m *sharing) owned() (ids []protocol.Queue) {
	for _, q := range m.allQueues() {
		if q.topic != m.retry && q.current() != nil {
			ids = append(ids, q.id)
		}
	}
	slices.SortFunc(ids, protocol.Queue.Compare)
	return ids
}

func (m *sharing) lockWaits() (whom []string) {
	for _, q := range m.allQueues() {
		q.mu.Lock()
		if q.lockWait != "" {
			whom = append(whom, q.lockWait)
		}
		q.mu.Unlock()
	}
	return slices.Compact(slices.Sorted(slices.Values(whom)))
}

// die ends a member as kill -9 does: its connections break, and that is all.
func (m *sharing) die() {
	_ = m.client.Close(context.Background())
	_ = m.stop()
}

// evenly tells whether the members own all queues, each as many as the others.
func evenly(queues int, members ...*sharing) bool {
	seen := map[protocol.Queue]bool{}
	for _, m := range members {
		owned := m.owned()
		if len(owned) < queues/len(members) {
			return false
		}
		for _, id := range owned {
			seen[id] = true
		}
	}
	return len(seen) == queues
}

// TestHandoverRepeatsNothing: members come and go in order under load, from one to three and back, then each is
// replaced: every message is handled once, and the group never stands for a second.
func TestHandoverRepeatsNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := share(t, mqtest.Config{Brokers: 2, Topics: map[string]int{"t": 4}})
		first := s.join(config(s.handle))
		halt := s.traffic(4 * time.Millisecond)
		members := []*sharing{first}
		settle := func() {
			t.Helper()
			eventually(t, "queues shared out", func() bool { return evenly(8, members...) })
			time.Sleep(200 * time.Millisecond)
		}
		for range 2 {
			members = append(members, s.join(config(s.handle)))
			settle()
		}
		for range 3 { // a rolling restart
			members[0].mustStop()
			members = append(members[1:], s.join(config(s.handle)))
			settle()
		}
		for len(members) > 1 {
			members[0].mustStop()
			members = members[1:]
			settle()
		}
		n := halt()
		s.all(n)
		members[0].mustStop()
		s.onceEach(n)
		if stall := s.stall(); stall > time.Second {
			t.Errorf("nothing was handled for %v", stall)
		}
		if line := s.logs.find("level=WARN"); line != "" {
			t.Errorf("a warning: %s", line)
		}
	})
}

// TestGainWaitsForHandlers: who gains a queue waits for as long as a handler of its former owner runs, and says for whom.
func TestGainWaitsForHandlers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := share(t, mqtest.Config{Topics: map[string]int{"t": 2}})
		release := make(chan struct{})
		began := make(chan struct{}, 8)
		a := s.join(config(func(_ context.Context, m *rocketkit.Message) error {
			began <- struct{}{}
			<-release
			s.add(string(m.Body()))
			return nil
		}))
		sender := s.open()
		s.send(sender, 0)
		s.send(sender, 1)
		<-began
		<-began
		b := s.join(config(s.handle))
		eventually(t, "whom the newcomer waits for", func() bool { return slices.Equal(b.lockWaits(), []string{"lock held by " + a.id}) })
		time.Sleep(20 * time.Second)
		if len(b.owned()) != 0 {
			t.Error("the newcomer pulls while the former owner's handler runs")
		}
		close(release)
		eventually(t, "the queue handed over", func() bool { return evenly(2, a, b) })
		s.send(sender, 2)
		s.send(sender, 3)
		s.all(4)
		a.mustStop()
		b.mustStop()
		s.onceEach(4)
	})
}

// TestStopWhileWaiting: a member that waits for a lock stops at once and leaves no lock behind, though a request for it is
// under way.
func TestStopWhileWaiting(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := share(t, mqtest.Config{Topics: map[string]int{"t": 2}})
		release := make(chan struct{})
		began := make(chan struct{}, 8)
		a := s.join(config(func(context.Context, *rocketkit.Message) error {
			began <- struct{}{}
			<-release
			return nil
		}))
		sender := s.open()
		s.send(sender, 0)
		s.send(sender, 1)
		<-began
		<-began
		b := s.join(config(s.handle))
		eventually(t, "the newcomer waits", func() bool { return len(b.lockWaits()) == 1 })
		slow := s.Inject(mqtest.Fault{Request: mqtest.RequestLock, Client: b.id, Delay: time.Second})
		eventually(t, "a request for the lock under way", func() bool { return slow.Count() > 0 })
		close(release)
		time.Sleep(100 * time.Millisecond) // a has let go by the time the broker hears b
		start := time.Now()
		b.mustStop()
		if took := time.Since(start); took > 2*time.Second {
			t.Errorf("the stop took %v", took)
		}
		a.mustStop()
		if got := s.locked("broker-a", a.id, b.id); len(got) != 0 {
			t.Errorf("locks left behind: %v", got)
		}
	})
}

// locked lists the queues whose locks a stranger can't have, and takes the others: a member's are in use.
func (s *shared) locked(broker string, but ...string) (held []protocol.Queue) {
	s.t.Helper()
	view := s.open().Cluster()
	r, err := view.Route(context.Background(), "t")
	if err != nil {
		s.t.Fatal(err)
	}
	address, _ := r.Master(broker)
	answer, err := view.Invoke(context.Background(), address, protocol.LockQueues{Group: "g", ClientID: "stranger", Queues: r.Read}.Frame())
	if err != nil {
		s.t.Fatal(err)
	}
	free, err := protocol.ParseLockQueues(answer)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, q := range r.Read {
		if !slices.Contains(free, q) {
			held = append(held, q)
		}
	}
	return held
}

// TestDeadOwnerDelaysNobody: the lock of a member that was killed lasts another minute; who takes over doesn't wait.
func TestDeadOwnerDelaysNobody(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := share(t, mqtest.Config{})
		a, b := s.join(config(s.handle)), s.join(config(s.handle))
		halt := s.traffic(20 * time.Millisecond)
		eventually(t, "queues shared out", func() bool { return evenly(8, a, b) })
		time.Sleep(time.Second)
		s.stall()
		b.die()
		eventually(t, "its queues taken over", func() bool { return evenly(8, a) })
		time.Sleep(time.Second)
		if stall := s.stall(); stall > time.Second {
			t.Errorf("nothing was handled for %v", stall)
		}
		for _, q := range a.allQueues() {
			if !q.lockValid() {
				t.Errorf("%v: nobody else can have it, and it isn't valid", q.id)
			}
		}
		// Who joins within that minute waits for the new owner all the same, though that holds no lock of the broker.
		c := s.join(config(s.handle))
		eventually(t, "queues shared out again", func() bool { return evenly(8, a, c) })
		time.Sleep(2 * time.Minute) // by then the locks are theirs
		if got := len(s.locked("broker-a")); got != 8 {
			t.Errorf("%d queues locked, want 8", got)
		}
		n := halt()
		s.all(n)
		a.mustStop()
		c.mustStop()
		if repeated := s.repeated(); repeated > 100 { // by the kill alone
			t.Errorf("%d handled again", repeated)
		}
	})
}

func (s *shared) repeated() (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, times := range s.counts {
		n += times - 1
	}
	return n
}

// stranger is a member that doesn't lock: its heartbeats are all it does, and it answers no requests.
type stranger struct {
	client  *remoting.Client
	address string
}

func (s *shared) stranger(id string) *stranger {
	s.t.Helper()
	cfg := s.Config()
	c := &stranger{client: remoting.New(remoting.Config{Dial: cfg.Dial})}
	s.t.Cleanup(func() { _ = c.client.Close() })
	r, err := s.open().Cluster().Route(context.Background(), "t")
	if err != nil {
		s.t.Fatal(err)
	}
	c.address, _ = r.Master("broker-a")
	sub, _ := protocol.SubscriptionFor("t", "*")
	retry, _ := protocol.SubscriptionFor("%RETRY%g", "*")
	c.call(s.t, protocol.Heartbeat{ClientID: id, Consumers: []protocol.ConsumerData{
		{Group: "g", Subscriptions: []protocol.SubscriptionData{sub, retry}},
	}}.Frame())
	return c
}

func (c *stranger) call(t *testing.T, req *frame.Frame) {
	t.Helper()
	answer, err := c.client.Call(context.Background(), c.address, req)
	if err == nil {
		err = protocol.Check(req.Code, answer)
	}
	if err != nil {
		t.Error(err)
	}
}

// TestStrangersDelayNobody: members that don't lock, and answer no questions, hand over the old way: at once.
func TestStrangersDelayNobody(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := share(t, mqtest.Config{})
		a := s.join(config(s.handle))
		halt := s.traffic(4 * time.Millisecond)
		other := s.stranger("zz")
		eventually(t, "half the queues given up", func() bool { return len(a.owned()) == 4 })
		other.call(t, protocol.Unregister{ClientID: "zz", ConsumerGroup: "g"}.Frame())
		start := time.Now()
		eventually(t, "its queues taken", func() bool { return len(a.owned()) == 8 })
		if took := time.Since(start); took > time.Second {
			t.Errorf("to take over from one that doesn't lock took %v", took)
		}
		// And while it is there, one that died isn't waited for either: it says that it has nothing.
		b := s.join(config(s.handle))
		s.stranger("zz")
		eventually(t, "queues shared out", func() bool { return len(a.owned())+len(b.owned()) == 6 && len(b.owned()) > 1 })
		b.die()
		start = time.Now()
		eventually(t, "the dead one's queues taken", func() bool { return len(a.owned()) == 4 })
		if took := time.Since(start); took > time.Second {
			t.Errorf("to take over from a dead member took %v", took)
		}
		halt()
		a.mustStop()
	})
}

// TestStrangersBreakOrder: who doesn't lock doesn't wait for the one who has the queue. A message is with both at once, and
// what follows it is with the stranger before the former owner has done; docs/ordering.md warns of it.
func TestStrangersBreakOrder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := share(t, mqtest.Config{Topics: map[string]int{"t": 2}})
		release, began := make(chan struct{}), make(chan struct{}, 8)
		cfg := config(func(_ context.Context, m *rocketkit.Message) error {
			began <- struct{}{}
			<-release
			s.add(string(m.Body()))
			return nil
		})
		ordered := cfg.Topics["t"]
		ordered.Order = OrderQueue
		cfg.Topics["t"] = ordered
		a := s.join(cfg)
		sender := s.open()
		for n := range 4 {
			s.send(sender, n)
		}
		<-began
		<-began
		other := s.stranger("zz")
		eventually(t, "half the queues given up", func() bool { return len(a.owned()) == 1 })
		answer, err := other.client.Call(t.Context(), other.address, protocol.PullMessage{
			Group: "g", Topic: "t", QueueID: 1, MaxMessages: pullBatch, SubVersion: 1, ExpressionType: "TAG", BrokerName: "broker-a",
		}.Frame())
		if err != nil {
			t.Fatal(err)
		}
		result, err := protocol.ParsePullResult(answer)
		if err != nil {
			t.Fatal(err)
		}
		messages, err := protocol.DecodeMessages(result.Body, "t")
		if err != nil || len(messages) != 2 || s.handled() != 0 {
			t.Errorf("the stranger got %d messages, %v, while the owner's handler was at the first; %d were handled", len(messages), err, s.handled())
		}
		close(release)
		a.mustStop()
	})
}

// TestFrozenMember: one that answers nobody keeps what it has until its lock lapses or its broker forgets it, the others
// work on, and when it comes back it has nothing to say any more: it commits nothing and begins where they are.
func TestFrozenMember(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := share(t, mqtest.Config{})
		a, b := s.join(config(s.handle)), s.join(config(s.handle))
		halt := s.traffic(50 * time.Millisecond)
		eventually(t, "queues shared out", func() bool { return evenly(8, a, b) })
		time.Sleep(time.Second)
		frozen := s.Partition(b.id, "")
		time.Sleep(time.Second)
		c := s.join(config(s.handle)) // it gains some of b's, as nobody has missed b yet
		eventually(t, "whom it waits for", func() bool { return len(c.lockWaits()) > 0 })
		for _, whom := range c.lockWaits() {
			if !strings.Contains(whom, b.id) || !strings.Contains(whom, "doesn't answer") {
				t.Errorf("it waits for a %s", whom)
			}
		}
		start := time.Now()
		for len(c.lockWaits()) > 0 && time.Since(start) < 2*time.Minute {
			time.Sleep(100 * time.Millisecond)
		}
		if took := time.Since(start); took > time.Minute {
			t.Errorf("it waited %v for a lock that lasts 60 s", took)
		}
		for _, q := range b.allQueues() {
			if q.lockValid() {
				t.Errorf("%v: the frozen member takes its lock for valid after %v", q.id, time.Since(start))
			}
		}
		time.Sleep(3 * time.Minute) // the broker has forgotten it after two
		if !evenly(8, a, c) {
			t.Errorf("a has %v and c %v", a.owned(), c.owned())
		}
		n := halt()
		s.all(n)
		time.Sleep(time.Second)
		before := s.offsets()
		frozen.Heal()
		time.Sleep(30 * time.Second)
		for q, offset := range s.offsets() {
			if offset != before[q] {
				t.Errorf("%v: committed %d, where the new owner had %d", q, offset, before[q])
			}
		}
		if !evenly(8, a, b, c) {
			t.Errorf("a has %v, b %v and c %v", a.owned(), b.owned(), c.owned())
		}
		sender, repeated := s.open(), s.repeated()
		for i := range 100 {
			s.send(sender, n+i)
		}
		s.all(n + 100)
		if again := s.repeated() - repeated; again > 0 {
			t.Errorf("after its return %d messages were handled twice", again)
		}
		t.Logf("%d of %d handled again", repeated, n)
		a.mustStop()
		b.mustStop()
		c.mustStop()
	})
}

// offsets reads what the group has committed.
func (s *shared) offsets() map[protocol.Queue]int64 {
	s.t.Helper()
	view := s.open().Cluster()
	all := map[protocol.Queue]int64{}
	r, err := view.Route(context.Background(), "t")
	if err != nil {
		s.t.Fatal(err)
	}
	for _, q := range r.Read {
		address, _ := r.Master(q.Broker)
		answer, err := view.Call(context.Background(), address, protocol.QueryOffset{Group: "g", Topic: "t", QueueID: q.ID}.Frame())
		if err != nil {
			s.t.Fatal(err)
		}
		all[q], _, _ = protocol.ParseQueryOffset(answer)
	}
	return all
}

// TestJoinAndLeaveAtOnce: a queue that is lost and regained while a handler of its first ownership runs is no other
// member's in between, and its lock is given back with its last ownership.
func TestJoinAndLeaveAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := share(t, mqtest.Config{})
		var slow atomic.Int32
		a := s.join(config(func(ctx context.Context, m *rocketkit.Message) error {
			if slow.Add(1)%50 == 0 {
				if err := sleep(ctx, 3*time.Second); err != nil {
					return err
				}
			}
			return s.handle(ctx, m)
		}))
		halt := s.traffic(4 * time.Millisecond)
		for range 10 {
			b := s.join(config(s.handle))
			time.Sleep(100 * time.Millisecond)
			b.mustStop()
		}
		n := halt()
		s.all(n)
		a.mustStop()
		s.onceEach(n)
		if got := s.locked("broker-a"); len(got) != 0 {
			t.Errorf("locks left behind: %v", got)
		}
	})
}

// TestBrokerRestartWithTwoMembers: the broker forgets members and locks; nobody takes more than his share when it comes
// back, and nothing is handled twice. One that leaves in order is not waited for.
func TestBrokerRestartWithTwoMembers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := share(t, mqtest.Config{})
		a, b := s.join(config(s.handle)), s.join(config(s.handle))
		halt := s.traffic(20 * time.Millisecond)
		eventually(t, "queues shared out", func() bool { return evenly(8, a, b) })
		for range 3 {
			if err := s.Stop("broker-a"); err != nil {
				t.Fatal(err)
			}
			time.Sleep(7 * time.Second)
			if err := s.Restart("broker-a"); err != nil {
				t.Fatal(err)
			}
			start, handled := time.Now(), s.handled()
			eventually(t, "messages handled", func() bool { return s.handled() > handled+16 })
			if took := time.Since(start); took > 3*time.Second {
				t.Errorf("it took %v until messages were handled again", took)
			}
			for time.Since(start) < 2*memberGrace {
				if len(a.owned()) != 4 || len(b.owned()) != 4 {
					t.Errorf("%v after the restart one has %d and the other %d queues", time.Since(start), len(a.owned()), len(b.owned()))
				}
				time.Sleep(50 * time.Millisecond)
			}
			if got := len(s.locked("broker-a")); got != 8 {
				t.Errorf("%d queues locked, want 8", got)
			}
		}
		b.mustStop()
		start := time.Now()
		eventually(t, "all queues taken", func() bool { return evenly(8, a) })
		if took := time.Since(start); took > time.Second {
			t.Errorf("it took %v to take over from one that left in order", took)
		}
		n := halt()
		s.all(n)
		a.mustStop()
		s.onceEach(n)
	})
}

// TestMemberThatDiesWithTheBroker is counted for as long as memberGrace, and no longer.
func TestMemberThatDiesWithTheBroker(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := share(t, mqtest.Config{})
		a, b := s.join(config(s.handle)), s.join(config(s.handle))
		eventually(t, "queues shared out", func() bool { return evenly(8, a, b) })
		if err := s.Stop("broker-a"); err != nil {
			t.Fatal(err)
		}
		b.die()
		time.Sleep(time.Second)
		if err := s.Restart("broker-a"); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		eventually(t, "all queues taken", func() bool { return evenly(8, a) })
		if took := time.Since(start); took < memberGrace-time.Second || took > memberGrace+3*time.Second {
			t.Errorf("after %v, want about %v", took, memberGrace)
		}
		a.mustStop()
	})
}

// TestOneOfTwoBrokersAway: its queues stay whose they are, go on within two seconds of its coming back, and what was
// handled before it went is not repeated, though it couldn't be committed.
func TestOneOfTwoBrokersAway(t *testing.T) {
	t.Parallel()
	for name, away := range map[string]time.Duration{"briefly": 5 * time.Second, "for minutes": 2 * time.Minute} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := share(t, mqtest.Config{Brokers: 2, Topics: map[string]int{"t": 4}})
				cfg := config(func(ctx context.Context, m *rocketkit.Message) error {
					if err := sleep(ctx, 300*time.Millisecond); err != nil { // so that some run when the broker goes
						return err
					}
					return s.handle(ctx, m)
				})
				cfg.Topics["t"] = Topic{Workers: 32, Handle: cfg.Topics["t"].Handle}
				a, b := s.join(cfg), s.join(cfg)
				halt := s.traffic(20 * time.Millisecond)
				eventually(t, "queues shared out", func() bool { return evenly(8, a, b) })
				time.Sleep(time.Second)
				if err := s.Stop("broker-b"); err != nil {
					t.Fatal(err)
				}
				start := time.Now()
				eventually(t, "the other broker's queues shared out anew", func() bool {
					return onBroker(a.owned(), "broker-a") == 2 && onBroker(b.owned(), "broker-a") == 2
				})
				if took := time.Since(start); took > 2*time.Second {
					t.Errorf("it took %v to notice that a broker is away", took)
				}
				time.Sleep(away)
				if err := s.Restart("broker-b"); err != nil {
					t.Fatal(err)
				}
				start = time.Now()
				eventually(t, "all queues pulled", func() bool { return evenly(8, a, b) && pulledSince(start, "broker-b", a, b) == 4 })
				if took := time.Since(start); took > lookMost+time.Second || away < 10*time.Second && took > 2*time.Second {
					t.Errorf("it took %v until its queues were pulled", took)
				}
				n := halt()
				s.all(n)
				a.mustStop()
				b.mustStop()
				s.onceEach(n)
			})
		})
	}
}

const lookMost = 5 * time.Second // between two looks at a broker that has been away for long

func onBroker(ids []protocol.Queue, broker string) (n int) {
	for _, id := range ids {
		if id.Broker == broker {
			n++
		}
	}
	return n
}

func pulledSince(start time.Time, broker string, members ...*sharing) int {
	pulled := map[protocol.Queue]bool{}
	for _, m := range members {
		for _, q := range m.allQueues() {
			if s := q.snapshot(); q.id.Broker == broker && q.topic != m.retry && s.LastPull.After(start) {
				pulled[q.id] = true
			}
		}
	}
	return len(slices.Collect(maps.Keys(pulled)))
}

// TestRunningInfoOfAQueueLetGo: who asks sees it locked until it has been let go.
func TestRunningInfoOfAQueueLetGo(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := share(t, mqtest.Config{Topics: map[string]int{"t": 2}})
		release := make(chan struct{})
		a := s.join(config(func(context.Context, *rocketkit.Message) error { <-release; return nil }))
		sender := s.open()
		s.send(sender, 0)
		s.send(sender, 1)
		eventually(t, "both handled", func() bool { return a.Snapshot().Topics["t"].Active == 2 })
		s.stranger("zz")
		eventually(t, "one queue given up", func() bool { return len(a.owned()) == 1 })
		dropped := 0
		for id, q := range a.runningInfo().Queues {
			if id.Topic == "t" && !q.Locked {
				t.Errorf("%v isn't locked", id)
			}
			if q.Dropped {
				dropped++
			}
			if q.Locked && q.LastLockTime == 0 {
				t.Errorf("%v was locked at no time", id)
			}
		}
		if dropped != 1 {
			t.Errorf("%d queues marked as let go, want 1", dropped)
		}
		close(release)
		eventually(t, "the queue let go", func() bool {
			_, lost := a.ownedAndLost()
			return len(lost) == 0
		})
		a.mustStop()
	})
}

// TestNoLocksToBeHad: a broker that refuses the requests themselves is consumed from without.
func TestNoLocksToBeHad(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := share(t, mqtest.Config{})
		s.Inject(mqtest.Fault{Request: mqtest.RequestLock, Code: 16}) // NO_PERMISSION
		a := s.join(config(s.handle))
		halt := s.traffic(50 * time.Millisecond)
		time.Sleep(90 * time.Second)
		for _, q := range a.allQueues() {
			if !q.lockValid() {
				t.Errorf("%v isn't valid", q.id)
			}
		}
		n := halt()
		s.all(n)
		a.mustStop()
		s.onceEach(n)
		if n := s.logs.count("no queue locks"); n != 1 {
			t.Errorf("logged %d times, want once", n)
		}
	})
}

// TestMessageStoredAnew: one that its broker has deleted before it could be sent back is kept, as a dead letter: the
// group holds queue locks, and brokers of 5.x take plain sends to its retry topic for that.
func TestMessageStoredAnew(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := share(t, mqtest.Config{Topics: map[string]int{"t": 1}})
		sender := s.open()
		s.send(sender, 0)
		s.send(sender, 1)
		a := s.join(config(func(_ context.Context, m *rocketkit.Message) error {
			if m.Offset() > 0 {
				return nil
			}
			if err := s.Expire("t", 1); err != nil {
				t.Error(err)
			}
			return errTest
		}))
		if err := s.WaitDeadLetters(t.Context(), "g", 1); err != nil {
			t.Fatal(err)
		}
		if got := string(s.DeadLetters("g")[0].Body()); got != "m000000" {
			t.Errorf("dead letter %q", got)
		}
		eventually(t, "that in the log", func() bool { return s.logs.find("is kept as a dead letter") != "" })
		a.mustStop()
		if got := s.offsets()[protocol.Queue{Topic: "t", Broker: "broker-a"}]; got != 2 {
			t.Errorf("committed %d, want 2", got)
		}
	})
}

// TestQueueInDoubtHoldsUpNoOther: a queue whose lock is in doubt isn't committed; the others of its broker are.
func TestQueueInDoubtHoldsUpNoOther(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		const queues = 40
		r.Topic(topicT, queues)
		var doubted atomic.Bool
		release := make(chan struct{})
		var handled atomic.Int64
		cfg := config(func(context.Context, *rocketkit.Message) error { <-release; handled.Add(1); return nil })
		cfg.Topics["t"] = Topic{Workers: queues, Handle: cfg.Topics["t"].Handle}
		r.Script(func(_ *scriptedConn, req *frame.Frame) *frame.Frame {
			if req.Code == protocol.ReqLockQueues && doubted.Load() {
				return noAnswer
			}
			return nil
		})
		e := r.run(cfg)
		for i := range queues {
			r.Send(topicT, i, fmt.Sprint(i))
		}
		time.Sleep(time.Second)
		doubted.Store(true)
		all := e.allQueues()
		slices.SortFunc(all, func(a, b *queue) int { return a.id.Compare(b.id) })
		for _, q := range all {
			if q.id.Topic == topicT && q.id.ID%8 == 0 {
				q.lock.assured.Store(0)
			}
		}
		close(release)
		time.Sleep(10 * time.Second)
		for i := range queues {
			want := int64(1)
			if i%8 == 0 {
				want = 0
			}
			if got := r.Offset(groupG, topicT, i); got != want {
				t.Errorf("queue %d: committed %d, want %d", i, got, want)
			}
		}
		doubted.Store(false)
		e.mustStop()
		for i := range queues {
			if got := r.Offset(groupG, topicT, i); got != 1 {
				t.Errorf("queue %d: committed %d at the stop, want 1", i, got)
			}
		}
	})
}
