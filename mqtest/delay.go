package mqtest

import (
	"strconv"
	"time"

	"github.com/rocketkit/rocketkit/internal/frame"
	"github.com/rocketkit/rocketkit/internal/protocol"
)

// Bounds of timed messages (MessageStoreConfig's timerPrecisionMs and timerMaxDelaySec).
const (
	timerPrecision = 1000 // ms
	timerMost      = 3 * 24 * time.Hour
)

// What timers note of their messages, of MessageConst.
const (
	propertyTimerEnqueue = "TIMER_ENQUEUE_MS"
	propertyTimerDequeue = "TIMER_DEQUEUE_MS"
)

func delayLevel(props properties) int {
	level, _ := strconv.Atoi(props.get(protocol.PropertyDelayLevel))
	return level
}

// delay turns a message that is to be delivered later into the one that waits: in the topic of delays or that of timers,
// with its real topic and queue as properties (HookUtils.handleScheduleMessage).
func (b *broker) delay(m *protocol.Message, props *properties) (due time.Time, delayed bool, refusal *frame.Frame) {
	if level := delayLevel(*props); level > 0 {
		level = min(level, len(b.cluster.cfg.DelayLevels))
		if level == 0 { // the cluster has no levels
			return time.Time{}, false, nil
		}
		props.drop(protocol.PropertyTimerDeliverMillis)
		props.drop(protocol.PropertyTimerDelaySeconds)
		props.drop(protocol.PropertyTimerDelayMillis)
		props.set(protocol.PropertyDelayLevel, strconv.Itoa(level))
		putAside(m, props, topicSchedule, int32(level-1))
		return b.now().Add(b.cluster.cfg.DelayLevels[level-1]), true, nil
	}
	at, timed, refusal := timer(*props, b.millis())
	if !timed || refusal != nil || at <= b.millis() {
		return time.Time{}, false, refusal
	}
	floor := (at - 1) / timerPrecision * timerPrecision
	props.set(protocol.PropertyTimerOutMillis, strconv.FormatInt(floor, 10))
	putAside(m, props, topicTimer, 0)
	return time.UnixMilli(floor + timerPrecision), true, nil
}

func putAside(m *protocol.Message, props *properties, topic string, queue int32) {
	props.set(protocol.PropertyRealTopic, m.Topic)
	props.set(protocol.PropertyRealQueueID, strconv.Itoa(int(m.QueueID)))
	m.Topic, m.QueueID, m.Properties = topic, queue, props.block()
}

// timer reads when a timed message is due; times are in ms since 1970.
func timer(props properties, now int64) (at int64, timed bool, refusal *frame.Frame) {
	if props.get(protocol.PropertyTimerOutMillis) != "" {
		return 0, false, nil
	}
	for _, form := range []struct {
		property  string
		unit, add int64
	}{
		{protocol.PropertyTimerDelaySeconds, 1000, now},
		{protocol.PropertyTimerDelayMillis, 1, now},
		{protocol.PropertyTimerDeliverMillis, 1, 0},
	} {
		text := props.get(form.property)
		if text == "" {
			continue
		}
		n, err := strconv.ParseInt(text, 10, 64)
		at = n*form.unit + form.add
		if err != nil || at-now > timerMost.Milliseconds() {
			return 0, true, refuse(protocol.CodeMessageIllegal, "timer message illegal, the delay time should not be bigger than "+
				"the max delay "+strconv.FormatInt(timerMost.Milliseconds(), 10)+"ms; or if set del msg, the delay time should be "+
				"bigger than the current time")
		}
		return at, true, nil
	}
	return 0, false, nil
}

// deliverAt delivers a message that waits once it is due by the broker's clock.
func (b *broker) deliverAt(r *record, due time.Time) {
	b.later(due.Sub(b.now()), func() {
		if due, waits := b.waiting[r]; !waits || b.now().Before(due) { // the clock was set, and this planned anew
			return
		}
		delete(b.waiting, r)
		m := r.msg
		topic, _ := m.Properties.Get(protocol.PropertyRealTopic)
		queue, _ := m.Properties.Get(protocol.PropertyRealQueueID)
		id, _ := strconv.Atoi(queue)
		if m.Topic == topicTimer {
			m.Properties = timed(m.Properties, m.StoreMillis, b.millis())
		}
		m.Topic, m.QueueID, m.StoreMillis = topic, int32(id), b.millis()
		// The others stay as they are: a delivered message still says which level it had and where it was to go.
		b.storeMessage(m)
	})
}

// timed adds what a broker's timers note of a message: when it got to them, and when it left (TimerMessageStore).
func timed(block protocol.Properties, came, left int64) protocol.Properties {
	props := readProperties(block)
	props.set(propertyTimerEnqueue, strconv.FormatInt(came, 10))
	props.set(propertyTimerDequeue, strconv.FormatInt(left, 10))
	return props.block()
}
