package admin_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/admin"
	"github.com/rocketkit/rocketkit/internal/frame"
	"github.com/rocketkit/rocketkit/internal/protocol"
)

// What newFake makes: two name servers, two masters, one of which has a replica.
const (
	names1, names2   = "10.0.0.1:9876", "10.0.0.2:9876"
	masterA, masterB = "10.0.1.1:10911", "10.0.1.2:10911"
	replicaA         = "10.0.1.3:10911"
)

// fake is a small RocketMQ behind net.Pipe: enough state for an Admin to change and read back, and a hook for faults.
type fake struct {
	mu      sync.Mutex
	brokers map[string]*fakeBroker // by address
	known   map[string]map[string]map[string]protocol.TopicConfig
	kv      map[string]map[string]string // by name server
	down    map[string]bool              // addresses that can't be dialed
	asked   []asked
	extra   []string // physical topics that name servers list beside those of the brokers

	// fault answers a request itself, or returns nil to let it pass.
	fault func(address string, req *frame.Frame) *frame.Frame
}

type fakeBroker struct {
	name    string
	id      int64
	topics  map[string]protocol.TopicConfig
	groups  map[string]map[string]any
	queues  map[string][2]int64 // "topic/queue": min, max
	newest  int64
	commits map[string]int64 // "group@topic/queue"
}

type asked struct {
	address string
	code    int32
	fields  frame.Fields
	body    string
}

func newFake() *fake {
	f := &fake{
		brokers: map[string]*fakeBroker{},
		known:   map[string]map[string]map[string]protocol.TopicConfig{names1: {}, names2: {}},
		kv:      map[string]map[string]string{names1: {}, names2: {}},
		down:    map[string]bool{},
	}
	for address, b := range map[string]*fakeBroker{masterA: {name: "a"}, masterB: {name: "b"}, replicaA: {name: "a", id: 1}} {
		b.topics, b.groups = map[string]protocol.TopicConfig{}, map[string]map[string]any{}
		b.queues, b.commits = map[string][2]int64{}, map[string]int64{}
		f.brokers[address] = b
	}
	return f
}

// open gives an Admin for a tenant on the fake.
func (f *fake) open(t *testing.T, tenant string) *admin.Admin {
	t.Helper()
	return admin.New(f.client(t, tenant))
}

func (f *fake) client(t *testing.T, tenant string) *rocketkit.Client {
	t.Helper()
	client, err := rocketkit.Open(rocketkit.Config{
		NameServers: []string{names1, names2}, Tenant: tenant, Dial: f.dial, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := client.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return client
}

func (f *fake) dial(_ context.Context, _, address string) (net.Conn, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.down[address] {
		return nil, errors.New("connection refused")
	}
	here, there := net.Pipe()
	go f.serve(there, address)
	return here, nil
}

func (f *fake) serve(conn net.Conn, address string) {
	defer conn.Close()
	r := bufio.NewReader(conn)
	for {
		req, err := frame.Read(r)
		if err != nil {
			return
		}
		answer := f.answer(address, req)
		if req.IsOneWay() {
			continue
		}
		answer.Opaque, answer.Flag = req.Opaque, 1
		out, err := frame.Append(nil, answer)
		if err != nil {
			return
		}
		if _, err := conn.Write(out); err != nil {
			return
		}
	}
}

func (f *fake) answer(address string, req *frame.Frame) *frame.Frame {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked = append(f.asked, asked{address, req.Code, req.Fields, string(req.Body)})
	if f.fault != nil {
		if answer := f.fault(address, req); answer != nil {
			return answer
		}
	}
	if b := f.brokers[address]; b != nil {
		return f.broker(b, req)
	}
	return f.nameServer(address, req)
}

func (f *fake) nameServer(address string, req *frame.Frame) *frame.Frame {
	topic, _ := req.Fields.Get("topic")
	key, _ := req.Fields.Get("key")
	switch req.Code {
	case protocol.ReqGetCluster:
		return body(protocol.ClusterInfo{Brokers: f.table()})
	case protocol.ReqGetRoute:
		route := protocol.TopicRoute{}
		for name, c := range f.known[address][topic] {
			route.Queues = append(route.Queues, protocol.QueueData{Broker: name, ReadQueues: c.ReadQueues, WriteQueues: c.WriteQueues, Perm: c.Perm})
			route.Brokers = append(route.Brokers, f.table()[name])
		}
		if len(route.Queues) == 0 {
			return refuse(protocol.CodeTopicNotExist, "No topic route info in name server for the topic: "+topic)
		}
		return body(route)
	case protocol.ReqListTopics:
		return body(map[string]any{"topicList": append(slices.Collect(maps.Keys(f.known[address])), f.extra...)})
	case protocol.ReqDeleteTopicNameServer:
		delete(f.known[address], topic)
		return &frame.Frame{}
	case protocol.ReqPutKV:
		f.kv[address][key], _ = req.Fields.Get("value")
		return &frame.Frame{}
	case protocol.ReqDeleteKV:
		delete(f.kv[address], key)
		return &frame.Frame{}
	case protocol.ReqGetKV:
		value, ok := f.kv[address][key]
		if !ok {
			return refuse(protocol.CodeQueryNotFound, "No config item")
		}
		return &frame.Frame{Fields: frame.Fields{{Key: "value", Value: value}}}
	case protocol.ReqListKV:
		return body(map[string]any{"table": f.kv[address]})
	}
	return refuse(protocol.CodeRequestNotSupported, "")
}

func (f *fake) broker(b *fakeBroker, req *frame.Frame) *frame.Frame {
	topic, _ := req.Fields.Get("topic")
	queue, _ := req.Fields.Get("queueId")
	switch req.Code {
	case protocol.ReqCreateTopic:
		c := protocol.TopicConfig{Name: topic, Attributes: map[string]string{}}
		c.ReadQueues, _ = req.Fields.Int32("readQueueNums")
		c.WriteQueues, _ = req.Fields.Int32("writeQueueNums")
		c.Perm, _ = req.Fields.Int32("perm")
		c.SysFlag, _ = req.Fields.Int32("topicSysFlag")
		c.FilterType, _ = req.Fields.Get("topicFilterType")
		c.Order = req.Fields.Bool("order")
		maps.Copy(c.Attributes, b.topics[topic].Attributes)
		if changes, _ := req.Fields.Get("attributes"); changes != "" {
			c.Attributes["changed"] = changes
		}
		f.has(b, c)
		return &frame.Frame{}
	case protocol.ReqGetTopicConfig:
		c, ok := b.topics[topic]
		if !ok {
			return refuse(protocol.CodeTopicNotExist, "No topic in this broker. topic: "+topic)
		}
		return body(c)
	case protocol.ReqGetAllTopicConfig:
		return body(map[string]any{"topicConfigTable": b.topics})
	case protocol.ReqDeleteTopicBroker:
		delete(b.topics, topic)
		return &frame.Frame{}
	case protocol.ReqTopicStats:
		return b.stats(topic)
	case protocol.ReqListGroups:
		return body(map[string]any{"subscriptionGroupTable": b.groups})
	case protocol.ReqCreateGroup:
		var g map[string]any
		if err := json.Unmarshal(req.Body, &g); err != nil {
			return refuse(protocol.CodeSystemError, err.Error())
		}
		b.groups[g["groupName"].(string)] = g // a request without the name may fail the test
		return &frame.Frame{}
	case protocol.ReqDeleteGroup:
		group, _ := req.Fields.Get("groupName")
		delete(b.groups, group)
		return &frame.Frame{}
	}
	return b.offsets(req, topic+"/"+queue)
}

func (b *fakeBroker) offsets(req *frame.Frame, queue string) *frame.Frame {
	group, _ := req.Fields.Get("consumerGroup")
	key := group + "@" + queue
	switch req.Code {
	case protocol.ReqQueryConsumerOffset:
		offset, ok := b.commits[key]
		if !ok {
			return refuse(protocol.CodeQueryNotFound, "Not found")
		}
		return offsetAnswer(offset)
	case protocol.ReqUpdateConsumerOffset:
		if _, ok := b.groups[group]; !ok {
			return refuse(protocol.CodeGroupNotExist, "Group "+group+" not exist!")
		}
		b.commits[key], _ = req.Fields.Int64("commitOffset")
		return &frame.Frame{}
	case protocol.ReqSearchOffset:
		return offsetAnswer(b.queues[queue][0] + 1)
	}
	return refuse(protocol.CodeRequestNotSupported, "")
}

func (b *fakeBroker) stats(topic string) *frame.Frame {
	c, ok := b.topics[topic]
	if !ok {
		return refuse(protocol.CodeTopicNotExist, "topic["+topic+"] not exist")
	}
	var entries []string
	for id := range max(c.ReadQueues, c.WriteQueues) {
		span := b.queues[topic+"/"+strconv.Itoa(int(id))]
		entries = append(entries, fmt.Sprintf(`{"brokerName":%q,"queueId":%d,"topic":%q}:{"minOffset":%d,"maxOffset":%d,"lastUpdateTimestamp":%d}`,
			b.name, id, topic, span[0], span[1], b.newest))
	}
	return &frame.Frame{Body: []byte(`{"offsetTable":{` + strings.Join(entries, ",") + `}}`)}
}

// has gives a broker a topic and reports it to every name server that is up. The lock is held.
func (f *fake) has(b *fakeBroker, c protocol.TopicConfig) {
	b.topics[c.Name] = c
	for address, topics := range f.known {
		if f.down[address] {
			continue
		}
		if topics[c.Name] == nil {
			topics[c.Name] = map[string]protocol.TopicConfig{}
		}
		topics[c.Name][b.name] = c
	}
}

func (f *fake) table() map[string]protocol.BrokerData {
	table := map[string]protocol.BrokerData{}
	for address, b := range f.brokers {
		data := table[b.name]
		if data.Addresses == nil {
			data = protocol.BrokerData{Cluster: "main", Name: b.name, Addresses: map[int64]string{}}
		}
		data.Addresses[b.id] = address
		table[b.name] = data
	}
	return table
}

// sent lists the addresses that got a request of this code, sorted.
func (f *fake) sent(code int32) []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var to []string
	for _, a := range f.asked {
		if a.code == code {
			to = append(to, a.address)
		}
	}
	slices.Sort(to)
	return to
}

func body(v any) *frame.Frame {
	b, err := json.Marshal(v)
	if err != nil {
		return refuse(protocol.CodeSystemError, err.Error())
	}
	return &frame.Frame{Body: b}
}

func refuse(code int32, remark string) *frame.Frame { return &frame.Frame{Code: code, Remark: remark} }

func offsetAnswer(offset int64) *frame.Frame {
	return &frame.Frame{Fields: frame.Fields{{Key: "offset", Value: strconv.FormatInt(offset, 10)}}}
}
