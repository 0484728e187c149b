package wire

import (
	"testing"

	"github.com/rocketkit/rocketkit/internal/frame"
	"github.com/rocketkit/rocketkit/internal/protocol"
)

// TestReplyPushes: to whom brokers push replies, and what makes them forget who that is.
func TestReplyPushes(t *testing.T) {
	compare(t, func(s *script) {
		info, err := protocol.ParseClusterInfo(s.ask(s.names, protocol.GetCluster{}.Frame()))
		if err != nil {
			s.t.Fatal(err)
		}
		topic := protocol.ReplyTopic(info.Brokers[s.brokerName].Cluster)
		reply := func(to string) protocol.SendMessage {
			m := sendOf(topic, "answer", "MSG_TYPE", "reply", "CORRELATION_ID", "id", "x", "y")
			if to != "" {
				m.Properties = protocol.AppendProperty(m.Properties, "REPLY_TO_CLIENT", to)
			}
			m.Reply, m.SysFlag = true, protocol.SysCompressed
			return m
		}
		asker := s.peer()
		code := protocol.CodeSuccess
		asker.answer = func(*frame.Frame) *frame.Frame { return &frame.Frame{Code: code} }
		tell := func(what string, m protocol.SendMessage) {
			f := s.ask(s.broker, m.Frame())
			f.Fields = append(frame.Fields(nil), f.Fields...)
			for i := range f.Fields {
				if f.Fields[i].Key == "queueOffset" { // the topic is everybody's
					f.Fields[i].Value = "~"
				}
			}
			s.noteAnswer(what, f)
			s.note("pushed %d", asker.heard(protocol.ReqPushReply))
		}
		beat := func(group string) {
			s.askAs(asker, s.broker, protocol.Heartbeat{ClientID: asker.id, Producers: []protocol.ProducerData{{Group: group}}}.Frame())
		}
		leave := func(group string) {
			s.askAs(asker, s.broker, protocol.Unregister{ClientID: asker.id, ProducerGroup: group}.Frame())
		}
		one, two := s.name("one"), s.name("two")
		tell("nobody named", reply(""))
		tell("not registered", reply(asker.id))
		beat(one)
		tell("registered", reply(asker.id))
		long := reply(asker.id).Frame()
		long.Code = protocol.ReqSendReply
		for i := range long.Fields {
			for at, letter := range []string{"a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k"} {
				if long.Fields[i].Key == letter {
					long.Fields[i].Key = []string{"producerGroup", "topic", "defaultTopic", "defaultTopicQueueNums", "queueId", "sysFlag",
						"bornTimestamp", "flag", "properties", "reconsumeTimes", "unitMode"}[at]
					break
				}
			}
		}
		s.note("request 324: %d", s.ask(s.broker, long).Code)
		code = protocol.CodeSystemError
		tell("not taken", reply(asker.id))
		code = protocol.CodeSuccess
		beat(two)
		leave(one)
		tell("another group of it has left", reply(asker.id))
		beat(two)
		tell("after a heartbeat more", reply(asker.id))
		leave(s.name("three"))
		leave(two)
		beat(two)
		tell("registered anew", reply(asker.id))

		asker.mu.Lock()
		defer asker.mu.Unlock()
		for _, req := range asker.requests {
			if req.Code != protocol.ReqPushReply {
				continue
			}
			push, err := protocol.ParsePushReply(req)
			if err != nil {
				s.t.Fatal(err)
			}
			m := push.Message
			_, pushed := m.Properties.Get("PUSH_REPLY_TIME")
			x, _ := m.Properties.Get("x")
			s.note("group %s topic %s queue %d flags %d body %s x %s pushed at %t hosts %t %t", push.ProducerGroup, m.Topic, m.QueueID, m.SysFlag,
				m.Body, x, pushed, m.BornHost.IsValid(), m.StoreHost.IsValid())
		}
	})
}
