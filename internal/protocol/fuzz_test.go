package protocol

import (
	"bytes"
	"encoding/json"
	"errors"
	"testing"

	"github.com/rocketkit/rocketkit/internal/frame"
)

func FuzzDecodeMessages(f *testing.F) {
	f.Fuzz(func(t *testing.T, block []byte) {
		msgs, err := DecodeMessages(block, "orders")
		if err != nil && !errors.Is(err, ErrMalformed) {
			t.Fatalf("error of another kind: %v", err)
		}
		if cap(msgs) > len(block)+maxInnerNumber {
			t.Fatalf("room for %d messages out of %d bytes", cap(msgs), len(block))
		}
		for i := range msgs {
			m := &msgs[i]
			if m.SysFlag&needsUnwrap == needsUnwrap {
				t.Fatal("a message is left to be unwrapped")
			}
			for name := range m.Properties.All() {
				if _, ok := m.Properties.Get(name); !ok {
					t.Fatalf("property %q is listed, not found", name)
				}
			}
			again, err := DecodeMessages(EncodeMessage(nil, m), "other")
			if len(m.Topic) < 1<<15 && len(m.Properties) <= MaxProperties && (err != nil || len(again) != 1 || again[0].Topic != m.Topic || !bytes.Equal(again[0].Body, m.Body)) {
				t.Fatalf("%+v came back as %+v, %v", m, again, err)
			}
			if err := m.Inflate(1 << 16); err == nil && len(m.Body) > max(1<<16, len(block)) {
				t.Fatalf("inflated to %d bytes", len(m.Body))
			}
		}
	})
}

func FuzzDecodeBatchMessages(f *testing.F) {
	f.Fuzz(func(t *testing.T, block []byte) {
		msgs, err := DecodeBatchMessages(block)
		if err != nil {
			if !errors.Is(err, ErrMalformed) || msgs != nil {
				t.Fatalf("%d messages, error %v", len(msgs), err)
			}
			return
		}
		var again []byte
		for _, m := range msgs {
			again = AppendBatchMessage(again, m.Flag, m.Body, m.Properties)
		}
		if len(again) != len(block) && !longProperties(msgs) {
			t.Fatalf("%d bytes came back as %d", len(block), len(again))
		}
	})
}

func longProperties(msgs []BatchMessage) bool {
	for _, m := range msgs {
		if len(m.Properties) > MaxProperties {
			return true
		}
	}
	return false
}

func FuzzProperties(f *testing.F) {
	f.Fuzz(func(t *testing.T, block []byte, name, value string) {
		want := map[string]string{}
		for k, v := range Properties(block).All() {
			want[k] = v
		}
		for k, v := range want {
			if got, ok := Properties(block).Get(k); !ok || got != v {
				t.Fatalf("%q is %q, %v, want %q", k, got, ok, v)
			}
		}
		if storable(name, value) {
			// Behind a separator, a property is found whatever stands before it.
			p := Properties(AppendProperty(append(bytes.Clone(block), propertySeparator), name, value))
			if got, ok := p.Get(name); !ok || got != value {
				t.Fatalf("appended %q=%q, found %q, %v", name, value, got, ok)
			}
		}
	})
}

func FuzzStandardJSON(f *testing.F) {
	f.Fuzz(func(t *testing.T, in []byte) {
		out, err := standardJSON(in)
		if err != nil {
			if json.Valid(in) {
				t.Fatalf("refused JSON: %v", err)
			}
			return
		}
		if !json.Valid(out) {
			t.Fatalf("%q became %q, which isn't JSON", in, out)
		}
		if len(out) > 4*len(in)+16 {
			t.Fatalf("%d bytes became %d", len(in), len(out))
		}
	})
}

func FuzzInflate(f *testing.F) {
	f.Fuzz(func(t *testing.T, kind uint8, body []byte) {
		m := Message{SysFlag: SysCompressed | int32(kind&7)<<8, Body: body}
		const limit = 1 << 16
		if err := m.Inflate(limit); err != nil {
			if !errors.Is(err, ErrMalformed) || m.SysFlag&SysCompressed == 0 {
				t.Fatalf("flags %#x, error %v", m.SysFlag, err)
			}
		} else if len(m.Body) > limit {
			t.Fatalf("%d bytes", len(m.Body))
		}
	})
}

// parsers are the Parse functions that read a body.
var parsers = []func(*frame.Frame) error{
	func(f *frame.Frame) error { return second(ParseTopicRoute(f)) },
	func(f *frame.Frame) error { return second(ParseClusterInfo(f)) },
	func(f *frame.Frame) error { return second(ParseHeartbeat(f)) },
	func(f *frame.Frame) error { return second(ParseConsumerList(f)) },
	func(f *frame.Frame) error { return second(ParseLockQueues(f)) },
	func(f *frame.Frame) error { return second(ParseListKV(f)) },
	func(f *frame.Frame) error { return second(ParseBrokerRuntimeInfo(f)) },
	func(f *frame.Frame) error { return second(ParseTopicConfig(f)) },
	func(f *frame.Frame) error { return second(ParseTopicConfigs(f)) },
	func(f *frame.Frame) error { return second(ParseListTopics(f)) },
	func(f *frame.Frame) error { return second(ParseListGroups(f)) },
	func(f *frame.Frame) error { return second(ParseGroupsOfTopic(f)) },
	func(f *frame.Frame) error { return second(ParseConsumerConnection(f)) },
	func(f *frame.Frame) error { return second(ParseConsumeStats(f)) },
	func(f *frame.Frame) error { return second(ParseTopicStats(f)) },
	func(f *frame.Frame) error { return second(ParseResetOffset(f)) },
	func(f *frame.Frame) error { return second(ParseConsumeResult(f)) },
	func(f *frame.Frame) error { return second(ParseViewMessage(f)) },
	func(f *frame.Frame) error { return second(ParseQueryMessages(f, "orders")) },
	func(f *frame.Frame) error {
		f.Fields = fieldsOf("group", "g")
		return second(ParseResetNotice(f))
	},
	func(f *frame.Frame) error {
		f.Fields = fieldsOf("consumerGroup", "g", "topic", "orders")
		return second(ParseConsumeDirectly(f))
	},
	func(f *frame.Frame) error {
		f.Fields = fieldsOf("tranStateTableOffset", "1", "commitLogOffset", "2")
		return second(ParseCheckTransaction(f))
	},
	func(f *frame.Frame) error {
		info, err := ParseRunningInfo(f)
		if err != nil {
			return err
		}
		again, err := ParseRunningInfo(info.Answer())
		if err == nil && len(again.Queues) != len(info.Queues) {
			return errors.New("running info doesn't survive a round trip")
		}
		return err
	},
}

func FuzzParse(f *testing.F) {
	f.Fuzz(func(t *testing.T, body []byte) {
		for i, parse := range parsers {
			if err := parse(&frame.Frame{Body: body}); err != nil && !errors.Is(err, ErrMalformed) {
				t.Fatalf("parser %d: %v", i, err)
			}
		}
	})
}

func FuzzRecallHandle(f *testing.F) {
	f.Add("djEgb3JkZXJzIGJyb2tlci1hIDE3MDAwMDAwMDAwMDEgN0YwMDAw")
	f.Fuzz(func(t *testing.T, text string) {
		handle, err := ParseRecallHandle(text)
		if err != nil {
			if !errors.Is(err, ErrMalformed) || handle != (RecallHandle{}) {
				t.Fatalf("%+v, error %v", handle, err)
			}
			return
		}
		if again, err := ParseRecallHandle(handle.String()); err != nil || again != handle {
			t.Fatalf("%+v came back as %+v, %v", handle, again, err)
		}
	})
}
