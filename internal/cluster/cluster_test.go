package cluster_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/rocketkit/rocketkit/internal/cluster"
	"github.com/rocketkit/rocketkit/internal/frame"
	"github.com/rocketkit/rocketkit/internal/protocol"
	"github.com/rocketkit/rocketkit/internal/remoting"
	"github.com/rocketkit/rocketkit/internal/route"
	"github.com/rocketkit/rocketkit/tenant"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// network is servers in memory: each request goes to answer.
type network struct {
	answer func(c *conn, req *frame.Frame) // on a goroutine of its own

	mu    sync.Mutex
	down  map[string]bool
	conns []*conn
	seen  []request
	group sync.WaitGroup
}

type request struct {
	address string
	*frame.Frame
	at time.Time
}

type conn struct {
	address string
	nc      net.Conn
	writing sync.Mutex
	answers chan *frame.Frame // to requests of the server's
}

func (n *network) Dial(_ context.Context, _, address string) (net.Conn, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.down[address] {
		return nil, errors.New("connection refused")
	}
	near, far := net.Pipe()
	c := &conn{address: address, nc: far, answers: make(chan *frame.Frame, 16)}
	n.conns = append(n.conns, c)
	n.group.Go(func() {
		defer far.Close()
		r := bufio.NewReader(far)
		for {
			req, err := frame.Read(r)
			if err != nil {
				return
			}
			if req.IsAnswer() {
				c.answers <- req
				continue
			}
			n.mu.Lock()
			n.seen = append(n.seen, request{address, req, time.Now()})
			n.mu.Unlock()
			n.group.Go(func() { n.answer(c, req) })
		}
	})
	return near, nil
}

func (c *conn) send(f *frame.Frame) {
	b, err := frame.Append(nil, f)
	if err != nil {
		panic(err)
	}
	c.writing.Lock()
	defer c.writing.Unlock()
	_, _ = c.nc.Write(b)
}

func (c *conn) reply(req, answer *frame.Frame) {
	out := *answer
	out.Opaque, out.Flag = req.Opaque, 1
	c.send(&out)
}

func (n *network) close() {
	n.mu.Lock()
	conns := slices.Clone(n.conns)
	n.mu.Unlock()
	for _, c := range conns {
		_ = c.nc.Close()
	}
	n.group.Wait()
}

// to gives what was sent to an address with a code.
func (n *network) to(address string, code int32) []request {
	n.mu.Lock()
	defer n.mu.Unlock()
	var some []request
	for _, r := range n.seen {
		if r.address == address && r.Code == code {
			some = append(some, r)
		}
	}
	return some
}

func (n *network) connTo(address string) *conn {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, c := range slices.Backward(n.conns) {
		if c.address == address {
			return c
		}
	}
	return nil
}

func jsonBody(v any) *frame.Frame {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return &frame.Frame{Body: b}
}

// topicOnTwo is a route on a, with a replica, and on b.
var topicOnTwo = jsonBody(protocol.TopicRoute{
	Queues: []protocol.QueueData{{Broker: "a", ReadQueues: 1, WriteQueues: 1, Perm: 6}, {Broker: "b", ReadQueues: 1, WriteQueues: 1, Perm: 6}},
	Brokers: []protocol.BrokerData{
		{Name: "a", Addresses: map[int64]string{0: "a:1", 1: "a:2"}}, {Name: "b", Addresses: map[int64]string{0: "b:1"}},
	},
})

// well answers routes and takes everything else.
func well(c *conn, req *frame.Frame) {
	if req.Code == protocol.ReqGetRoute {
		c.reply(req, topicOnTwo)
		return
	}
	c.reply(req, &frame.Frame{})
}

func open(t *testing.T, n *network, nameServers ...string) *cluster.View {
	t.Helper()
	return openWith(t, n, func(c *cluster.Config) {
		if len(nameServers) > 0 {
			c.NameServers = nameServers
		}
	})
}

// openWith is open with other settings.
func openWith(t *testing.T, n *network, change func(*cluster.Config)) *cluster.View {
	t.Helper()
	if n.down == nil {
		n.down = map[string]bool{}
	}
	names, err := tenant.New("red")
	if err != nil {
		t.Fatal(err)
	}
	cfg := cluster.Config{
		NameServers: []string{"ns:1"}, ClientID: "me", RequestTimeout: 3 * time.Second, Dial: n.Dial, Log: slog.New(slog.DiscardHandler),
	}
	change(&cfg)
	c := cluster.New(cfg)
	t.Cleanup(func() {
		_ = c.Close()
		n.close()
	})
	return c.View(names, nil)
}

func knowTopic(t *testing.T, v *cluster.View) {
	t.Helper()
	if _, err := v.Route(t.Context(), "red%t"); err != nil {
		t.Fatal(err)
	}
}

func consumerIn(group string) cluster.Member {
	return cluster.Member{Group: group, Consumer: &protocol.ConsumerData{Group: group}}
}

// groupsIn lists the groups of a heartbeat.
func groupsIn(t *testing.T, r request) (consumers, producers []string) {
	t.Helper()
	beat, err := protocol.ParseHeartbeat(r.Frame)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range beat.Consumers {
		consumers = append(consumers, c.Group)
	}
	for _, p := range beat.Producers {
		producers = append(producers, p.Group)
	}
	slices.Sort(consumers)
	slices.Sort(producers)
	return consumers, producers
}

func TestJoinIsHeardEverywhere(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := &network{answer: well}
		v := open(t, n)
		knowTopic(t, v)
		time.Sleep(time.Minute)
		if len(n.to("a:1", protocol.ReqHeartbeat)) != 0 {
			t.Error("a heartbeat of nobody")
		}
		if err := v.Join(t.Context(), cluster.Member{Group: "red%p"}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if len(n.to("a:1", protocol.ReqHeartbeat)) == 0 || len(n.to("b:1", protocol.ReqHeartbeat)) == 0 {
			t.Error("a master has not heard of the producer")
		}
		if len(n.to("a:2", protocol.ReqHeartbeat)) != 0 {
			t.Error("a replica has heard of a producer")
		}
		if err := v.Join(t.Context(), consumerIn("red%g")); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		for _, address := range []string{"a:1", "a:2", "b:1"} {
			beats := n.to(address, protocol.ReqHeartbeat)
			if len(beats) == 0 {
				t.Errorf("%s has not heard of the consumer", address)
				continue
			}
			consumers, producers := groupsIn(t, beats[len(beats)-1])
			if !slices.Equal(consumers, []string{"red%g"}) || !slices.Equal(producers, []string{"red%p"}) {
				t.Errorf("%s heard of %v and %v", address, consumers, producers)
			}
		}
		before := len(n.to("b:1", protocol.ReqHeartbeat))
		time.Sleep(2*time.Minute + time.Second)
		if beats := len(n.to("b:1", protocol.ReqHeartbeat)) - before; beats != 4 {
			t.Errorf("%d heartbeats in 2 minutes, want 4", beats)
		}
	})
}

// TestReconnectIsABeat: a broker that ended the connection has forgotten us, and hears of us with the next one.
func TestReconnectIsABeat(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := &network{answer: well}
		v := open(t, n)
		knowTopic(t, v)
		if err := v.Join(t.Context(), consumerIn("red%g")); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		before := len(n.to("a:1", protocol.ReqHeartbeat))
		_ = n.connTo("a:1").nc.Close()
		synctest.Wait()
		if _, err := v.Invoke(t.Context(), "a:1", protocol.ConsumerList{Group: "red%g"}.Frame()); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if after := len(n.to("a:1", protocol.ReqHeartbeat)); after != before+1 {
			t.Errorf("%d heartbeats after the reconnect, want 1", after-before)
		}
		// A name server is none's broker.
		if len(n.to("ns:1", protocol.ReqHeartbeat)) != 0 {
			t.Error("a name server got a heartbeat")
		}
	})
}

func TestJoinTwice(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		v := open(t, &network{answer: well})
		m := consumerIn("red%g")
		if err := v.Join(t.Context(), m); err != nil {
			t.Fatal(err)
		}
		err := v.Join(t.Context(), m)
		if !errors.Is(err, cluster.ErrMember) || strings.Contains(err.Error(), "red%") {
			t.Errorf("error %v", err)
		}
		for _, other := range []cluster.Member{{Group: "red%g"}, consumerIn("blue%g")} {
			if err := v.Join(t.Context(), other); err != nil {
				t.Errorf("another member: %v", err)
			}
		}
		if err := v.Leave(t.Context(), m); err != nil {
			t.Error(err)
		}
		if err := v.Join(t.Context(), m); err != nil {
			t.Errorf("after leaving: %v", err)
		}
	})
}

func TestLeave(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := &network{}
		n.answer = func(c *conn, req *frame.Frame) {
			if c.address == "a:1" && req.Code == protocol.ReqUnregister {
				return // takes it and never answers
			}
			well(c, req)
		}
		v := open(t, n)
		knowTopic(t, v)
		consumer, producer := consumerIn("red%g"), cluster.Member{Group: "red%p"}
		for _, m := range []cluster.Member{consumer, producer} {
			if err := v.Join(t.Context(), m); err != nil {
				t.Fatal(err)
			}
		}
		start := time.Now()
		if err := v.Leave(t.Context(), consumer); err == nil || !strings.Contains(err.Error(), "a:1") {
			t.Errorf("error %v", err)
		}
		for _, address := range []string{"a:1", "a:2", "b:1"} {
			left := n.to(address, protocol.ReqUnregister)
			if len(left) != 1 {
				t.Fatalf("%s was told %d times", address, len(left))
			}
			if late := left[0].at.Sub(start); late > 0 {
				t.Errorf("%s was told after %v", address, late)
			}
			group, _ := left[0].Fields.Get("consumerGroup")
			id, _ := left[0].Fields.Get("clientID")
			if _, more := left[0].Fields.Get("producerGroup"); more || group != "red%g" || id != "me" {
				t.Errorf("%s was told %v", address, left[0].Fields)
			}
		}
		time.Sleep(time.Minute)
		beats := n.to("b:1", protocol.ReqHeartbeat)
		if consumers, producers := groupsIn(t, beats[len(beats)-1]); len(consumers) != 0 || len(producers) != 1 {
			t.Errorf("later heartbeats tell of %v, %v", consumers, producers)
		}
	})
}

// TestLeaveAfterABeatUnderWay: brokers handle heartbeats and farewells on different threads. A farewell must not overtake a
// heartbeat that still tells of the member: the broker would keep a ghost for 120 s, whose queues nobody reads.
func TestLeaveAfterABeatUnderWay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		member := map[string]bool{}
		n := &network{}
		n.answer = func(c *conn, req *frame.Frame) {
			switch req.Code {
			case protocol.ReqHeartbeat:
				time.Sleep(500 * time.Millisecond) // it makes topics and tells the name servers
				beat, err := protocol.ParseHeartbeat(req)
				mu.Lock()
				member[c.address] = err == nil && len(beat.Consumers) > 0
				mu.Unlock()
			case protocol.ReqUnregister:
				mu.Lock()
				member[c.address] = false
				mu.Unlock()
			}
			well(c, req)
		}
		v := open(t, n)
		knowTopic(t, v)
		m := consumerIn("red%g")
		ctx, cancel := context.WithCancel(t.Context())
		joined := make(chan struct{})
		go func() {
			defer close(joined)
			_ = v.Join(ctx, m)
		}()
		time.Sleep(100 * time.Millisecond)
		cancel() // Run was told to stop while it joined
		<-joined
		if err := v.Leave(t.Context(), m); err != nil {
			t.Error(err)
		}
		time.Sleep(5 * time.Second)
		mu.Lock()
		defer mu.Unlock()
		for address, still := range member {
			if still {
				t.Errorf("%s counts the member that left", address)
			}
		}
	})
}

func TestDispatch(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := &network{answer: well}
		v := open(t, n)
		knowTopic(t, v)
		var mu sync.Mutex
		var handled []string
		m := consumerIn("red%g")
		m.Handle = func(_ context.Context, broker string, req *frame.Frame) *frame.Frame {
			mu.Lock()
			defer mu.Unlock()
			handled = append(handled, broker+" "+protocol.RequestName(req.Code))
			return &frame.Frame{Body: []byte("{}")}
		}
		for _, m := range []cluster.Member{m, {Group: "red%p"}, consumerIn("red%mute")} {
			if err := v.Join(t.Context(), m); err != nil {
				t.Fatal(err)
			}
		}
		ask := func(code int32, field, group string) *frame.Frame {
			t.Helper()
			c := n.connTo("a:1")
			c.send(&frame.Frame{Code: code, Opaque: 7, Fields: frame.Fields{{Key: field, Value: group}}})
			select {
			case answer := <-c.answers:
				return answer
			case <-time.After(time.Second):
				t.Fatalf("request %d was not answered", code)
				return nil
			}
		}
		for _, r := range []struct {
			code  int32
			field string
		}{
			{protocol.ReqConsumersChanged, "consumerGroup"}, {protocol.ReqRunningInfo, "consumerGroup"}, {protocol.ReqConsumeDirectly, "consumerGroup"},
			{protocol.ReqResetClientOffset, "group"}, {protocol.ReqConsumerStatus, "group"},
		} {
			before := len(handled)
			if answer := ask(r.code, r.field, "red%g"); answer.Code != 0 || answer.Opaque != 7 {
				t.Errorf("%s: %+v", protocol.RequestName(r.code), answer)
			}
			if want := "a:1 " + protocol.RequestName(r.code); len(handled) != before+1 || handled[before] != want {
				t.Errorf("handled %v, want %s", handled[before:], want)
			}
		}
		for name, answer := range map[string]*frame.Frame{
			"unknown group": ask(protocol.ReqRunningInfo, "consumerGroup", "red%other"),
			"other tenant":  ask(protocol.ReqRunningInfo, "consumerGroup", "blue%g"),
			"a producer's":  ask(protocol.ReqRunningInfo, "consumerGroup", "red%p"),
			"no handler":    ask(protocol.ReqRunningInfo, "consumerGroup", "red%mute"),
			"no group":      ask(protocol.ReqRunningInfo, "nonsense", "red%g"),
			"unknown code":  ask(9999, "consumerGroup", "red%g"),
		} {
			if answer.Code == 0 {
				t.Errorf("%s: answered with success", name)
			}
		}
		if len(handled) != 5 {
			t.Errorf("handled %v", handled)
		}
	})
}

func TestClose(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := &network{}
		n.answer = func(c *conn, req *frame.Frame) {
			if req.Code != protocol.ReqPullMessage {
				well(c, req)
			}
		}
		v := open(t, n)
		knowTopic(t, v)
		if err := v.Join(t.Context(), consumerIn("red%g")); err != nil {
			t.Fatal(err)
		}
		failed := make(chan error, 1)
		go func() {
			_, err := v.Call(context.Background(), "a:1", &frame.Frame{Code: protocol.ReqPullMessage})
			failed <- err
		}()
		synctest.Wait()
		if err := v.Close(); err != nil {
			t.Error(err)
		}
		if err := <-failed; !errors.Is(err, remoting.ErrClosed) {
			t.Errorf("the call under way got %v", err)
		}
		if _, err := v.Invoke(t.Context(), "a:1", &frame.Frame{Code: 1}); !errors.Is(err, remoting.ErrClosed) {
			t.Errorf("a later call got %v", err)
		}
		if err := v.Close(); err != nil {
			t.Error(err)
		}
	})
}

func TestRemarksShowLogicalNames(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := &network{answer: func(c *conn, req *frame.Frame) {
			c.reply(req, &frame.Frame{Code: 17, Remark: "topic red%t not exist, %RETRY%red%g neither"})
		}}
		v := open(t, n)
		_, err := v.Invoke(t.Context(), "a:1", &frame.Frame{Code: protocol.ReqPullMessage})
		var refused *protocol.Error
		if !errors.As(err, &refused) || refused.Address != "a:1" || refused.Remark != "topic t not exist, %RETRY%g neither" {
			t.Errorf("error %v", err)
		}
	})
}

// TestNameServers: who is asked, in which order, and what counts as an answer.
func TestNameServers(t *testing.T) {
	t.Parallel()
	unknown := &frame.Frame{Code: protocol.CodeTopicNotExist, Remark: "no route"}
	notReady := &frame.Frame{Code: protocol.CodeSystemError, Remark: "name server not ready"}
	for name, test := range map[string]struct {
		first, second *frame.Frame // nil: doesn't answer
		want          error        // nil: a route
		text          string
		within        time.Duration
	}{
		"the first answers":               {topicOnTwo, topicOnTwo, nil, "", 0},
		"the first doesn't answer":        {nil, topicOnTwo, nil, "", 3 * time.Second},
		"the first has just started":      {unknown, topicOnTwo, nil, "", 0},
		"the first is not ready":          {notReady, topicOnTwo, nil, "", 0},
		"none knows the topic":            {unknown, unknown, route.ErrNoRoute, "", 0},
		"none answers":                    {nil, nil, context.DeadlineExceeded, "no name server answers", 6 * time.Second},
		"one unknown, one doesn't answer": {unknown, nil, route.ErrNoRoute, "", 3 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				n := &network{}
				n.answer = func(c *conn, req *frame.Frame) {
					answer := test.first
					if c.address == "ns:2" {
						answer = test.second
					}
					if answer != nil {
						c.reply(req, answer)
					}
				}
				v := open(t, n, "ns:1", "ns:2")
				start := time.Now()
				_, err := v.Route(t.Context(), "red%t")
				switch {
				case test.want == nil && err != nil:
					t.Errorf("error %v", err)
				case test.want != nil && (!errors.Is(err, test.want) || !strings.Contains(err.Error(), test.text) || strings.Contains(err.Error(), "red%")):
					t.Errorf("error %v, want %v", err, test.want)
				}
				if took := time.Since(start); took > test.within {
					t.Errorf("took %v, want %v", took, test.within)
				}
				if test.want != nil {
					return
				}
				before := len(n.to("ns:1", protocol.ReqGetRoute))
				if _, err := v.Route(t.Context(), "red%other"); err != nil {
					t.Errorf("another topic: %v", err)
				}
				if again := len(n.to("ns:1", protocol.ReqGetRoute)) - before; again != 0 && test.first != topicOnTwo {
					t.Error("the name server that gave no route is asked first again")
				}
			})
		})
	}
}

// TestNameServersDown are no obstacle to requests whose routes are known.
func TestNameServersDown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := &network{answer: well}
		v := open(t, n)
		knowTopic(t, v)
		n.mu.Lock()
		n.down["ns:1"] = true
		n.mu.Unlock()
		_ = n.connTo("ns:1").nc.Close()
		time.Sleep(20 * time.Minute)
		if master, err := v.Master(t.Context(), "red%t", "a"); err != nil || master != "a:1" {
			t.Errorf("%q, %v", master, err)
		}
		if _, err := v.Master(t.Context(), "red%t", "x"); err == nil || strings.Contains(err.Error(), "red%") || !strings.Contains(err.Error(), "topic t") {
			t.Errorf("error %v", err)
		}
	})
}
