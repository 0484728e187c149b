package engine

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/internal/frame"
	"github.com/rocketkit/rocketkit/internal/protocol"
)

// scripted is a name server and brokers in memory: as much of RocketMQ as a consumer meets, and a script that may answer
// any request in its place.
type scripted struct {
	// Script answers a request instead of the broker; nil lets the broker answer. It runs on the connection's reader,
	// unless Later is used.
	mu     sync.Mutex
	script func(c *scriptedConn, req *frame.Frame) *frame.Frame

	down    map[string]bool // addresses that can't be dialed
	closed  bool            // none can
	conns   map[*scriptedConn]bool
	brokers map[string]*scriptedBroker // by name
	seen    []seenRequest
	group   sync.WaitGroup
}

type seenRequest struct {
	code   int32
	broker string
	fields frame.Fields
	at     time.Time
}

const nameServer = "ns:9876"

// noAnswer is what a script returns to leave a request unanswered.
var noAnswer = &frame.Frame{}

type scriptedBroker struct {
	cluster *scripted
	name    string
	address string

	topics  map[string][]*scriptedQueue
	log     []*protocol.Message // by commit-log offset
	offsets map[offsetKey]int64
	resets  map[offsetKey]int64 // not yet picked up by a pull
	groups  map[string]bool
	members map[string]map[string]*scriptedConn // group, client id; a nil connection never hears anything
	fresh   chan struct{}                       // closed when a message is stored
	noGroup bool                                // autoCreateSubscriptionGroup=false
}

type offsetKey struct {
	group, topic string
	queue        int32
}

type scriptedQueue struct {
	first    int64 // offset of messages[0]
	messages []*protocol.Message
}

func (q *scriptedQueue) end() int64 { return q.first + int64(len(q.messages)) }

func newScripted(names ...string) *scripted {
	s := &scripted{down: map[string]bool{}, conns: map[*scriptedConn]bool{}, brokers: map[string]*scriptedBroker{}}
	for _, name := range names {
		s.brokers[name] = &scriptedBroker{
			cluster: s, name: name, address: name + ":10911",
			topics: map[string][]*scriptedQueue{}, offsets: map[offsetKey]int64{}, resets: map[offsetKey]int64{},
			groups: map[string]bool{}, members: map[string]map[string]*scriptedConn{}, fresh: make(chan struct{}),
		}
	}
	return s
}

// Script replaces the script.
func (s *scripted) Script(script func(c *scriptedConn, req *frame.Frame) *frame.Frame) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.script = script
}

// Dial is for rocketkit.Config.
func (s *scripted) Dial(_ context.Context, _, address string) (net.Conn, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var broker *scriptedBroker
	for _, b := range s.brokers {
		if b.address == address {
			broker = b
		}
	}
	if s.closed || s.down[address] || broker == nil && address != nameServer {
		return nil, fmt.Errorf("dial %s: connection refused", address)
	}
	near, far := net.Pipe()
	c := &scriptedConn{cluster: s, broker: broker, nc: far, ended: make(chan struct{})}
	s.conns[c] = true
	s.group.Go(c.serve)
	return near, nil
}

// Close ends all connections and waits for what serves them.
func (s *scripted) Close() {
	s.mu.Lock()
	s.closed = true // a client that is still open would connect again
	conns := slices.Collect(maps.Keys(s.conns))
	s.mu.Unlock()
	for _, c := range conns {
		_ = c.nc.Close()
	}
	s.group.Wait()
}

// Stop makes a broker unreachable and forgets its members, as a kill does; Start brings it back.
func (s *scripted) Stop(name string) {
	s.mu.Lock()
	b := s.brokers[name]
	s.down[b.address] = true
	clear(b.members)
	var conns []*scriptedConn
	for c := range s.conns {
		if c.broker == b {
			conns = append(conns, c)
		}
	}
	s.mu.Unlock()
	for _, c := range conns {
		_ = c.nc.Close()
	}
}

func (s *scripted) Start(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.down, s.brokers[name].address)
}

// Topic makes a topic's queues on each broker.
func (s *scripted) Topic(name string, queues int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, b := range s.brokers {
		b.topic(name, queues)
	}
}

func (b *scriptedBroker) topic(name string, queues int) {
	for len(b.topics[name]) < queues {
		b.topics[name] = append(b.topics[name], &scriptedQueue{})
	}
}

// Send stores messages in a queue of the first broker.
func (s *scripted) Send(topic string, queue int, bodies ...string) {
	for _, body := range bodies {
		s.SendWith(topic, queue, body)
	}
}

// SendWith stores a message with properties, given as name, value, name, value.
func (s *scripted) SendWith(topic string, queue int, body string, properties ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.brokers[slices.Sorted(maps.Keys(s.brokers))[0]]
	var props []byte
	for i := 0; i < len(properties); i += 2 {
		props = protocol.AppendProperty(props, properties[i], properties[i+1])
	}
	b.store(&protocol.Message{
		Topic: topic, QueueID: int32(queue), Body: []byte(body), Properties: protocol.AppendProperty(props, protocol.PropertyUniqueKey, "id-"+body),
		BornMillis: time.Now().UnixMilli(), StoreHost: netip.MustParseAddrPort("10.0.0.1:10911"), BornHost: netip.MustParseAddrPort("10.0.0.2:1"),
	})
}

func (b *scriptedBroker) store(m *protocol.Message) {
	q := b.topics[m.Topic][m.QueueID]
	m.QueueOffset, m.CommitLogOffset, m.StoreMillis = q.end(), int64(len(b.log)), time.Now().UnixMilli()
	m.BodyCRC = protocol.BodyCRC(m.Body)
	q.messages = append(q.messages, m)
	b.log = append(b.log, m)
	close(b.fresh)
	b.fresh = make(chan struct{})
}

// Offset gives what the group has committed on the first broker; -1 when nothing.
func (s *scripted) Offset(group, topic string, queue int) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.brokers[slices.Sorted(maps.Keys(s.brokers))[0]]
	if offset, ok := b.offsets[offsetKey{group, topic, int32(queue)}]; ok {
		return offset
	}
	return -1
}

// Requests gives what has been asked with a code.
func (s *scripted) Requests(code int32) []seenRequest {
	s.mu.Lock()
	defer s.mu.Unlock()
	var some []seenRequest
	for _, r := range s.seen {
		if r.code == code {
			some = append(some, r)
		}
	}
	return some
}

// Bodies gives the bodies stored in a topic.
func (s *scripted) Bodies(topic string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var bodies []string
	for _, b := range s.brokers {
		for _, q := range b.topics[topic] {
			for _, m := range q.messages {
				bodies = append(bodies, string(m.Body))
			}
		}
	}
	slices.Sort(bodies)
	return bodies
}

// AddMember puts a member beside ours into a group, and tells ours.
func (s *scripted) AddMember(group, id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, b := range s.brokers {
		b.join(group, id, nil)
	}
}

func (s *scripted) RemoveMember(group, id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, b := range s.brokers {
		delete(b.members[group], id)
		b.notify(group, id)
	}
}

func (b *scriptedBroker) join(group, id string, c *scriptedConn) {
	b.groups[group] = true
	if b.members[group] == nil {
		b.members[group] = map[string]*scriptedConn{}
	}
	_, known := b.members[group][id]
	b.members[group][id] = c
	b.topic("%RETRY%"+group, 1)
	if !known {
		b.notify(group, id)
	}
}

func (b *scriptedBroker) notify(group, but string) {
	for id, c := range b.members[group] {
		if id != but && c != nil {
			b.cluster.group.Go(func() {
				c.send(&frame.Frame{Code: protocol.ReqConsumersChanged, Flag: 2, Fields: frame.Fields{{Key: "consumerGroup", Value: group}}})
			})
		}
	}
}

// Tell sends a request of the broker's to every client.
func (s *scripted) Tell(req *frame.Frame) {
	s.mu.Lock()
	conns := slices.Collect(maps.Keys(s.conns))
	s.mu.Unlock()
	for _, c := range conns {
		if c.broker != nil {
			c.send(req)
		}
	}
}

// scriptedConn is one connection, seen from the server.
type scriptedConn struct {
	cluster *scripted
	broker  *scriptedBroker // nil for the name server
	nc      net.Conn
	ended   chan struct{}
	writing sync.Mutex
}

func (c *scriptedConn) send(f *frame.Frame) {
	data, err := frame.Append(nil, f)
	if err != nil {
		panic(err)
	}
	c.writing.Lock()
	defer c.writing.Unlock()
	_, _ = c.nc.Write(data)
}

// Answer answers a request, for scripts that do so later.
func (c *scriptedConn) Answer(req, answer *frame.Frame) {
	out := *answer
	out.Opaque, out.Flag = req.Opaque, 1
	c.send(&out)
}

func (c *scriptedConn) serve() {
	defer func() {
		_ = c.nc.Close()
		close(c.ended)
		c.cluster.mu.Lock()
		delete(c.cluster.conns, c)
		if c.broker != nil {
			for group, members := range c.broker.members {
				for id, conn := range members {
					if conn == c {
						delete(members, id)
						c.broker.notify(group, id)
					}
				}
			}
		}
		c.cluster.mu.Unlock()
	}()
	r := bufio.NewReader(c.nc)
	for {
		req, err := frame.Read(r)
		if err != nil {
			return
		}
		c.cluster.mu.Lock()
		broker := ""
		if c.broker != nil {
			broker = c.broker.name
		}
		c.cluster.seen = append(c.cluster.seen, seenRequest{req.Code, broker, req.Fields, time.Now()})
		script := c.cluster.script
		c.cluster.mu.Unlock()
		if script != nil {
			switch answer := script(c, req); answer {
			case nil:
			case noAnswer:
				continue
			default:
				c.Answer(req, answer)
				continue
			}
		}
		c.handle(req)
	}
}

func refuse(code int32, remark string) *frame.Frame { return &frame.Frame{Code: code, Remark: remark} }

func number(key string, n int64) *frame.Frame {
	return &frame.Frame{Fields: frame.Fields{{Key: key, Value: strconv.FormatInt(n, 10)}}}
}

func body(v any) *frame.Frame {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return &frame.Frame{Body: b}
}

// handle is what RocketMQ does.
func (c *scriptedConn) handle(req *frame.Frame) {
	if req.Code == protocol.ReqPullMessage {
		c.cluster.group.Go(func() {
			if answer := c.pull(req); answer != nil {
				c.Answer(req, answer)
			}
		})
		return
	}
	c.cluster.mu.Lock()
	answer := c.answer(req)
	c.cluster.mu.Unlock()
	c.Answer(req, answer)
}

func field(req *frame.Frame, key string) string {
	value, _ := req.Fields.Get(key)
	return value
}

func fieldInt(req *frame.Frame, key string) int64 {
	n, _ := req.Fields.Int64(key)
	return n
}

func keyOf(req *frame.Frame) offsetKey {
	return offsetKey{field(req, "consumerGroup"), field(req, "topic"), int32(fieldInt(req, "queueId"))}
}

func (c *scriptedConn) answer(req *frame.Frame) *frame.Frame {
	b := c.broker
	if b == nil {
		return c.cluster.route(field(req, "topic"))
	}
	switch req.Code {
	case protocol.ReqHeartbeat:
		return b.heartbeat(c, req)
	case protocol.ReqUnregister:
		group, id := field(req, "consumerGroup"), field(req, "clientID")
		delete(b.members[group], id)
		b.notify(group, id)
		return &frame.Frame{}
	case protocol.ReqConsumerList:
		ids := slices.Sorted(maps.Keys(b.members[field(req, "consumerGroup")]))
		if len(ids) == 0 {
			return refuse(protocol.CodeSystemError, "no consumer for this group, "+field(req, "consumerGroup"))
		}
		return body(map[string]any{"consumerIdList": ids})
	case protocol.ReqQueryConsumerOffset:
		if offset, ok := b.offsets[keyOf(req)]; ok {
			return number("offset", offset)
		}
		return refuse(protocol.CodeQueryNotFound, "Not found")
	case protocol.ReqUpdateConsumerOffset:
		return b.update(req)
	case protocol.ReqSendBack:
		return b.sendBack(req)
	case protocol.ReqLockQueues: // nobody else ever holds any: mqtest has real ones
		return lockAll(req)
	case protocol.ReqUnlockQueues:
		return &frame.Frame{}
	}
	queues := b.topics[field(req, "topic")]
	id := int(fieldInt(req, "queueId"))
	if id >= len(queues) {
		return refuse(protocol.CodeTopicNotExist, "no such queue")
	}
	switch q := queues[id]; req.Code {
	case protocol.ReqMaxOffset:
		return number("offset", q.end())
	case protocol.ReqMinOffset:
		return number("offset", q.first)
	case protocol.ReqSearchOffset:
		for i, m := range q.messages {
			if m.StoreMillis >= fieldInt(req, "timestamp") {
				return number("offset", q.first+int64(i))
			}
		}
		return number("offset", q.end())
	}
	return refuse(protocol.CodeRequestNotSupported, "not scripted")
}

func (s *scripted) route(topic string) *frame.Frame {
	route := protocol.TopicRoute{}
	for _, name := range slices.Sorted(maps.Keys(s.brokers)) {
		b := s.brokers[name]
		if n := int32(len(b.topics[topic])); n > 0 {
			route.Queues = append(route.Queues, protocol.QueueData{Broker: name, ReadQueues: n, WriteQueues: n, Perm: protocol.PermRead | protocol.PermWrite})
			route.Brokers = append(route.Brokers, protocol.BrokerData{Cluster: "c", Name: name, Addresses: map[int64]string{0: b.address}})
		}
	}
	if len(route.Queues) == 0 {
		return refuse(protocol.CodeTopicNotExist, "No topic route info in name server for the topic: "+topic)
	}
	return body(route)
}

func (b *scriptedBroker) heartbeat(c *scriptedConn, req *frame.Frame) *frame.Frame {
	beat, err := protocol.ParseHeartbeat(req)
	if err != nil {
		return refuse(protocol.CodeSystemError, err.Error())
	}
	for _, consumer := range beat.Consumers {
		if !b.noGroup {
			b.join(consumer.Group, beat.ClientID, c)
		}
	}
	return &frame.Frame{}
}

func lockAll(req *frame.Frame) *frame.Frame {
	var asked struct {
		Queues json.RawMessage `json:"mqSet"`
	}
	if err := json.Unmarshal(req.Body, &asked); err != nil {
		return refuse(protocol.CodeSystemError, err.Error())
	}
	return body(map[string]any{"lockOKMQSet": asked.Queues})
}

func (b *scriptedBroker) update(req *frame.Frame) *frame.Frame {
	key := keyOf(req)
	if !b.groups[key.group] {
		return refuse(protocol.CodeGroupNotExist, "Group "+key.group+" not exist!")
	}
	if _, reset := b.resets[key]; reset {
		return &frame.Frame{Remark: "Offset has been previously reset"}
	}
	b.offsets[key] = fieldInt(req, "commitOffset")
	return &frame.Frame{}
}

// Reset is what request 222 does on brokers of 5.x.
func (s *scripted) Reset(group, topic string, queue int, offset int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.brokers[slices.Sorted(maps.Keys(s.brokers))[0]]
	key := offsetKey{group, topic, int32(queue)}
	b.resets[key], b.offsets[key] = offset, offset
}

// sendBack is AbstractSendMessageProcessor.consumerSendMsgBack.
func (b *scriptedBroker) sendBack(req *frame.Frame) *frame.Frame {
	group, at := field(req, "group"), fieldInt(req, "offset")
	if !b.groups[group] {
		return refuse(protocol.CodeGroupNotExist, "subscription group not exist, "+group)
	}
	if at < 0 || at >= int64(len(b.log)) || b.log[at] == nil {
		return refuse(protocol.CodeSystemError, "look message by offset failed, "+strconv.FormatInt(at, 10))
	}
	most := int64(16)
	if _, given := req.Fields.Get("maxReconsumeTimes"); given {
		most = fieldInt(req, "maxReconsumeTimes")
	}
	m := *b.log[at]
	if _, again := m.Properties.Get(protocol.PropertyRetryTopic); !again {
		m.Properties = protocol.AppendProperty(slices.Clone(m.Properties), protocol.PropertyRetryTopic, m.Topic)
	}
	level := fieldInt(req, "delayLevel")
	if int64(m.ReconsumeTimes) >= most || level < 0 {
		m.Topic, level = "%DLQ%"+group, -1
	} else {
		m.Topic = "%RETRY%" + group
		if level == 0 {
			level = 3 + int64(m.ReconsumeTimes)
		}
	}
	m.QueueID = 0
	m.ReconsumeTimes++
	b.topic(m.Topic, 1)
	if level < 0 {
		b.store(&m)
		return &frame.Frame{}
	}
	time.AfterFunc(delays[min(level, int64(len(delays)))-1], func() {
		b.cluster.mu.Lock()
		defer b.cluster.mu.Unlock()
		b.store(&m)
	})
	return &frame.Frame{}
}

// pull is PullMessageProcessor; nil when the connection ended while it held the request.
func (c *scriptedConn) pull(req *frame.Frame) *frame.Frame {
	held := time.NewTimer(time.Duration(fieldInt(req, "suspendTimeoutMillis")) * time.Millisecond)
	defer held.Stop()
	for {
		c.cluster.mu.Lock()
		answer := c.broker.pull(req)
		fresh := c.broker.fresh
		c.cluster.mu.Unlock()
		if answer.Code != protocol.CodePullNotFound {
			return answer
		}
		select {
		case <-fresh:
		case <-held.C:
			return answer
		case <-c.ended:
			return nil
		}
	}
}

func (b *scriptedBroker) pull(req *frame.Frame) *frame.Frame {
	key := keyOf(req)
	if len(b.members[key.group]) == 0 {
		return refuse(protocol.CodeSubscriptionNotExist, "the consumer's group info not exist")
	}
	if int(key.queue) >= len(b.topics[key.topic]) {
		return refuse(protocol.CodeTopicNotExist, "topic "+key.topic+" not exist")
	}
	q := b.topics[key.topic][key.queue]
	at, next := fieldInt(req, "queueOffset"), fieldInt(req, "queueOffset")
	answer := &frame.Frame{}
	reset, isReset := b.resets[key]
	switch {
	case isReset:
		delete(b.resets, key)
		answer.Code, answer.Remark, next = protocol.CodePullOffsetMoved, "OFFSET_RESET", reset
	case at < q.first:
		answer.Code, next = protocol.CodePullOffsetMoved, q.first
	case at > q.end():
		answer.Code, next = protocol.CodePullOffsetMoved, q.end()
	case at == q.end():
		answer.Code = protocol.CodePullNotFound
	default:
		most := min(fieldInt(req, "maxMsgNums"), 32)
		for _, m := range q.messages[at-q.first : min(int64(len(q.messages)), at-q.first+most)] {
			answer.Body = protocol.EncodeMessage(answer.Body, m)
			next++
		}
	}
	for key, n := range map[string]int64{"nextBeginOffset": next, "minOffset": q.first, "maxOffset": q.end(), "suggestWhichBrokerId": 0} {
		answer.Fields = append(answer.Fields, frame.Field{Key: key, Value: strconv.FormatInt(n, 10)})
	}
	return answer
}

// rig is a client on a scripted cluster.
type rig struct {
	*scripted
	t      testing.TB
	client *rocketkit.Client
	logs   *logRecorder
}

// newRig makes a cluster of one broker, "b", and a client of the tenant "red" on it; the test ends both. Whatever a test
// does, no log line may bear the tenant's prefix.
func newRig(t testing.TB) *rig {
	t.Helper()
	return rigOn(t, newScripted("b"), "one")
}

func rigOn(t testing.TB, s *scripted, instance string) *rig {
	t.Helper()
	r := &rig{scripted: s, t: t, logs: &logRecorder{}}
	client, err := rocketkit.Open(rocketkit.Config{
		NameServers: []string{nameServer}, Tenant: "red", Instance: instance, Dial: s.Dial,
		Logger: slog.New(slog.NewTextHandler(r.logs, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	if err != nil {
		t.Fatal(err)
	}
	r.client = client
	t.Cleanup(func() {
		_ = client.Close(context.Background())
		s.Close()
		if line := r.logs.find("red%"); line != "" {
			t.Errorf("a log line shows the tenant's prefix: %s", line)
		}
	})
	return r
}

// logRecorder keeps what is logged.
type logRecorder struct {
	mu  sync.Mutex
	all bytes.Buffer
}

func (l *logRecorder) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all.Write(b)
}

func (l *logRecorder) lines() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Split(l.all.String(), "\n")
}

func (l *logRecorder) find(part string) string {
	for _, line := range l.lines() {
		if strings.Contains(line, part) {
			return line
		}
	}
	return ""
}

func (l *logRecorder) count(part string) int {
	n := 0
	for _, line := range l.lines() {
		if strings.Contains(line, part) {
			n++
		}
	}
	return n
}

// config consumes the topic "t" as the group "g".
func config(handle func(context.Context, *rocketkit.Message) error) Config {
	return Config{
		Group: "g", Retries: -1, Drain: 30 * time.Second, Start: Start{Where: StartEarliest},
		Topics: map[string]Topic{"t": {Workers: 4, Timeout: time.Minute, Handle: handle}},
	}
}

// Physical names of what config uses.
const (
	topicT  = "red%t"
	topicU  = "red%u"
	groupG  = "red%g"
	retryG  = "%RETRY%red%g"
	letterG = "%DLQ%red%g"
)

func (r *rig) engine(cfg Config) *Engine {
	r.t.Helper()
	e, err := New(r.client.Cluster(), cfg)
	if err != nil {
		r.t.Fatal(err)
	}
	return e
}

// running is an Engine whose Run was called.
type running struct {
	*Engine
	t      testing.TB
	cancel context.CancelFunc
	result chan error
	err    error
}

// run starts an Engine and waits until it is ready. The test stops it if it hasn't.
func (r *rig) run(cfg Config) *running {
	r.t.Helper()
	run := r.start(cfg)
	select {
	case <-run.Ready():
	case err := <-run.result:
		run.result <- err
		r.t.Fatalf("Run returned %v before it was ready", err)
	case <-time.After(5 * time.Minute):
		r.t.Fatalf("not ready: %+v", run.Snapshot())
	}
	return run
}

// start is run without the waiting.
func (r *rig) start(cfg Config) *running {
	r.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	run := &running{Engine: r.engine(cfg), t: r.t, cancel: cancel, result: make(chan error, 1)}
	go func() { run.result <- run.Run(ctx) }()
	r.t.Cleanup(func() { _ = run.stop() })
	return run
}

// stop ends Run and returns its error.
func (r *running) stop() error {
	r.cancel()
	if r.result != nil {
		r.err = <-r.result
		r.result = nil
	}
	return r.err
}

func (r *running) mustStop() {
	r.t.Helper()
	if err := r.stop(); err != nil {
		r.t.Errorf("Run returned %v", err)
	}
}

// got collects what handlers were given.
type got struct {
	mu     sync.Mutex
	bodies []string
	tries  map[string][]int
}

func (g *got) add(m *rocketkit.Message) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.bodies = append(g.bodies, string(m.Body()))
	if g.tries == nil {
		g.tries = map[string][]int{}
	}
	g.tries[string(m.Body())] = append(g.tries[string(m.Body())], m.Attempt())
}

func (g *got) sorted() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Sorted(slices.Values(g.bodies))
}

func (g *got) len() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.bodies)
}

func (g *got) handle(_ context.Context, m *rocketkit.Message) error {
	g.add(m)
	return nil
}

// numbered gives n bodies.
func numbered(prefix string, n int) []string {
	bodies := make([]string, n)
	for i := range bodies {
		bodies[i] = fmt.Sprintf("%s%05d", prefix, i)
	}
	return bodies
}

// eventually waits for a state, on the fake clock.
func eventually(t testing.TB, what string, state func() bool) {
	t.Helper()
	for range 3000 {
		synctest.Wait()
		if state() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("never: %s", what)
}

var errTest = errors.New("no")
