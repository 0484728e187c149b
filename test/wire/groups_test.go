package wire

import (
	"slices"
	"testing"
	"time"

	"github.com/rocketkit/rocketkit/internal/frame"
	"github.com/rocketkit/rocketkit/internal/protocol"
)

func TestOffsets(t *testing.T) {
	compare(t, func(s *script) {
		topic, empty, group := s.topic("t"), s.topic("empty"), s.name("g")
		query := func(topic string, zero bool) *frame.Frame {
			return protocol.QueryOffset{Group: group, Topic: topic, ZeroIfAbsent: zero}.Frame()
		}
		update := func(offset int64) *frame.Frame {
			return protocol.UpdateOffset{Group: group, Topic: topic, Offset: offset}.Frame()
		}
		s.do(sendOf(topic, "x").Frame())
		s.stored(topic, 1)
		s.tell("commit before the group", update(1))
		s.do(protocol.CreateGroup{Config: protocol.NewGroupConfig(group)}.Frame())
		s.tell("none", query(topic, false))
		s.tell("zero", query(topic, true))
		s.tell("none of an empty queue", query(empty, false))
		s.tell("zero of an empty queue", query(empty, true))
		s.tell("none of a missing topic", query(s.name("missing"), true))
		for _, offset := range []int64{1, 7, -5, 0} {
			s.tell("commit", update(offset))
			s.tell("committed", query(topic, false))
		}
		s.tell("commit to a missing topic", protocol.UpdateOffset{Group: group, Topic: s.name("missing"), Offset: 1}.Frame())
		p := pullOf(group, topic, 1)
		p.SysFlag |= protocol.PullCommitOffset
		p.CommitOffset = 1
		s.tell("pull and commit", p.Frame())
		s.tell("committed", query(topic, false))
		now := time.Now().UnixMilli()
		for _, name := range []string{topic, empty, s.name("missing")} {
			s.tell("max", protocol.MaxOffset{Topic: name}.Frame())
			s.tell("min", protocol.MinOffset{Topic: name}.Frame())
			for _, at := range []int64{0, now - 3_600_000, now + 3_600_000} {
				s.tell("search", protocol.SearchOffset{Topic: name, Time: at}.Frame())
			}
			s.tell("earliest", protocol.EarliestStoreTime{Topic: name}.Frame())
		}
	})
}

func TestReset(t *testing.T) {
	compare(t, func(s *script) {
		topic, group := s.topic("t"), s.group("g")
		for range 3 {
			s.do(sendOf(topic, "x").Frame())
		}
		s.stored(topic, 3)
		update := protocol.UpdateOffset{Group: group, Topic: topic, Offset: 3}.Frame()
		query := protocol.QueryOffset{Group: group, Topic: topic}.Frame()
		s.do(s.beat(s.client, group, topic))
		s.do(update)
		moved, err := protocol.ParseResetOffset(s.tell("reset", protocol.ResetOffset{Group: group, Topic: topic, Time: 0, Force: true}.Frame()))
		s.note("moved %v %v", moved[protocol.Queue{Topic: topic, Broker: s.brokerName}], err)
		s.tell("commit", update)
		s.tell("query", query)
		s.tell("pull", pullOf(group, topic, 3).Frame())
		s.tell("pull again", pullOf(group, topic, 0).Frame())
		s.tell("query", query)
		s.tell("commit", update)
		s.tell("query", query)
		s.tell("reset one", protocol.ResetOffset{Group: group, Topic: topic, OneQueue: true, Offset: 2, Time: -1}.Frame())
		s.tell("query", query)
		s.tell("reset too far", protocol.ResetOffset{Group: group, Topic: topic, OneQueue: true, Offset: 9, Time: -1}.Frame())
		s.tell("reset to the end", protocol.ResetOffset{Group: group, Topic: topic, Time: -1}.Frame())
		s.tell("query", query)
		s.tell("no group", protocol.ResetOffset{Group: s.name("missing"), Topic: topic}.Frame())
		s.tell("no topic", protocol.ResetOffset{Group: group, Topic: s.name("missing")}.Frame())
		s.note("told %d", s.client.heard(protocol.ReqResetClientOffset))
	})
}

func TestMembers(t *testing.T) {
	compare(t, func(s *script) {
		topic, group := s.topic("t"), s.name("g")
		one, two := s.peer(), s.peer()
		list := func(what string) {
			f := s.ask(s.broker, protocol.ConsumerList{Group: group}.Frame())
			ids, err := protocol.ParseConsumerList(f)
			if err != nil {
				s.noteAnswer(what, f)
				return
			}
			slices.Sort(ids)
			s.note("%s %v", what, ids)
		}
		told := func(a, b int) {
			s.until("notices", func() bool {
				return one.heard(protocol.ReqConsumersChanged) >= a && two.heard(protocol.ReqConsumersChanged) >= b
			})
			time.Sleep(200 * time.Millisecond) // for one too many
			s.note("told %d %d", one.heard(protocol.ReqConsumersChanged), two.heard(protocol.ReqConsumersChanged))
		}
		list("nobody")
		s.noteAnswer("join", s.askAs(one, s.broker, s.beat(one, group, topic)))
		told(1, 0)
		s.askAs(two, s.broker, s.beat(two, group, topic))
		told(2, 1)
		s.askAs(two, s.broker, s.beat(two, group, topic))
		told(2, 1)
		list("both")
		s.askAs(two, s.broker, s.beat(two, group, topic, s.name("other")))
		told(3, 2)
		f := s.tell("connections", protocol.GetConsumerConnection{Group: group}.Frame())
		s.keys("connections", f.Body)
		info, err := protocol.ParseConsumerConnection(f)
		s.note("%d members %v %s %s %s", len(info.Connections), err, info.Type, info.Model, info.From)
		s.tell("retry topic", protocol.MaxOffset{Topic: "%RETRY%" + group}.Frame())
		s.noteAnswer("leave", s.askAs(two, s.broker, protocol.Unregister{ClientID: two.id, ConsumerGroup: group}.Frame()))
		told(4, 2)
		list("one")
		s.askAs(two, s.broker, s.beat(two, group, topic))
		told(5, 3)
		two.remote.Drop(s.broker)
		told(6, 3)
		list("one")
		one.remote.Drop(s.broker)
		s.until("nobody", func() bool {
			return s.ask(s.broker, protocol.ConsumerList{Group: group}.Frame()).Code != 0
		})
		s.tell("nobody there", protocol.GetConsumerConnection{Group: group}.Frame())
		s.noteAnswer("leave what isn't", s.ask(s.broker, protocol.Unregister{ClientID: "x", ConsumerGroup: s.name("new")}.Frame()))
		groups, err := protocol.ParseListGroups(s.do(protocol.ListGroups{}.Frame()))
		_, made := groups[s.name("new")]
		s.note("created %t %v", made, err)
	})
}

func TestLocks(t *testing.T) {
	compare(t, func(s *script) {
		topic, group := s.topic("t"), s.group("g")
		q := []protocol.Queue{{Topic: topic, Broker: s.brokerName}, {Topic: topic, Broker: s.brokerName, ID: 1}}
		lock := func(id string, queues ...protocol.Queue) {
			got, err := protocol.ParseLockQueues(s.ask(s.broker, protocol.LockQueues{Group: group, ClientID: id, Queues: queues}.Frame()))
			s.note("%s holds %d %v", id, len(got), err)
		}
		lock("a", q[0])
		lock("b", q...)
		lock("a", q...)
		s.tell("unlock", protocol.UnlockQueues{Group: group, ClientID: "a", Queues: q}.Frame())
		lock("b", q...)
		lock("c", q...)
		lock("c")
	})
}

func TestRelay(t *testing.T) {
	compare(t, func(s *script) {
		topic, group := s.topic("t"), s.group("g")
		member := s.peer()
		member.answer = func(req *frame.Frame) *frame.Frame {
			if req.Code == protocol.ReqRunningInfo {
				return (&protocol.ConsumerRunningInfo{Properties: map[string]string{"who": "me"}}).Answer()
			}
			q, err := protocol.ParseConsumeDirectly(req)
			if err != nil {
				return protocol.Refuse(protocol.CodeSystemError, err.Error())
			}
			return protocol.ConsumeResult{Result: protocol.ResultSuccess, Remark: string(q.Message.Body)}.Answer()
		}
		sent, err := protocol.ParseSendResult(s.do(sendOf(topic, "hello").Frame()))
		if err != nil {
			s.t.Fatal(err)
		}
		ask := protocol.GetRunningInfo{Group: group, ClientID: member.id}.Frame()
		direct := protocol.ConsumeDirectly{Group: group, ClientID: member.id, MessageID: sent.OffsetID, Topic: topic}.Frame()
		s.tell("nobody", ask)
		s.tell("nobody to consume", direct)
		s.askAs(member, s.broker, s.beat(member, group, topic))
		info, err := protocol.ParseRunningInfo(s.tell("ask", ask))
		s.note("%v %v", info.Properties, err)
		result, err := protocol.ParseConsumeResult(s.tell("consume", direct))
		s.note("%+v %v", result, err)
	})
}
