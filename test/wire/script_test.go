package wire

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rocketkit/rocketkit/internal/frame"
	"github.com/rocketkit/rocketkit/internal/protocol"
	"github.com/rocketkit/rocketkit/internal/remoting"
	"github.com/rocketkit/rocketkit/internal/testcluster"
	"github.com/rocketkit/rocketkit/mqtest"
)

// patience bounds a wait for a state; a script that passes waits for far less.
const patience = 30 * time.Second

// script is one run of one script: it asks, and notes what was answered.
type script struct {
	t          *testing.T
	names      string // name server's address
	broker     string
	brokerName string
	client     *peer
	peers      int
	run        string // tells this run's names from those of others; notes leave it out
	lines      []string
}

// peer is one client of the cluster.
type peer struct {
	id       string
	remote   *remoting.Client
	mu       sync.Mutex
	requests []*frame.Frame // from the broker
	answer   func(*frame.Frame) *frame.Frame
}

// compare runs a script on mqtest and on the real broker and compares their notes.
func compare(t *testing.T, run func(s *script)) {
	t.Helper()
	t.Parallel()
	mine := transcript(t, mqtest.New(t, mqtest.Config{
		TCP: true, TransactionCheckInterval: 2 * time.Second, TransactionTimeout: time.Second,
	}).Addresses()[0], run)
	if os.Getenv(testcluster.RealVariable) != "1" {
		return
	}
	cluster := rocketmq.Cluster(t)
	if cluster.Version() != testcluster.DefaultVersion {
		t.Skipf("mqtest imitates %s, not %s", testcluster.DefaultVersion, cluster.Version())
	}
	theirs := transcript(t, cluster.NameServers()[0], run)
	if slices.Equal(mine, theirs) {
		return
	}
	for i := range max(len(mine), len(theirs)) {
		a, b := line(mine, i), line(theirs, i)
		if a != b {
			t.Errorf("line %d\n  mqtest: %s\n  real:   %s", i+1, a, b)
		}
	}
}

func line(lines []string, i int) string {
	if i < len(lines) {
		return lines[i]
	}
	return "(nothing)"
}

func transcript(t *testing.T, nameServer string, run func(*script)) []string {
	t.Helper()
	s := &script{t: t, names: nameServer, run: fmt.Sprintf("-%x", time.Now().UnixNano())}
	s.client = s.peer()
	info, err := protocol.ParseClusterInfo(s.ask(s.names, protocol.GetCluster{}.Frame()))
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range info.Brokers {
		s.broker, s.brokerName = b.Addresses[0], b.Name
	}
	ended := false
	defer func() {
		if !ended {
			t.Logf("until then, on %s:\n%s", nameServer, strings.Join(s.lines, "\n"))
		}
	}()
	run(s)
	ended = true
	return s.lines
}

func (s *script) peer() *peer {
	s.peers++
	p := &peer{id: fmt.Sprintf("10.0.0.%d@%s", s.peers, s.t.Name())}
	p.remote = remoting.New(remoting.Config{Handle: func(_ context.Context, _ string, req *frame.Frame) *frame.Frame {
		p.mu.Lock()
		p.requests = append(p.requests, req)
		answer := p.answer
		p.mu.Unlock()
		if answer == nil || req.IsOneWay() {
			return nil
		}
		return answer(req)
	}})
	s.t.Cleanup(func() { p.remote.Close() })
	return p
}

// heard counts the requests with a code that the broker has sent.
func (p *peer) heard(code int32) (n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, req := range p.requests {
		if req.Code == code {
			n++
		}
	}
	return n
}

// name makes a topic's or group's name that no other script uses.
func (s *script) name(suffix string) string {
	return strings.ReplaceAll(strings.TrimPrefix(s.t.Name(), "Test"), "/", "-") + s.run + "-" + suffix
}

func (s *script) ask(address string, req *frame.Frame) *frame.Frame {
	s.t.Helper()
	return s.askAs(s.client, address, req)
}

func (s *script) askAs(p *peer, address string, req *frame.Frame) *frame.Frame {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	f, err := p.remote.Call(ctx, address, req)
	if err != nil {
		s.t.Fatalf("%s: %v", protocol.RequestName(req.Code), err)
	}
	return f
}

// do asks the broker without a note.
func (s *script) do(req *frame.Frame) *frame.Frame {
	s.t.Helper()
	f := s.ask(s.broker, req)
	if err := protocol.Check(req.Code, f); err != nil {
		s.t.Fatal(err)
	}
	return f
}

func (s *script) note(format string, args ...any) {
	s.lines = append(s.lines, strings.ReplaceAll(fmt.Sprintf(format, args...), s.run, ""))
}

// varying is what differs from run to run: addresses, ids and times.
var varying = regexp.MustCompile(`\d+\.\d+\.\d+\.\d+(:\d+)?|\b[0-9A-F]{56}\b|\b[0-9A-F]{32}\b|\b1[6-9]\d{11}\b|\bbroker-\w+`)

// advice is what RocketMQ adds to some remarks.
var advice = regexp.MustCompile(`(?s)\s*See https?://.*`)

func tidy(text string) string {
	return strings.TrimSpace(varying.ReplaceAllString(advice.ReplaceAllString(text, ""), "~"))
}

// tell asks the broker and notes the answer: code, remark and header fields.
func (s *script) tell(what string, req *frame.Frame) *frame.Frame {
	s.t.Helper()
	f := s.ask(s.broker, req)
	s.noteAnswer(what, f)
	return f
}

// tellNames asks the name server.
func (s *script) tellNames(what string, req *frame.Frame) *frame.Frame {
	s.t.Helper()
	f := s.ask(s.names, req)
	s.noteAnswer(what, f)
	return f
}

func (s *script) noteAnswer(what string, f *frame.Frame) {
	fields := map[string]string{}
	for _, field := range f.Fields {
		fields[field.Key] = tidy(field.Value)
	}
	for _, internal := range []string{"topicSysFlag", "groupSysFlag", "forbiddenType", "offsetDelta", "indexLastUpdateTimestamp", "indexLastUpdatePhyoffset"} {
		delete(fields, internal)
	}
	var list []string
	for _, key := range slices.Sorted(maps.Keys(fields)) {
		list = append(list, key+"="+fields[key])
	}
	remark := f.Remark
	if f.Code == protocol.CodeSystemError {
		remark, _, _ = strings.Cut(remark, ",") // then come a stack's lines
	}
	s.note("%s: %s %q %v", what, protocol.CodeName(f.Code), tidy(remark), list)
}

// keys notes the names in a JSON body, two levels deep.
func (s *script) keys(what string, body []byte) {
	var top map[string]json.RawMessage
	if err := json.Unmarshal(body, &top); err != nil {
		s.note("%s: body is no JSON: %v", what, err)
		return
	}
	s.note("%s: %v", what, slices.Sorted(maps.Keys(top)))
}

// dialect notes how a body writes the ids of brokers: as JSON does, or as fastjson's maps do.
func (s *script) dialect(what string, body []byte) {
	s.note("%s: JSON %t, bare ids %t", what, json.Valid(body), strings.Contains(string(body), `{0:"`))
}

// messages notes a pull's messages.
func (s *script) messages(what, topic string, body []byte) []protocol.Message {
	s.t.Helper()
	msgs, err := protocol.DecodeMessages(body, topic)
	if err != nil {
		s.t.Fatal(err)
	}
	slices.SortStableFunc(msgs, func(a, b protocol.Message) int { return cmp.Compare(a.QueueOffset, b.QueueOffset) })
	for _, m := range msgs {
		var props []string
		for name, value := range m.Properties.All() {
			props = append(props, name+"="+tidy(value))
		}
		slices.Sort(props)
		s.note("%s: message %d/%d %q times %d flag %d sys %#x crc %t %v", what, m.QueueID, m.QueueOffset, m.Body,
			m.ReconsumeTimes, m.Flag, m.SysFlag, m.BodyCRC == protocol.BodyCRC(m.Body), props)
	}
	return msgs
}

// until waits for a state.
func (s *script) until(what string, reached func() bool) {
	s.t.Helper()
	for limit := time.Now().Add(patience); !reached(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(limit) {
			s.t.Fatalf("%s: not within %v", what, patience)
		}
	}
}

// stored waits until a queue holds n messages: a real broker's queues lag a little behind its log.
func (s *script) stored(topic string, n int64) {
	s.t.Helper()
	s.until(fmt.Sprintf("%d messages in %s", n, topic), func() bool {
		end, err := protocol.ParseMaxOffset(s.do(protocol.MaxOffset{Topic: topic}.Frame()))
		return err == nil && end >= n
	})
}

// topic creates a topic of one queue.
func (s *script) topic(suffix string) string {
	s.t.Helper()
	name := s.name(suffix)
	s.do(protocol.CreateTopic{Config: protocol.NewTopicConfig(name, 1)}.Frame())
	return name
}

// group creates a group.
func (s *script) group(suffix string) string {
	s.t.Helper()
	name := s.name(suffix)
	s.do(protocol.CreateGroup{Config: protocol.NewGroupConfig(name)}.Frame())
	return name
}

func sendOf(topic, body string, props ...string) protocol.SendMessage {
	var block []byte
	for i := 0; i < len(props); i += 2 {
		block = protocol.AppendProperty(block, props[i], props[i+1])
	}
	return protocol.SendMessage{ProducerGroup: "wire", Topic: topic, Body: []byte(body), Properties: block, BornTime: time.Now().UnixMilli()}
}

func pullOf(group, topic string, offset int64) protocol.PullMessage {
	return protocol.PullMessage{
		Group: group, Topic: topic, Offset: offset, MaxMessages: 32, Subscription: "*", SysFlag: protocol.PullSubscription,
	}
}

// beat makes a heartbeat of a member.
func (s *script) beat(p *peer, group string, topics ...string) *frame.Frame {
	data := protocol.ConsumerData{Group: group}
	for _, topic := range topics {
		sub, err := protocol.SubscriptionFor(topic, "*")
		if err != nil {
			s.t.Fatal(err)
		}
		data.Subscriptions = append(data.Subscriptions, sub)
	}
	return protocol.Heartbeat{ClientID: p.id, Consumers: []protocol.ConsumerData{data}}.Frame()
}
