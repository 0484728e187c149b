package mqtest

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rocketkit/rocketkit/internal/frame"
	"github.com/rocketkit/rocketkit/internal/protocol"
)

func TestSettingsOfNameServers(t *testing.T) {
	bubble(t, Config{NameServers: 2}, func(t *testing.T, c *Cluster, cl *client) {
		get := protocol.GetKV{Namespace: "n", Key: "k"}.Frame()
		if f := cl.call("namesrv-a", protocol.PutKV{Namespace: "n", Key: "k", Value: "v"}.Frame()); f.Code != 0 {
			t.Fatal(f.Remark)
		}
		for server, want := range map[string]bool{"namesrv-a": true, "namesrv-b": false} {
			value, found, err := protocol.ParseGetKV(cl.call(server, get))
			if err != nil || found != want || found && value != "v" {
				t.Errorf("%s: %q %t %v", server, value, found, err)
			}
		}
		if err := c.Restart("namesrv-a"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second) // the client's dial waits after the connection broke
		table, err := protocol.ParseListKV(cl.call("namesrv-a", protocol.ListKV{Namespace: "n"}.Frame()))
		if err != nil || table["k"] != "v" {
			t.Fatal(table, err)
		}
		cl.call("namesrv-a", protocol.DeleteKV{Namespace: "n", Key: "k"}.Frame())
		if _, found, _ := protocol.ParseGetKV(cl.call("namesrv-a", get)); found {
			t.Fatal("still there")
		}
	})
}

func TestRoutesFollowTheBrokers(t *testing.T) {
	bubble(t, Config{Brokers: 2, NameServers: 2, Topics: map[string]int{"orders": 1}}, func(t *testing.T, c *Cluster, cl *client) {
		brokers := func(server string) int {
			route, err := protocol.ParseTopicRoute(cl.call(server, protocol.GetRoute{Topic: "orders"}.Frame()))
			if err != nil {
				return 0
			}
			return len(route.Brokers)
		}
		info, err := protocol.ParseClusterInfo(cl.call("namesrv-b", protocol.GetCluster{}.Frame()))
		if err != nil || len(info.Brokers) != 2 || len(info.Clusters["DefaultCluster"]) != 2 {
			t.Fatalf("%+v, %v", info, err)
		}
		if n := brokers("namesrv-b"); n != 2 {
			t.Fatal(n)
		}
		_ = c.Stop("broker-a")
		if n := brokers("namesrv-b"); n != 1 {
			t.Fatal(n)
		}
		_ = c.Restart("broker-a")
		_ = c.Stop("namesrv-a")
		time.Sleep(time.Minute)
		if _, err := cl.try("namesrv-a", protocol.GetCluster{}.Frame(), time.Second); err == nil {
			t.Fatal("a stopped name server answered")
		}
		_ = c.Restart("namesrv-a")
		time.Sleep(29 * time.Second)
		if n := brokers("namesrv-a"); n != 0 {
			t.Fatal(n)
		}
		time.Sleep(2 * time.Second)
		if a, b := brokers("namesrv-a"), brokers("namesrv-b"); a != 2 || b != 2 {
			t.Fatal(a, b)
		}
		if err := c.Stop("broker-x"); err == nil {
			t.Fatal("no such server")
		}
	})
}

func TestTopicsComeAndGo(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, c *Cluster, cl *client) {
		config := protocol.NewTopicConfig("orders", 3)
		config.Attributes = map[string]string{"message.type": "FIFO"}
		cl.ok(protocol.CreateTopic{Config: config}.Frame())
		cl.send("orders", "x")
		got, err := protocol.ParseTopicConfig(cl.ok(protocol.GetTopicConfig{Topic: "orders"}.Frame()))
		if err != nil || got.ReadQueues != 3 || got.Attributes["message.type"] != "FIFO" {
			t.Fatalf("%+v, %v", got, err)
		}
		all, err := protocol.ParseTopicConfigs(cl.ok(protocol.ListTopicConfigs{}.Frame()))
		if err != nil || all["orders"].WriteQueues != 3 {
			t.Fatal(all, err)
		}
		names, err := protocol.ParseListTopics(cl.call("namesrv-a", protocol.ListTopics{}.Frame()))
		if err != nil || !slices.Contains(names, "orders") {
			t.Fatal(names, err)
		}
		if topics := c.Topics(); !slices.Equal(topics, []string{"orders"}) {
			t.Fatal(topics)
		}
		cl.ok(protocol.DeleteTopicBroker{Topic: "orders"}.Frame())
		if f := cl.call("namesrv-a", protocol.GetRoute{Topic: "orders"}.Frame()); f.Code != 0 {
			t.Fatal("the name server wasn't told yet")
		}
		cl.call("namesrv-a", protocol.DeleteTopicNameServer{Topic: "orders"}.Frame())
		time.Sleep(time.Minute)
		if f := cl.call("namesrv-a", protocol.GetRoute{Topic: "orders"}.Frame()); f.Code != protocol.CodeTopicNotExist {
			t.Fatal(f.Code)
		}
	})
}

func TestGroupsComeAndGo(t *testing.T) {
	bubble(t, Config{Topics: map[string]int{"orders": 1}}, func(t *testing.T, c *Cluster, cl *client) {
		config := protocol.NewGroupConfig("g")
		config.RetryMaxTimes = 3
		cl.ok(protocol.CreateGroup{Config: config}.Frame())
		groups, err := protocol.ParseListGroups(cl.ok(protocol.ListGroups{}.Frame()))
		if err != nil || groups["g"].RetryMaxTimes != 3 || !groups["TOOLS_CONSUMER"].ConsumeEnable {
			t.Fatal(groups, err)
		}
		cl.ok(protocol.UpdateOffset{Group: "g", Topic: "orders", Offset: 1}.Frame())
		cl.join("h", "orders")
		names, err := protocol.ParseGroupsOfTopic(cl.ok(protocol.GroupsOfTopic{Topic: "orders"}.Frame()))
		if slices.Sort(names); err != nil || !slices.Equal(names, []string{"g", "h"}) || !slices.Equal(c.Groups(), names) {
			t.Fatal(names, c.Groups(), err)
		}
		cl.ok(protocol.DeleteGroup{Group: "g", RemoveOffsets: true}.Frame())
		if groups := c.Groups(); !slices.Equal(groups, []string{"h"}) {
			t.Fatal(groups)
		}
		cl.refused(protocol.CodeQueryNotFound, protocol.QueryOffset{Group: "g", Topic: "orders"}.Frame())
		cl.ok(protocol.Unregister{ClientID: cl.id, ConsumerGroup: "g"}.Frame()) // creates it
		if groups := c.Groups(); len(groups) != 2 {
			t.Fatal(groups)
		}
	})
}

func TestStats(t *testing.T) {
	bubble(t, Config{Topics: map[string]int{"orders": 2}}, func(t *testing.T, c *Cluster, cl *client) {
		cl.send("orders", "x", "KEYS", "k1 k2")
		sent := cl.send("orders", "y", "KEYS", "k2")
		stored := time.Now().UnixMilli()
		cl.join("g", "orders")
		cl.ok(protocol.UpdateOffset{Group: "g", Topic: "orders", Offset: 1}.Frame())
		queue := protocol.Queue{Topic: "orders", Broker: "broker-a"}
		stats, err := protocol.ParseConsumeStats(cl.ok(protocol.GetConsumeStats{Group: "g"}.Frame()))
		if want := (protocol.ConsumeOffset{Broker: 2, Consumer: 1, Pull: 1, LastTime: stored}); err != nil || stats.Queues[queue] != want || len(stats.Queues) != 2 {
			t.Errorf("%+v, %v", stats, err)
		}
		offsets, err := protocol.ParseTopicStats(cl.ok(protocol.GetTopicStats{Topic: "orders"}.Frame()))
		if want := (protocol.TopicOffset{Max: 2, LastUpdate: stored}); err != nil || offsets[queue] != want {
			t.Errorf("%+v, %v", offsets, err)
		}
		connection, err := protocol.ParseConsumerConnection(cl.ok(protocol.GetConsumerConnection{Group: "g"}.Frame()))
		if err != nil || len(connection.Connections) != 1 || connection.Connections[0].ClientID != cl.id || connection.Model != protocol.Clustering {
			t.Errorf("%+v, %v", connection, err)
		}
		cl.refused(protocol.CodeConsumerNotOnline, protocol.GetConsumerConnection{Group: "h"}.Frame())

		for key, want := range map[string]int{"k1": 1, "k2": 2, "k3": 0, sent.TransactionID: 1} {
			msgs, err := protocol.ParseQueryMessages(cl.call("", protocol.QueryMessages{Topic: "orders", Key: key, Max: 9, End: stored}.Frame()), "orders")
			if err != nil || len(msgs) != want {
				t.Errorf("%s: %d messages, %v", key, len(msgs), err)
			}
		}
		_, at, err := protocol.ParseOffsetID(sent.OffsetID)
		if err != nil {
			t.Fatal(err)
		}
		if m, err := protocol.ParseViewMessage(cl.ok(protocol.ViewMessage{Offset: at}.Frame())); err != nil || string(m.Body) != "y" {
			t.Error(m, err)
		}
		cl.ok(protocol.BrokerRuntimeInfo{}.Frame())
	})
}

func TestRelay(t *testing.T) {
	bubble(t, Config{Topics: map[string]int{"orders": 1}}, func(t *testing.T, c *Cluster, tool *client) {
		member := newClient(t, c)
		slow := false
		member.answer = func(req *frame.Frame) *frame.Frame {
			switch {
			case slow:
				time.Sleep(20 * time.Second)
				return &frame.Frame{}
			case req.Code == protocol.ReqRunningInfo:
				return (&protocol.ConsumerRunningInfo{Properties: map[string]string{"who": "me"}}).Answer()
			case req.Code == protocol.ReqConsumeDirectly:
				q, err := protocol.ParseConsumeDirectly(req)
				if err != nil || q.BrokerName != "broker-a" {
					return protocol.Refuse(protocol.CodeSystemError, "bad request")
				}
				return protocol.ConsumeResult{Result: protocol.ResultSuccess, Remark: string(q.Message.Body)}.Answer()
			}
			return nil
		}
		ask := protocol.GetRunningInfo{Group: "g", ClientID: member.id}.Frame()
		tool.refused(protocol.CodeSystemError, ask)
		member.join("g", "orders")
		info, err := protocol.ParseRunningInfo(tool.ok(ask))
		if err != nil || info.Properties["who"] != "me" {
			t.Fatal(info, err)
		}
		sent := tool.send("orders", "hello")
		result, err := protocol.ParseConsumeResult(tool.ok(protocol.ConsumeDirectly{Group: "g", ClientID: member.id, MessageID: sent.OffsetID}.Frame()))
		if err != nil || result.Remark != "hello" {
			t.Fatal(result, err)
		}
		slow = true
		begin := time.Now()
		tool.refused(protocol.CodeConsumeTimeout, ask)
		if took := time.Since(begin); took != 10*time.Second {
			t.Errorf("waited %v", took)
		}
		time.AfterFunc(time.Second, func() { member.remote.Drop(member.address("broker-a")) })
		tool.refused(protocol.CodeSystemError, ask)
		time.Sleep(30 * time.Second)
		synctest.Wait()
	})
}

func TestTransactions(t *testing.T) {
	bubble(t, Config{Topics: map[string]int{"orders": 1}}, func(t *testing.T, c *Cluster, cl *client) {
		cl.ok(protocol.Heartbeat{ClientID: cl.id, Producers: []protocol.ProducerData{{Group: "p"}}}.Frame())
		prepare := func(body string) (protocol.SendResult, int64) {
			r := cl.send("orders", body, "TRAN_MSG", "true", "PGROUP", "p")
			_, at, err := protocol.ParseOffsetID(r.OffsetID)
			if err != nil {
				t.Fatal(err)
			}
			return r, at
		}
		end := func(queueOffset, at int64, outcome int32, check bool) protocol.EndTransaction {
			return protocol.EndTransaction{ProducerGroup: "p", PreparedOffset: queueOffset, CommitLogOffset: at, Outcome: outcome, FromCheck: check}
		}
		r, at := prepare("committed")
		if n := len(cl.messages("g", "orders", 0)); n != 0 {
			t.Fatal("seen before its commit")
		}
		cl.ok(end(r.QueueOffset, at, protocol.SysCommitted, false).Frame())
		r, at = prepare("rolled back")
		cl.ok(end(r.QueueOffset, at, protocol.SysRolledBack, false).Frame())
		wrong := end(r.QueueOffset, at, protocol.SysCommitted, false)
		wrong.ProducerGroup = "q"
		cl.refused(protocol.CodeSystemError, wrong.Frame())
		if msgs := cl.messages("g", "orders", 0); len(msgs) != 1 || string(msgs[0].Body) != "committed" || prop(msgs[0], "REAL_TOPIC") != "" {
			t.Fatalf("%+v", msgs)
		}

		prepare("in doubt")
		time.Sleep(65 * time.Second)
		synctest.Wait()
		var last protocol.CheckTransaction
		asked := 0
		for len(cl.requests) > 0 {
			q, err := protocol.ParseCheckTransaction(<-cl.requests)
			if err != nil || string(q.Message.Body) != "in doubt" || q.Message.Topic != "orders" {
				t.Fatalf("%+v, %v", q, err)
			}
			last, asked = q, asked+1
		}
		if asked != 2 {
			t.Fatalf("asked %d times", asked)
		}
		cl.ok(end(last.PreparedOffset, last.CommitLogOffset, protocol.SysCommitted, true).Frame())
		if n := len(cl.messages("g", "orders", 1)); n != 1 {
			t.Fatal(n)
		}

		prepare("never settled")
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		if n := cl.notices(protocol.ReqCheckTransaction); n != 15 {
			t.Errorf("asked %d times, want 15", n)
		}
		if n := len(c.Messages(topicUnsolved)); n != 1 {
			t.Errorf("%d given up", n)
		}
	})
}
