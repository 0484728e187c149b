package protocol

import (
	"bytes"
	"encoding/json"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/rocketkit/rocketkit/internal/frame"
)

// golden reads bytes that RocketMQ's own classes wrote; testdata/README.md says how.
func golden(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", "golden", name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func answer(body []byte) *frame.Frame { return &frame.Frame{Body: body} }

// goldenMessage is what the Java program filled its message with.
func goldenMessage() Message {
	body := []byte("hello, wörld")
	return Message{
		Topic: "orders", QueueID: 3, Flag: 7, QueueOffset: 42, CommitLogOffset: 123456789012,
		BornMillis: 1700000000123, StoreMillis: 1700000000456, ReconsumeTimes: 2, PreparedOffset: 99,
		BodyCRC: BodyCRC(body), Body: body,
		BornHost:  netip.MustParseAddrPort("10.1.2.3:51234"),
		StoreHost: netip.MustParseAddrPort("10.1.2.4:10911"),
	}
}

func TestDecodeWhatJavaEncoded(t *testing.T) {
	t.Parallel()
	v4 := goldenMessage()
	v6 := goldenMessage()
	v6.BornHost = netip.MustParseAddrPort("[2001:db8::1]:51234")
	v6.StoreHost = netip.MustParseAddrPort("[2001:db8::2]:10911")
	v6.SysFlag = SysBornV6 | SysStoreV6
	stored := goldenMessage()
	stored.CommitLogOffset = 0 // a broker fills it in after encoding
	long := stored
	long.Topic = strings.Repeat("long-topic", 20)
	for name, want := range map[string]Message{"message_v4.bin": v4, "message_v6.bin": v6, "stored_v1.bin": stored, "stored_v2.bin": long} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			block := golden(t, name)
			msgs, err := DecodeMessages(block, "orders")
			if err != nil || len(msgs) != 1 {
				t.Fatalf("%d messages, error %v", len(msgs), err)
			}
			got := msgs[0]
			want.Properties = got.Properties
			if !reflect.DeepEqual(got, want) {
				t.Errorf("got  %+v\nwant %+v", got, want)
			}
			for key, value := range map[string]string{"TAGS": "TagA", "KEYS": "k1 k2", "trace": "été ☃ 𝄞", "UNIQ_KEY": "0A01020300002A9F4E1B7C0C1D2E0001"} {
				if v, ok := got.Properties.Get(key); !ok || v != value {
					t.Errorf("property %s is %q, %v", key, v, ok)
				}
			}
			if id := got.ID(); id != "0A01020300002A9F4E1B7C0C1D2E0001" {
				t.Errorf("id %s", id)
			}
			if again := EncodeMessage(nil, &got); !bytes.Equal(again, block) {
				t.Errorf("encoded again as\n%x, want\n%x", again, block)
			}
		})
	}
}

func TestOffsetIDIsJavas(t *testing.T) {
	t.Parallel()
	for want, host := range map[string]string{
		"0A01020400002A9F0000001CBE991A14":                         "10.1.2.4:10911",
		"20010DB800000000000000000000000200002A9F0000001CBE991A14": "[2001:db8::2]:10911",
	} {
		m := Message{StoreHost: netip.MustParseAddrPort(host), CommitLogOffset: 123456789012}
		if got := m.OffsetID(); got != want {
			t.Errorf("%s: %s, want %s", host, got, want)
		}
		if m.ID() != want {
			t.Errorf("without UNIQ_KEY the id is %s", m.ID())
		}
		store, offset, err := ParseOffsetID(want)
		if err != nil || store != m.StoreHost || offset != m.CommitLogOffset {
			t.Errorf("parsed as %v, %d, %v", store, offset, err)
		}
	}
	for _, bad := range []string{"", "0A", "zz01020400002A9F0000001CBE991A14", strings.Repeat("0", 57)} {
		if _, _, err := ParseOffsetID(bad); err == nil {
			t.Errorf("%q was taken for an id", bad)
		}
	}
}

func TestInflateWhatJavaCompressed(t *testing.T) {
	t.Parallel()
	want := bytes.Repeat([]byte("abcdefgh"), 2500)
	for _, kind := range []string{"zlib", "lz4", "zstd"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			msgs, err := DecodeMessages(golden(t, "compressed_"+kind+".bin"), "orders")
			if err != nil {
				t.Fatal(err)
			}
			m := &msgs[0]
			for range 2 { // the second time does nothing
				if err := m.Inflate(len(want)); err != nil {
					t.Fatal(err)
				}
				if !bytes.Equal(m.Body, want) || m.SysFlag&SysCompressed != 0 {
					t.Fatalf("%d bytes, flags %#x", len(m.Body), m.SysFlag)
				}
			}
			if BodyCRC(m.Body) != m.BodyCRC {
				t.Error("checksum differs")
			}
		})
	}
}

func TestBatchesAreJavas(t *testing.T) {
	t.Parallel()
	block := golden(t, "batch.bin")
	batch, err := DecodeBatchMessages(block)
	if err != nil || len(batch) != 3 {
		t.Fatalf("%d messages, error %v", len(batch), err)
	}
	var again []byte
	for i, m := range batch {
		tag, _ := m.Properties.Get(PropertyTags)
		if m.Flag != int32(i) || string(m.Body) != "body "+string(rune('0'+i)) || tag != "T"+string(rune('0'+i)) {
			t.Errorf("message %d: %+v", i, m)
		}
		again = AppendBatchMessage(again, m.Flag, m.Body, m.Properties)
	}
	if !bytes.Equal(again, block) {
		t.Errorf("encoded again as\n%x, want\n%x", again, block)
	}

	msgs, err := DecodeMessages(golden(t, "inner_batch.bin"), "orders")
	if err != nil || len(msgs) != 3 {
		t.Fatalf("inner batch: %d messages, error %v", len(msgs), err)
	}
	for i, m := range msgs {
		if m.QueueOffset != 42+int64(i) || !bytes.Equal(m.Body, batch[i].Body) || m.ID() != "ID"+string(rune('0'+i)) ||
			m.Topic != "orders" || m.StoreMillis != 1700000000456 || m.CommitLogOffset != 123456789012 {
			t.Errorf("unwrapped %d: %+v", i, m)
		}
		if m.SysFlag != 0 {
			t.Errorf("unwrapped %d still asks to be unwrapped: %#x", i, m.SysFlag)
		}
	}
}

func goldenSubscriptions(t *testing.T) []SubscriptionData {
	t.Helper()
	var subs []SubscriptionData
	for _, s := range [][2]string{{"orders", "TagA || TagB||été ☃ 𝄞"}, {"refunds", "*"}, {"%RETRY%billing", ""}} {
		sub, err := SubscriptionFor(s[0], s[1])
		if err != nil {
			t.Fatal(err)
		}
		sub.Version = 1700000000000
		subs = append(subs, sub)
	}
	return subs
}

// sameJSON compares bodies without regard to the order of sets, and to what Java writes but the other side fills in.
func sameJSON(t *testing.T, name string, got []byte, defaults ...string) {
	t.Helper()
	load := func(b []byte) any {
		std, err := standardJSON(b)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		var v any
		if err := json.Unmarshal(std, &v); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		return normal(v, defaults)
	}
	g, w := load(got), load(golden(t, name))
	if !reflect.DeepEqual(g, w) {
		gb, _ := json.Marshal(g)
		wb, _ := json.Marshal(w)
		t.Errorf("%s:\ngot  %s\nwant %s", name, gb, wb)
	}
}

func normal(v any, drop []string) any {
	switch v := v.(type) {
	case map[string]any:
		for k, e := range v {
			if slices.Contains(drop, k) {
				delete(v, k)
				continue
			}
			e = normal(e, drop)
			if list, ok := e.([]any); ok && len(list) == 0 {
				delete(v, k)
				continue
			}
			delete(v, k)
			if strings.HasPrefix(k, "{") { // an object that is a key: its members in the order of encoding/json
				var object any
				_ = json.Unmarshal([]byte(k), &object)
				sorted, _ := json.Marshal(object)
				k = string(sorted)
			}
			v[k] = e
		}
	case []any:
		for i := range v {
			v[i] = normal(v[i], drop)
		}
		slices.SortFunc(v, func(a, b any) int {
			x, _ := json.Marshal(a)
			y, _ := json.Marshal(b)
			return bytes.Compare(x, y)
		})
	}
	return v
}

func TestBodiesAreJavas(t *testing.T) {
	t.Parallel()
	subs := goldenSubscriptions(t)
	q0 := Queue{Topic: "orders", Broker: "broker-a", ID: 0}
	q1 := Queue{Topic: "orders", Broker: "broker-b", ID: 1}

	heartbeat := Heartbeat{
		ClientID:  "10.1.2.3@42",
		Producers: []ProducerData{{Group: "checkout"}},
		Consumers: []ConsumerData{{Group: "billing", Subscriptions: subs}},
	}
	sameJSON(t, "heartbeat.json", heartbeat.Frame().Body, "heartbeatFingerprint", "withoutSub")
	sameJSON(t, "lock.json", LockQueues{Group: "billing", ClientID: "c", Queues: []Queue{q0}}.Frame().Body, "onlyThisBroker")
	sameJSON(t, "group.json", CreateGroup{Config: NewGroupConfig("billing")}.Frame().Body, "attributes", "groupRetryPolicy")
	sameJSON(t, "consume_result.json", ConsumeResult{AutoCommit: true, Result: ResultLater, Remark: "r", SpentMillis: 5}.Answer().Body)

	info := ConsumerRunningInfo{
		Properties:    map[string]string{RunningConsumeType: ConsumePassively, RunningStartTime: "1700000000000"},
		Subscriptions: subs,
		Queues: map[Queue]QueueInfo{
			q0: {CommitOffset: 5, CachedCount: 7, Locked: true, Dropped: true, LastPullTime: 1700000000001},
			q1: {},
		},
		Statuses: map[string]ConsumeStatus{"orders": {ConsumeRT: 1.5, FailedMessages: 3}},
		UserInfo: map[string]string{"pool": "16/64"},
		Stack:    "goroutine 1\n\tmain",
	}
	sameJSON(t, "running_info.json", info.Answer().Body, "mqPopTable")
}

// parsed checks a Parse function against a body that Java wrote.
func parsed[T any](t *testing.T, name string, parse func(*frame.Frame) (T, error), want T) {
	t.Helper()
	got, err := parse(answer(golden(t, name)))
	if err != nil {
		t.Errorf("%s: %v", name, err)
		return
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s:\ngot  %+v\nwant %+v", name, got, want)
	}
}

func TestParseWhatJavaAnswered(t *testing.T) {
	t.Parallel()
	q0 := Queue{Topic: "orders", Broker: "broker-a", ID: 0}
	q1 := Queue{Topic: "orders", Broker: "broker-b", ID: 1}
	set := BrokerData{Cluster: "c1", Name: "broker-a", Addresses: map[int64]string{0: "10.0.0.1:10911", 1: "10.0.0.2:10911"}}
	route := TopicRoute{
		Queues:  []QueueData{{Broker: "broker-a", ReadQueues: 8, WriteQueues: 4, Perm: PermRead | PermWrite}},
		Brokers: []BrokerData{set},
	}
	cluster := ClusterInfo{Brokers: map[string]BrokerData{"broker-a": set}, Clusters: map[string][]string{"c1": {"broker-a"}}}
	stats := ConsumeStats{TPS: 12.5, Queues: map[Queue]ConsumeOffset{
		q0: {Broker: 100, Consumer: 60, Pull: 70, LastTime: 1700000000000}, q1: {}}}
	offsets := map[Queue]int64{q0: 10, q1: 20}
	group := NewGroupConfig("billing")

	for _, name := range []string{"route.json", "route_standard.json", "route_49.json"} {
		parsed(t, name, ParseTopicRoute, route)
	}
	parsed(t, "cluster.json", ParseClusterInfo, cluster)
	parsed(t, "cluster_49.json", ParseClusterInfo, cluster)
	parsed(t, "consume_stats.json", ParseConsumeStats, stats)
	stats.Queues[q0] = ConsumeOffset{Broker: 100, Consumer: 60, LastTime: 1700000000000}
	parsed(t, "consume_stats_49.json", ParseConsumeStats, stats)
	parsed(t, "reset.json", ParseResetOffset, offsets)
	parsed(t, "reset_49.json", ParseResetOffset, offsets)
	parsed(t, "reset_list.json", ParseResetOffset, map[Queue]int64{q0: 10})
	parsed(t, "groups_49.json", ParseListGroups, map[string]GroupConfig{"billing": group})
	group.RetryPolicy = json.RawMessage(`{"type":"CUSTOMIZED"}`)
	group.Attributes = map[string]string{}
	parsed(t, "groups.json", ParseListGroups, map[string]GroupConfig{"billing": group})
	parsed(t, "lock_answer.json", ParseLockQueues, []Queue{q0})
	parsed(t, "topics.json", ParseListTopics, []string{"orders"})
	parsed(t, "group_list.json", ParseGroupsOfTopic, []string{"billing"})
	parsed(t, "kv.json", ParseListKV, map[string]string{"k": "v\"é"})
	parsed(t, "topic_stats.json", ParseTopicStats, map[Queue]TopicOffset{q0: {Min: 1, Max: 9}})
	parsed(t, "consume_result.json", ParseConsumeResult, ConsumeResult{AutoCommit: true, Result: ResultLater, Remark: "r", SpentMillis: 5})
	topic := TopicConfig{Name: "orders", ReadQueues: 8, WriteQueues: 4, Perm: 6, FilterType: SingleTag, Attributes: map[string]string{"message.type": "FIFO"}}
	parsed(t, "topic.json", ParseTopicConfig, topic)

	conn, err := ParseConsumerConnection(answer(golden(t, "consumer_connection.json")))
	if err != nil || len(conn.Connections) != 1 || conn.Subscriptions["refunds"].Expression != "*" || conn.Model != Clustering ||
		conn.Connections[0] != (Connection{ClientID: "10.1.2.3@42", Address: "10.1.2.3:5", Language: "GO", Version: 475}) {
		t.Errorf("consumer connection: %+v, %v", conn, err)
	}
	info, err := ParseRunningInfo(answer(golden(t, "running_info.json")))
	if err != nil || info.Queues[q0].CachedCount != 7 || len(info.Queues) != 2 || info.UserInfo["pool"] != "16/64" {
		t.Errorf("running info: %+v, %v", info, err)
	}
	sameJSON(t, "running_info.json", info.Answer().Body, "mqPopTable")
	if info, err = ParseRunningInfo(answer(golden(t, "running_info_49.json"))); err != nil || len(info.Queues) != 1 {
		t.Errorf("running info of 4.9: %+v, %v", info, err)
	}
	hb, err := ParseHeartbeat(answer(golden(t, "heartbeat.json")))
	if err != nil || hb.ClientID != "10.1.2.3@42" || len(hb.Consumers) != 1 || len(hb.Consumers[0].Subscriptions) != 3 {
		t.Errorf("heartbeat: %+v, %v", hb, err)
	}
}
