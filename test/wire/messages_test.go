package wire

import (
	"strings"
	"testing"
	"time"

	"github.com/rocketkit/rocketkit/internal/frame"
	"github.com/rocketkit/rocketkit/internal/protocol"
)

func TestSend(t *testing.T) {
	compare(t, func(s *script) {
		topic, group := s.topic("t"), s.group("g")
		s.tell("plain", sendOf(topic, "one").Frame())
		s.tell("tagged", sendOf(topic, "two", "TAGS", "a", "KEYS", "k", "UNIQ_KEY", "mine", "x", "y").Frame())
		m := sendOf(topic, "three", "WAIT", "true")
		m.Flag, m.ReconsumeTimes = 7, 2
		s.tell("flags", m.Frame())
		s.stored(topic, 3)
		s.messages("pulled", topic, s.tell("pull", pullOf(group, topic, 0).Frame()).Body)
		m = sendOf(topic, "four")
		m.QueueID = -1
		s.tell("any queue", m.Frame())
	})
}

func TestLongNamesOfSend(t *testing.T) {
	compare(t, func(s *script) {
		topic, group := s.topic("t"), s.group("g")
		s.tell("request 10", &frame.Frame{Code: protocol.ReqSendMessage, Body: []byte("x"), Fields: frame.Fields{
			{Key: "producerGroup", Value: "p"}, {Key: "topic", Value: topic}, {Key: "defaultTopic", Value: "TBW102"},
			{Key: "defaultTopicQueueNums", Value: "4"}, {Key: "queueId", Value: "0"}, {Key: "sysFlag", Value: "0"},
			{Key: "bornTimestamp", Value: "1"}, {Key: "flag", Value: "0"}, {Key: "properties", Value: "a\x01b"},
		}})
		s.stored(topic, 1)
		s.messages("pulled", topic, s.tell("pull", pullOf(group, topic, 0).Frame()).Body)
	})
}

func TestBatch(t *testing.T) {
	compare(t, func(s *script) {
		topic, group := s.topic("t"), s.group("g")
		body := protocol.AppendBatchMessage(nil, 0, []byte("one"), protocol.AppendProperty(nil, "TAGS", "a"))
		body = protocol.AppendBatchMessage(body, 5, []byte("two"), nil)
		m := sendOf(topic, string(body))
		m.Batch = true
		s.tell("batch", m.Frame())
		s.stored(topic, 2)
		s.messages("pulled", topic, s.tell("pull", pullOf(group, topic, 0).Frame()).Body)
		m.Topic = "%RETRY%" + group
		s.do(s.beat(s.client, group, topic))
		s.tell("to a retry topic", m.Frame())
		m = sendOf(topic, string(body), "DELAY", "1")
		m.Batch = true
		s.tell("delayed", m.Frame())
		m = sendOf(topic, string(protocol.AppendBatchMessage(nil, 0, make([]byte, 4<<20), nil)))
		m.Batch = true
		s.tell("too large", m.Frame())
	})
}

func TestRefusals(t *testing.T) {
	compare(t, func(s *script) {
		topic, group := s.topic("t"), s.group("g")
		s.tell("no topic", sendOf(s.name("missing"), "x").Frame())
		s.tell("bad topic", sendOf("a b", "x").Frame())
		s.tell("long topic", sendOf(strings.Repeat("x", 128), "x").Frame())
		s.tell("system topic", sendOf("SCHEDULE_TOPIC_XXXX", "x").Frame())
		s.tell("too large", sendOf(topic, strings.Repeat("x", 4<<20+1)).Frame())
		s.tell("largest", sendOf(topic, strings.Repeat("x", 4<<20)).Frame())
		s.tell("too many properties", sendOf(topic, "x", "p", strings.Repeat("x", 33<<10)).Frame())
		if f := s.ask(s.broker, sendOf(topic, "").Frame()); true {
			s.note("no body: %d", f.Code)
		}
		m := sendOf(topic, "x")
		m.QueueID = 1
		s.note("no queue: %d", s.ask(s.broker, m.Frame()).Code)
		p := pullOf(group, topic, 0)
		p.QueueID = 1
		s.note("pull no queue: %d", s.ask(s.broker, p.Frame()).Code)
		s.tell("pull no topic", pullOf(group, s.name("missing"), 0).Frame())
		s.tell("pull bad group", pullOf("a b", topic, 0).Frame())
		s.do(protocol.CreateTopic{Config: protocol.TopicConfig{Name: s.name("w"), ReadQueues: 1, WriteQueues: 1, Perm: protocol.PermWrite}}.Frame())
		s.tell("pull unreadable", pullOf(group, s.name("w"), 0).Frame())
		s.do(protocol.CreateTopic{Config: protocol.TopicConfig{Name: s.name("r"), ReadQueues: 1, WriteQueues: 1, Perm: protocol.PermRead}}.Frame())
		s.note("send unwritable: %d", s.ask(s.broker, sendOf(s.name("r"), "x").Frame()).Code)
		s.tell("not subscribed", protocol.PullMessage{Group: group, Topic: topic}.Frame())
		s.do(s.beat(s.client, group))
		s.tell("subscribed to nothing", protocol.PullMessage{Group: group, Topic: topic}.Frame())
		s.do(s.beat(s.client, group, topic))
		s.tell("subscribed before", protocol.PullMessage{Group: group, Topic: topic, SubVersion: time.Now().Add(time.Hour).UnixMilli()}.Frame())
		p = pullOf(group, topic, 0)
		p.Subscription, p.ExpressionType = "a > 1", protocol.ExpressionSQL
		s.tell("sql", p.Frame())
		p.Subscription, p.ExpressionType = "||", ""
		s.tell("bad tags", p.Frame())
		off := protocol.NewGroupConfig(s.name("off"))
		off.ConsumeEnable = false
		s.do(protocol.CreateGroup{Config: off}.Frame())
		s.tell("group off", pullOf(off.Name, topic, 0).Frame())
		s.tell("unknown request", &frame.Frame{Code: 9999})
		s.tellNames("unknown request of a name server", &frame.Frame{Code: 9999})
	})
}

func TestPullOffsets(t *testing.T) {
	compare(t, func(s *script) {
		topic, group, empty := s.topic("t"), s.group("g"), s.topic("empty")
		for range 3 {
			s.do(sendOf(topic, "x").Frame())
		}
		s.stored(topic, 3)
		for _, offset := range []int64{-1, 0, 2, 3, 4, 9} {
			s.tell("pull", pullOf(group, topic, offset).Frame())
		}
		for _, offset := range []int64{-1, 0, 1} {
			s.tell("pull of an empty queue", pullOf(group, empty, offset).Frame())
		}
		for n := range int32(3) {
			p := pullOf(group, topic, 0)
			p.MaxMessages = n
			s.tell("pull some", p.Frame())
		}
		p := pullOf(group, topic, 0)
		p.MaxBytes = 1
		s.tell("pull few bytes", p.Frame())
	})
}

func TestBounds(t *testing.T) {
	compare(t, func(s *script) {
		many, large, group := s.topic("many"), s.topic("large"), s.group("g")
		for range 40 {
			s.do(sendOf(many, "x").Frame())
		}
		for range 8 {
			s.do(sendOf(large, strings.Repeat("x", 50<<10)).Frame())
		}
		s.stored(many, 40)
		s.stored(large, 8)
		s.tell("32 messages", pullOf(group, many, 0).Frame())
		p := pullOf(group, many, 0)
		p.MaxMessages = 100
		s.tell("100 messages", p.Frame())
		s.tell("256 KiB", pullOf(group, large, 0).Frame())
	})
}

func TestFilters(t *testing.T) {
	compare(t, func(s *script) {
		topic, group := s.topic("t"), s.group("g")
		for _, tag := range []string{"a", "AaAa", "BBBB", ""} {
			m := sendOf(topic, "x "+tag, "TAGS", tag)
			if tag == "" {
				m = sendOf(topic, "x")
			}
			s.do(m.Frame())
		}
		s.stored(topic, 4)
		for _, tags := range []string{"*", "", "a", "AaAa || c", "nobody"} {
			p := pullOf(group, topic, 0)
			p.Subscription = tags
			s.messages(tags, topic, s.tell("pull "+tags, p.Frame()).Body)
		}
	})
}

func TestLongPolling(t *testing.T) {
	compare(t, func(s *script) {
		topic, group := s.topic("t"), s.group("g")
		p := pullOf(group, topic, 0)
		p.SysFlag |= protocol.PullSuspend
		p.SuspendMillis = 20_000
		held := func(what string, p protocol.PullMessage, m protocol.SendMessage) {
			done := make(chan *frame.Frame, 1)
			go func() { done <- s.ask(s.broker, p.Frame()) }()
			time.Sleep(300 * time.Millisecond) // the pull is on its way; nothing tells when the broker holds it
			s.do(m.Frame())
			s.noteAnswer(what, <-done)
		}
		held("woken", p, sendOf(topic, "one"))
		p.Offset, p.Subscription = 1, "a"
		held("woken to skip", p, sendOf(topic, "two", "TAGS", "b"))
		p.Offset, p.SuspendMillis = 2, 1
		s.tell("nothing came", p.Frame())
	})
}

func TestDelays(t *testing.T) {
	compare(t, func(s *script) {
		topic, timed, group := s.topic("t"), s.topic("timed"), s.group("g")
		s.note("delayed: %d", s.ask(s.broker, sendOf(topic, "late", "DELAY", "1").Frame()).Code)
		s.note("timed: %d", s.ask(s.broker, sendOf(timed, "timed", "TIMER_DELAY_MS", "1500").Frame()).Code)
		s.tell("too far", sendOf(timed, "timed", "TIMER_DELAY_SEC", "999999").Frame())
		s.tell("not a number", sendOf(timed, "timed", "TIMER_DELAY_SEC", "soon").Frame())
		s.tell("past", sendOf(topic, "past", "TIMER_DELIVER_MS", "1").Frame())
		s.stored(topic, 2)
		s.messages("delayed", topic, s.do(pullOf(group, topic, 0).Frame()).Body)
		s.stored(timed, 1)
		msgs, err := protocol.DecodeMessages(s.do(pullOf(group, timed, 0).Frame()).Body, timed)
		if err != nil || len(msgs) != 1 {
			s.t.Fatal(msgs, err)
		}
		for _, name := range []string{"REAL_TOPIC", "REAL_QID", "TIMER_DELAY_MS", "DELAY"} {
			value, has := msgs[0].Properties.Get(name)
			s.note("timed %s %q %t", name, value, has)
		}
		_, out := msgs[0].Properties.Get("TIMER_OUT_MS")
		s.note("timed out %t", out)
	})
}

func TestRetries(t *testing.T) {
	compare(t, func(s *script) {
		topic, group := s.topic("t"), s.group("g")
		s.do(s.beat(s.client, group, topic))
		s.do(sendOf(topic, "one", "TAGS", "a", "KEYS", "k").Frame())
		s.stored(topic, 1)
		m := s.messages("first", topic, s.do(pullOf(group, topic, 0).Frame()).Body)[0]
		s.tell("back", protocol.SendBack{Group: group, Offset: m.CommitLogOffset, DelayLevel: 1, OriginTopic: topic, OriginID: m.OffsetID()}.Frame())
		retry := "%RETRY%" + group
		s.stored(retry, 1)
		again := s.messages("second", retry, s.do(pullOf(group, retry, 0).Frame()).Body)[0]
		origin, _ := again.Properties.Get("ORIGIN_MESSAGE_ID")
		s.note("origin is the first: %t", origin == m.OffsetID())
		s.tell("back again", protocol.SendBack{Group: group, Offset: again.CommitLogOffset, DelayLevel: 1}.Frame())
		s.stored(retry, 2)
		third := s.messages("third", retry, s.do(pullOf(group, retry, 1).Frame()).Body)[0]
		s.tell("dead without its topic", protocol.SendBack{Group: group, Offset: third.CommitLogOffset, DelayLevel: -1}.Frame())
		s.tell("dead", protocol.SendBack{Group: group, Offset: third.CommitLogOffset, DelayLevel: -1, OriginTopic: topic}.Frame())
		dead := "%DLQ%" + group
		s.stored(dead, 1)
		s.messages("dead letter", dead, s.do(pullOf(group, dead, 0).Frame()).Body)
		s.tell("exhausted", protocol.SendBack{Group: group, Offset: third.CommitLogOffset, DelayLevel: 1, MaxReconsumeTimes: 2, OriginTopic: topic}.Frame())
		s.stored(dead, 2)
		none := protocol.SendBack{Group: group, Offset: m.CommitLogOffset, DelayLevel: 1, OriginTopic: topic}.Frame()
		none.Fields = append(none.Fields, frame.Field{Key: "maxReconsumeTimes", Value: "-1"})
		s.tell("no retries", none)
		s.stored(dead, 3)
		s.tell("no such message", protocol.SendBack{Group: group, Offset: 1 << 40}.Frame())
		s.tell("bad group", protocol.SendBack{Group: "a b", Offset: third.CommitLogOffset}.Frame())
	})
}

func TestThePlainRetryTrap(t *testing.T) {
	compare(t, func(s *script) {
		topic, group := s.topic("t"), s.group("g")
		s.do(s.beat(s.client, group, topic))
		retry, dead := "%RETRY%"+group, "%DLQ%"+group
		s.tell("fine", sendOf(retry, "fine", "RETRY_TOPIC", topic).Frame())
		s.stored(retry, 1)
		m := sendOf(retry, "often")
		m.ReconsumeTimes = 17
		s.tell("too often", m.Frame())
		s.stored(dead, 1)
		none := sendOf(retry, "never").Frame()
		none.Fields = append(none.Fields, frame.Field{Key: "l", Value: "-1"})
		s.tell("no retries", none)
		s.stored(dead, 2)
		q := protocol.Queue{Topic: topic, Broker: s.brokerName}
		s.do(protocol.LockQueues{Group: group, ClientID: s.client.id, Queues: []protocol.Queue{q}}.Frame())
		s.tell("trapped", sendOf(retry, "trapped", "DELAY", "2").Frame())
		s.stored(dead, 3)
		s.messages("dead", dead, s.do(pullOf(group, dead, 0).Frame()).Body)
		s.do(protocol.UnlockQueues{Group: group, ClientID: s.client.id, Queues: []protocol.Queue{q}}.Frame())
		s.tell("free", sendOf(retry, "free").Frame())
		s.stored(retry, 2)
	})
}

func TestTransactions(t *testing.T) {
	compare(t, func(s *script) {
		topic, group := s.topic("t"), s.group("g")
		producers := s.name("p")
		s.do(protocol.Heartbeat{ClientID: s.client.id, Producers: []protocol.ProducerData{{Group: producers}}}.Frame())
		prepare := func(body string) (int64, int64) {
			r, err := protocol.ParseSendResult(s.do(sendOf(topic, body, "TRAN_MSG", "true", "PGROUP", producers, "TAGS", "a").Frame()))
			if err != nil {
				s.t.Fatal(err)
			}
			_, at, err := protocol.ParseOffsetID(r.OffsetID)
			if err != nil {
				s.t.Fatal(err)
			}
			return r.QueueOffset, at
		}
		end := func(queueOffset, at int64, outcome int32) protocol.EndTransaction {
			return protocol.EndTransaction{ProducerGroup: producers, PreparedOffset: queueOffset, CommitLogOffset: at, Outcome: outcome, Topic: topic}
		}
		q, at := prepare("committed")
		s.tell("commit", end(q, at, protocol.SysCommitted).Frame())
		s.stored(topic, 1)
		msgs := s.messages("committed", topic, s.do(pullOf(group, topic, 0).Frame()).Body)
		s.note("prepared offset %t", msgs[0].PreparedOffset == at)
		q, at = prepare("rolled back")
		wrong := end(q, at, protocol.SysRolledBack)
		wrong.ProducerGroup = "other"
		s.tell("wrong group", wrong.Frame())
		s.tell("wrong offset", end(q+1, at, protocol.SysRolledBack).Frame())
		s.tell("rollback", end(q, at, protocol.SysRolledBack).Frame())
		s.tell("no such", end(0, 1<<40, protocol.SysCommitted).Frame())
		prepare("in doubt")
		s.until("a check-back", func() bool { return s.client.heard(protocol.ReqCheckTransaction) > 0 })
		s.client.mu.Lock()
		var check protocol.CheckTransaction
		for _, req := range s.client.requests {
			if req.Code == protocol.ReqCheckTransaction {
				var err error
				if check, err = protocol.ParseCheckTransaction(req); err != nil {
					s.t.Error(err)
				}
			}
		}
		s.client.mu.Unlock()
		s.note("check %q %s %t %t", check.Message.Body, strings.TrimPrefix(check.Message.Topic, s.name("")), check.MessageID == check.TransactionID, check.MessageID == check.Message.ID())
		answer := end(check.PreparedOffset, check.CommitLogOffset, protocol.SysCommitted)
		answer.FromCheck = true
		s.tell("commit by check", answer.Frame())
		s.stored(topic, 2)
		s.messages("checked", topic, s.do(pullOf(group, topic, 1).Frame()).Body)

		late := sendOf(topic, "late", "TRAN_MSG", "true", "PGROUP", producers, "CHECK_IMMUNITY_TIME_IN_SECONDS", "5")
		late.BornTime = time.Now().Add(-6 * time.Second).UnixMilli()
		r, err := protocol.ParseSendResult(s.do(late.Frame()))
		if err != nil {
			s.t.Fatal(err)
		}
		_, at, err = protocol.ParseOffsetID(r.OffsetID)
		if err != nil {
			s.t.Fatal(err)
		}
		answer = end(r.QueueOffset, at, protocol.SysCommitted)
		s.tell("commit after the immunity", answer.Frame())
		answer.FromCheck = true
		s.tell("commit by check after the immunity", answer.Frame())
		s.stored(topic, 3)
	})
}

// A broker without property filters takes a heartbeat with one, and refuses to check it and to give messages by it.
func TestSQLFilters(t *testing.T) {
	compare(t, func(s *script) {
		topic, group := s.topic("t"), s.group("g")
		s.do(sendOf(topic, "x").Frame())
		s.stored(topic, 1)
		tags, err := protocol.SubscriptionFor(topic, "a || b")
		if err != nil {
			t.Fatal(err)
		}
		sql, err := protocol.SubscriptionSQL(topic, "a > 5")
		if err != nil {
			t.Fatal(err)
		}
		s.tell("check tags", protocol.CheckClient{ClientID: s.client.id, Group: group, Subscription: tags}.Frame())
		s.tell("check sql", protocol.CheckClient{ClientID: s.client.id, Group: group, Subscription: sql}.Frame())
		beat := protocol.Heartbeat{ClientID: s.client.id, Consumers: []protocol.ConsumerData{{Group: group, Subscriptions: []protocol.SubscriptionData{sql}}}}
		s.tell("heartbeat", beat.Frame())
		s.tell("pull", protocol.PullMessage{Group: group, Topic: topic, MaxMessages: 1, SubVersion: sql.Version, ExpressionType: protocol.ExpressionSQL}.Frame())
	})
}
