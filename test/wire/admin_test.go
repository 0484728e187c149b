package wire

import (
	"slices"
	"testing"
	"time"

	"github.com/rocketkit/rocketkit/internal/frame"
	"github.com/rocketkit/rocketkit/internal/protocol"
)

func TestTopics(t *testing.T) {
	compare(t, func(s *script) {
		name := s.name("t")
		s.tellNames("no route", protocol.GetRoute{Topic: name}.Frame())
		s.tell("no topic", protocol.GetTopicConfig{Topic: name}.Frame())
		config := protocol.NewTopicConfig(name, 3)
		config.Attributes = map[string]string{"message.type": "FIFO"}
		s.tell("create", protocol.CreateTopic{Config: config}.Frame())
		f := s.tell("config", protocol.GetTopicConfig{Topic: name}.Frame())
		s.keys("config", f.Body)
		got, err := protocol.ParseTopicConfig(f)
		got.Name = ""
		s.note("%+v %v", got, err)
		f = s.tellNames("route", protocol.GetRoute{Topic: name}.Frame())
		s.keys("route", f.Body)
		route, err := protocol.ParseTopicRoute(f)
		s.note("%d %d %v", len(route.Queues), len(route.Brokers), err)
		for _, q := range route.Queues {
			q.Broker = ""
			s.note("%+v", q)
		}
		s.note("master is the broker: %t", route.Brokers[0].Addresses[0] == s.broker)
		all, err := protocol.ParseTopicConfigs(s.do(protocol.ListTopicConfigs{}.Frame()))
		s.note("listed %d %v", all[name].ReadQueues, err)
		names, err := protocol.ParseListTopics(s.tellNames("names", protocol.ListTopics{}.Frame()))
		s.note("named %t %v", slices.Contains(names, name), err)
		s.own(all)
		s.tell("system", protocol.CreateTopic{Config: protocol.NewTopicConfig("BenchmarkTest", 1)}.Frame())
		s.tell("bad", protocol.CreateTopic{Config: protocol.NewTopicConfig("a b", 1)}.Frame())
		s.tell("delete", protocol.DeleteTopicBroker{Topic: name}.Frame())
		s.note("route stays: %d", s.ask(s.names, protocol.GetRoute{Topic: name}.Frame()).Code)
		s.tellNames("delete from names", protocol.DeleteTopicNameServer{Topic: name}.Frame())
		s.tellNames("no route", protocol.GetRoute{Topic: name}.Frame())
		s.tell("delete none", protocol.DeleteTopicBroker{Topic: name}.Frame())
		s.tell("delete system", protocol.DeleteTopicBroker{Topic: "BenchmarkTest"}.Frame())
		s.dialect("cluster", s.tellNames("cluster", protocol.GetCluster{}.Frame()).Body)
		old := protocol.GetRoute{Topic: "BenchmarkTest"}.Frame()
		old.Fields, old.Version = old.Fields[:1], 317 // as client-go asks
		s.dialect("route for an old client", s.ask(s.names, old).Body)
	})
}

// own notes RocketMQ's own topics.
func (s *script) own(all map[string]protocol.TopicConfig) {
	for _, name := range []string{
		"SCHEDULE_TOPIC_XXXX", "RMQ_SYS_TRANS_HALF_TOPIC", "RMQ_SYS_TRANS_OP_HALF_TOPIC", "TBW102", "SELF_TEST_TOPIC",
		"BenchmarkTest", "OFFSET_MOVED_EVENT", "DefaultCluster", "rmq_sys_wheel_timer", s.brokerName,
	} {
		c, there := all[name]
		s.note("own %s %t %d %d %d", tidy(name), there, c.ReadQueues, c.WriteQueues, c.Perm)
	}
}

func TestGroups(t *testing.T) {
	compare(t, func(s *script) {
		topic, name := s.topic("t"), s.name("g")
		config := protocol.NewGroupConfig(name)
		config.RetryMaxTimes = 3
		s.tell("create", protocol.CreateGroup{Config: config}.Frame())
		s.tell("bad", protocol.CreateGroup{Config: protocol.NewGroupConfig("a b")}.Frame())
		f := s.tell("get", &frame.Frame{Code: protocol.ReqGetGroupConfig, Fields: frame.Fields{{Key: "group", Value: name}}})
		s.keys("get", f.Body)
		f = s.do(protocol.ListGroups{}.Frame())
		s.keys("groups", f.Body)
		s.keys("topics", s.do(protocol.ListTopicConfigs{}.Frame()).Body)
		groups, err := protocol.ParseListGroups(f)
		s.note("policy %s", groups[name].RetryPolicy)
		got := groups[name]
		got.RetryPolicy, got.Name, got.Attributes = nil, "", nil
		s.note("%+v %v", got, err)
		for _, own := range []string{"TOOLS_CONSUMER", "FILTERSRV_CONSUMER", "SELF_TEST_C_GROUP", "CID_ONS-HTTP-PROXY", "CID_ONSAPI_PULL", "CID_ONSAPI_PERMISSION", "CID_ONSAPI_OWNER", "CID_RMQ_SYS_TRANS"} {
			_, has := groups[own]
			s.note("%s %t", own, has)
		}
		s.do(protocol.UpdateOffset{Group: name, Topic: topic, Offset: 1}.Frame())
		s.do(s.beat(s.client, s.name("h"), topic))
		names, err := protocol.ParseGroupsOfTopic(s.tell("groups of topic", protocol.GroupsOfTopic{Topic: topic}.Frame()))
		slices.Sort(names)
		s.note("%v %v", names, err)
		s.tell("groups of none", protocol.GroupsOfTopic{Topic: s.name("missing")}.Frame())
		s.tell("delete", protocol.DeleteGroup{Group: name, RemoveOffsets: true}.Frame())
		s.tell("offset", protocol.QueryOffset{Group: name, Topic: topic}.Frame())
		s.tell("delete none", protocol.DeleteGroup{Group: name}.Frame())
		s.do(s.beat(s.client, name, topic))
		groups, err = protocol.ParseListGroups(s.do(protocol.ListGroups{}.Frame()))
		s.note("back %d %v", groups[name].RetryMaxTimes, err)
	})
}

func TestStats(t *testing.T) {
	compare(t, func(s *script) {
		topic, group := s.topic("t"), s.group("g")
		s.do(sendOf(topic, "one", "KEYS", "k1 k2").Frame())
		sent, err := protocol.ParseSendResult(s.do(sendOf(topic, "two", "KEYS", "k2").Frame()))
		if err != nil {
			s.t.Fatal(err)
		}
		s.stored(topic, 2)
		queue := protocol.Queue{Topic: topic, Broker: s.brokerName}
		stats := func(what string, req protocol.GetConsumeStats) {
			got, err := protocol.ParseConsumeStats(s.ask(s.broker, req.Frame()))
			o := got.Queues[queue]
			s.note("%s: %d queues %d %d %d %t %v", what, len(got.Queues), o.Broker, o.Consumer, o.Pull, o.LastTime > 0, err)
		}
		stats("nothing", protocol.GetConsumeStats{Group: group})
		stats("nothing of topic", protocol.GetConsumeStats{Group: group, Topic: topic})
		s.do(protocol.UpdateOffset{Group: group, Topic: topic, Offset: 1}.Frame())
		stats("one", protocol.GetConsumeStats{Group: group})
		s.do(s.beat(s.client, group, s.name("other")))
		stats("subscribed to others", protocol.GetConsumeStats{Group: group})
		stats("no group", protocol.GetConsumeStats{Group: s.name("missing")})
		offsets, err := protocol.ParseTopicStats(s.do(protocol.GetTopicStats{Topic: topic}.Frame()))
		o := offsets[queue]
		s.note("topic %d %d %d %t %v", len(offsets), o.Min, o.Max, o.LastUpdate > 0, err)
		s.tell("topic missing", protocol.GetTopicStats{Topic: s.name("missing")}.Frame())
		query := func(key string, unique bool) (n int) {
			msgs, err := protocol.ParseQueryMessages(s.ask(s.broker, protocol.QueryMessages{
				Topic: topic, Key: key, Unique: unique, Max: 9, End: time.Now().Add(time.Hour).UnixMilli(),
			}.Frame()), topic)
			if err != nil {
				s.t.Fatal(err)
			}
			return len(msgs)
		}
		s.until("the index", func() bool { return query("k2", false) == 2 })
		for _, key := range []string{"k1", "k2", "k3"} {
			s.note("query %s: %d, unique %d", key, query(key, false), query(key, true))
		}
		s.note("query id: %d, unique %d", query(sent.TransactionID, false), query(sent.TransactionID, true))
		_, at, err := protocol.ParseOffsetID(sent.OffsetID)
		if err != nil {
			s.t.Fatal(err)
		}
		s.messages("view", topic, s.tell("view", protocol.ViewMessage{Offset: at, Topic: topic}.Frame()).Body)
		s.tell("view none", protocol.ViewMessage{Offset: 1 << 40, Topic: topic}.Frame())
	})
}

func TestSettings(t *testing.T) {
	compare(t, func(s *script) {
		space := s.name("n")
		s.tellNames("list none", protocol.ListKV{Namespace: space}.Frame())
		s.tellNames("get none", protocol.GetKV{Namespace: space, Key: "k"}.Frame())
		s.tellNames("delete none", protocol.DeleteKV{Namespace: space, Key: "k"}.Frame())
		s.tellNames("put", protocol.PutKV{Namespace: space, Key: "k", Value: "v"}.Frame())
		s.tellNames("get", protocol.GetKV{Namespace: space, Key: "k"}.Frame())
		table, err := protocol.ParseListKV(s.tellNames("list", protocol.ListKV{Namespace: space}.Frame()))
		s.note("%v %v", table, err)
		req := protocol.PutKV{Namespace: space, Key: "k"}.Frame()
		req.Fields = req.Fields[:2]
		s.tellNames("put nothing", req)
		s.tellNames("get", protocol.GetKV{Namespace: space, Key: "k"}.Frame())
		s.tellNames("delete", protocol.DeleteKV{Namespace: space, Key: "k"}.Frame())
		s.tellNames("list empty", protocol.ListKV{Namespace: space}.Frame())
		s.tellNames("put without a key", &frame.Frame{Code: protocol.ReqPutKV, Fields: frame.Fields{{Key: "namespace", Value: space}, {Key: "value", Value: "v"}}})
	})
}
