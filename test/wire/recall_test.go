package wire

import (
	"strconv"
	"testing"
	"time"

	"github.com/rocketkit/rocketkit/internal/protocol"
)

// What a timed message's answer carries, which handles are refused, and what doesn't come once it is recalled.
func TestRecall(t *testing.T) {
	compare(t, func(s *script) {
		topic, group := s.topic("t"), s.group("g")
		at := func(d time.Duration) string { return strconv.FormatInt(time.Now().Add(d).UnixMilli(), 10) }
		sent := func(what, body string, props ...string) protocol.RecallHandle {
			f := s.ask(s.broker, sendOf(topic, body, append(props, "UNIQ_KEY", s.name(body))...).Frame())
			result, err := protocol.ParseSendResult(f)
			if err != nil {
				t.Fatal(err)
			}
			handle, err := protocol.ParseRecallHandle(result.RecallHandle)
			s.note("%s: handle %t, of its topic %t, id %s, broker %t", what, err == nil, handle.Topic == topic, handle.ID, handle.Broker == s.brokerName)
			return handle
		}
		sent("plain", "plain")
		sent("by level", "level", "DELAY", "1")
		sent("in the past", "past", "TIMER_DELIVER_MS", at(-time.Hour))
		gone := sent("by delay", "gone", "TIMER_DELAY_MS", "3000")
		sent("by time", "stays", "TIMER_DELIVER_MS", at(3*time.Second))
		s.tell("too far", sendOf(topic, "far", "TIMER_DELIVER_MS", at(80*time.Hour)).Frame())
		s.tell("no number", sendOf(topic, "far", "TIMER_DELIVER_MS", "soon").Frame())

		recall := func(what string, h protocol.RecallHandle) {
			s.tell(what, protocol.Recall{ProducerGroup: "wire", Topic: topic, Handle: h.String(), BrokerName: s.brokerName}.Frame())
		}
		recall("recall", gone)
		recall("recall again", gone)
		other := gone
		other.Topic = s.name("other")
		recall("of another topic", other)
		other = gone
		other.Broker = "another"
		recall("of another broker", other)
		other = gone
		other.Due = time.Now().Add(-time.Second).UnixMilli()
		recall("that is due", other)
		other.Due = time.Now().Add(80 * time.Hour).UnixMilli()
		recall("beyond the timers", other)
		other = gone
		other.ID = s.name("nobody")
		recall("of what nobody sent", other)
		s.tell("no handle", protocol.Recall{Topic: topic, Handle: "v1"}.Frame())
		s.tell("no topic", protocol.Recall{Topic: s.name("missing"), Handle: gone.String()}.Frame())

		s.stored(topic, 4) // plain, past, level, stays
		s.messages("pulled", topic, s.do(pullOf(group, topic, 0).Frame()).Body)
	})
}
