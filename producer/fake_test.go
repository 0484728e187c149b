package producer_test

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/internal/frame"
	"github.com/rocketkit/rocketkit/internal/protocol"
	"github.com/rocketkit/rocketkit/producer"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const nameServer = "ns:9876"

// sent is a send request as a broker received it.
type sent struct {
	broker string
	topic  string
	queue  int
	fields frame.Fields
	props  protocol.Properties
	batch  bool
	oneWay bool
	body   []byte
}

// fake is a cluster in memory: one name server and a broker per name in its route, the broker "a" at "a:10911". By
// default a broker stores what it gets; tests script it with answer.
type fake struct {
	t testing.TB

	// answer gives a broker's answer to a send: a code, and a remark. nil, or code 0, stores it; hold never answers.
	answer func(s sent) (code int32, remark string)

	version int32 // that answers bear; 0 means 5.5.0

	// recall gives a broker's answer to a recall; by default all succeed.
	recall func(handle protocol.RecallHandle) (code int32, remark string)

	mu      sync.Mutex
	routes  map[string]protocol.TopicRoute // by physical topic
	down    map[string]bool                // addresses that can't be connected
	conns   map[net.Conn]string
	dials   int
	asked   int // for routes
	sends   []sent
	stored  []sent
	members []string // "join red%g", "leave red%g"
	offset  int64
	group   sync.WaitGroup
}

const hold = -1

// cluster makes a fake whose topic has queues of its own on each broker.
func cluster(t testing.TB, topic string, queues int, brokers ...string) *fake {
	t.Helper()
	f := &fake{t: t, routes: map[string]protocol.TopicRoute{}, down: map[string]bool{}, conns: map[net.Conn]string{}}
	f.setRoute(topic, queues, brokers...)
	return f
}

func (f *fake) setRoute(topic string, queues int, brokers ...string) {
	var r protocol.TopicRoute
	for _, b := range brokers {
		r.Queues = append(r.Queues, protocol.QueueData{Broker: b, ReadQueues: int32(queues), WriteQueues: int32(queues), Perm: 6})
		r.Brokers = append(r.Brokers, protocol.BrokerData{Cluster: "c", Name: b, Addresses: map[int64]string{0: b + ":10911"}})
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.routes[topic] = r
}

func (f *fake) forget(topic string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.routes, topic)
}

// stop ends the connections to an address and takes no new ones until start.
func (f *fake) stop(address string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.down[address] = true
	for c, a := range f.conns {
		if a == address {
			c.Close()
		}
	}
}

func (f *fake) start(address string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.down, address)
}

func (f *fake) Dial(_ context.Context, _, address string) (net.Conn, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.dials++
	if f.down[address] {
		return nil, errors.New("connection refused")
	}
	near, far := net.Pipe()
	f.conns[far] = address
	f.group.Go(func() { f.serve(far, address) })
	return near, nil
}

func (f *fake) serve(c net.Conn, address string) {
	defer func() {
		c.Close()
		f.mu.Lock()
		defer f.mu.Unlock()
		delete(f.conns, c)
	}()
	r := bufio.NewReader(c)
	var writing sync.Mutex
	for {
		req, err := frame.Read(r)
		if err != nil {
			return
		}
		f.group.Go(func() { // so that a slow answer holds no other
			answer := f.handle(strings.TrimSuffix(address, ":10911"), req)
			if answer == nil || req.IsOneWay() {
				return
			}
			answer.Opaque, answer.Flag, answer.Version = req.Opaque, 1, cmp.Or(f.version, 513)
			b, err := frame.Append(nil, answer)
			if err != nil {
				panic(err)
			}
			writing.Lock()
			defer writing.Unlock()
			_, _ = c.Write(b) // the client may be gone
		})
	}
}

func (f *fake) handle(broker string, req *frame.Frame) *frame.Frame {
	switch req.Code {
	case protocol.ReqGetRoute:
		return f.giveRoute(req)
	case protocol.ReqSendMessageV2, protocol.ReqSendBatch:
		return f.store(broker, req)
	case protocol.ReqRecall:
		return f.giveRecall(req)
	case protocol.ReqHeartbeat:
		h, err := protocol.ParseHeartbeat(req)
		if err != nil {
			panic(err)
		}
		for _, p := range h.Producers {
			f.note("join " + p.Group)
		}
	case protocol.ReqUnregister:
		group, _ := req.Fields.Get("producerGroup")
		f.note("leave " + group)
	}
	return &frame.Frame{}
}

func (f *fake) giveRecall(req *frame.Frame) *frame.Frame {
	text, _ := req.Fields.Get("recallHandle")
	handle, err := protocol.ParseRecallHandle(text)
	if err != nil {
		return &frame.Frame{Code: protocol.CodeIllegalOperation, Remark: err.Error()}
	}
	if f.recall != nil {
		if code, remark := f.recall(handle); code != 0 {
			return &frame.Frame{Code: code, Remark: remark}
		}
	}
	return &frame.Frame{Fields: frame.Fields{{Key: "msgId", Value: handle.ID}}}
}

func (f *fake) note(member string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.members = append(f.members, member)
}

func (f *fake) giveRoute(req *frame.Frame) *frame.Frame {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked++
	topic, _ := req.Fields.Get("topic")
	r, ok := f.routes[topic]
	if !ok {
		return &frame.Frame{Code: protocol.CodeTopicNotExist, Remark: "No topic route info in name server for the topic: " + topic}
	}
	body, err := json.Marshal(r)
	if err != nil {
		panic(err)
	}
	return &frame.Frame{Body: body}
}

func (f *fake) store(broker string, req *frame.Frame) *frame.Frame {
	get := func(key string) string { v, _ := req.Fields.Get(key); return v }
	queue, _ := strconv.Atoi(get("e"))
	s := sent{
		broker: broker, topic: get("b"), queue: queue, fields: req.Fields, props: protocol.Properties(get("i")),
		batch: req.Code == protocol.ReqSendBatch, oneWay: req.IsOneWay(), body: req.Body,
	}
	f.mu.Lock()
	f.sends = append(f.sends, s)
	f.mu.Unlock()
	code, remark := int32(0), ""
	if f.answer != nil {
		code, remark = f.answer(s)
	}
	if code == hold {
		return nil
	}
	if code != 0 && (code < 10 || code > 12) { // the three weaker ways to be stored
		return &frame.Frame{Code: code, Remark: remark}
	}
	n := 1
	if s.batch {
		messages, err := protocol.DecodeBatchMessages(s.body)
		if err != nil {
			panic(err)
		}
		n = len(messages)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.stored = append(f.stored, s)
	first := f.offset
	f.offset += int64(n)
	ids := make([]string, n)
	for i := range ids {
		ids[i] = fmt.Sprintf("%s#%d", broker, first+int64(i))
	}
	return &frame.Frame{Code: code, Fields: frame.Fields{
		{Key: "msgId", Value: strings.Join(ids, ",")},
		{Key: "queueId", Value: get("e")},
		{Key: "queueOffset", Value: strconv.FormatInt(first, 10)},
	}}
}

// seen returns the brokers in the order they got sends.
func (f *fake) seen() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var brokers []string
	for _, s := range f.sends {
		brokers = append(brokers, s.broker)
	}
	return brokers
}

func (f *fake) storedNow() []sent {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]sent(nil), f.stored...)
}

func (f *fake) count(of *int) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return *of
}

// client opens a Client on the fake that the test closes.
func (f *fake) client(tenant string) *rocketkit.Client {
	f.t.Helper()
	client, err := rocketkit.Open(rocketkit.Config{
		NameServers: []string{nameServer}, Tenant: tenant, Dial: f.Dial, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() {
		_ = client.Close(context.Background())
		f.group.Wait()
	})
	return client
}

// producer makes a Producer on the fake that the test closes.
func (f *fake) producer(tenant string, cfg producer.Config) *producer.Producer {
	f.t.Helper()
	p, err := producer.New(f.client(tenant), cfg)
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() { _ = p.Close(context.Background()) })
	return p
}
