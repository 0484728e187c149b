package producer_test

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rocketkit/rocketkit/internal/protocol"
	"github.com/rocketkit/rocketkit/producer"
)

func TestDelaysAreTimerProperties(t *testing.T) {
	t.Parallel()
	f := cluster(t, "orders", 4, "a")
	p := f.producer("", producer.Config{})
	at := time.Now().Add(time.Hour)
	for i, c := range []struct {
		m           producer.Message
		name, value string
	}{
		{producer.Message{Delay: 2500 * time.Millisecond}, "TIMER_DELAY_MS", "2500"},
		{producer.Message{Delay: 1}, "TIMER_DELAY_MS", "1"},
		{producer.Message{Delay: 3*time.Millisecond + 1}, "TIMER_DELAY_MS", "4"},
		{producer.Message{DeliverAt: at}, "TIMER_DELIVER_MS", strconv.FormatInt(at.UnixMilli(), 10)},
	} {
		c.m.Topic, c.m.Body = "orders", []byte("x")
		if _, err := p.Send(t.Context(), c.m); err != nil {
			t.Fatal(err)
		}
		if got, _ := f.storedNow()[i].props.Get(c.name); got != c.value {
			t.Errorf("%s is %q, want %q", c.name, got, c.value)
		}
	}
}

// A broker before 5.0 would deliver at once: the message isn't sent there.
func TestBrokersWithoutTimersGetNoTimedMessages(t *testing.T) {
	t.Parallel()
	f := cluster(t, "orders", 4, "a", "b")
	f.version = 407 // V4_9_7
	p := f.producer("", producer.Config{})
	m := producer.Message{Topic: "orders", Body: []byte("x"), Delay: time.Minute}
	_, err := p.Send(t.Context(), m)
	oneWay := p.SendOneWay(t.Context(), m)
	for _, err := range []error{err, oneWay} {
		if err == nil || producer.Retryable(err) || !strings.Contains(err.Error(), "runs V4_9_7: brokers deliver at a time since RocketMQ 5.0 only") {
			t.Errorf("%v", err)
		}
	}
	m.Delay, m.DelayLevel = 0, 3
	if _, err := p.Send(t.Context(), m); err != nil {
		t.Errorf("a level is delivered by every version: %v", err)
	}
	if n := len(f.storedNow()); n != 1 {
		t.Errorf("%d messages stored, want the one with a level", n)
	}
}

// What a broker says of a delay that it can't do is explained.
func TestDelaysThatABrokerRefuses(t *testing.T) {
	t.Parallel()
	for remark, says := range map[string]string{
		"timer message illegal, the delay time should not be bigger than the max delay 259200000ms; or if": "timerMaxDelaySec, which is 3 days",
		"accurate timer message is not enabled, timerWheelEnable is false":                                 "timerWheelEnable is false",
	} {
		f := cluster(t, "orders", 4, "a")
		f.answer = func(sent) (int32, string) {
			if strings.HasPrefix(remark, "timer") {
				return protocol.CodeMessageIllegal, remark
			}
			return protocol.CodeSystemError, remark
		}
		_, err := f.producer("", producer.Config{}).Send(t.Context(), producer.Message{Topic: "orders", Body: []byte("x"), Delay: time.Hour})
		if err == nil || producer.Retryable(err) || !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), "maxMessageSize") {
			t.Errorf("%v, want it to say %q", err, says)
		}
	}
}
