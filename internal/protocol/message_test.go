package protocol

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"unsafe"

	"pgregory.net/rapid"
)

func drawHost(t *rapid.T, label string) netip.AddrPort {
	port := rapid.Uint16().Draw(t, label+" port")
	if rapid.Bool().Draw(t, label+" v6") {
		return netip.AddrPortFrom(netip.AddrFrom16([16]byte(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, label))), port)
	}
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte(rapid.SliceOfN(rapid.Byte(), 4, 4).Draw(t, label))), port)
}

// drawMessage makes any message whose flags agree with its hosts and that needs no unwrapping.
func drawMessage(t *rapid.T) Message {
	bytesOf := func(label string, n int) []byte {
		if b := rapid.SliceOfN(rapid.Byte(), 0, n).Draw(t, label); len(b) > 0 {
			return b
		}
		return nil
	}
	m := Message{
		Topic:           rapid.StringN(0, 60, 300).Draw(t, "topic"),
		QueueID:         rapid.Int32().Draw(t, "queue"),
		Flag:            rapid.Int32().Draw(t, "flag"),
		SysFlag:         rapid.Int32().Draw(t, "sysflag") &^ (needsUnwrap | SysBornV6 | SysStoreV6),
		ReconsumeTimes:  rapid.Int32().Draw(t, "reconsume"),
		QueueOffset:     rapid.Int64().Draw(t, "offset"),
		CommitLogOffset: rapid.Int64().Draw(t, "log offset"),
		BornMillis:      rapid.Int64().Draw(t, "born"),
		StoreMillis:     rapid.Int64().Draw(t, "stored"),
		BornHost:        drawHost(t, "born host"),
		StoreHost:       drawHost(t, "store host"),
		PreparedOffset:  rapid.Int64().Draw(t, "prepared"),
		BodyCRC:         rapid.Uint32().Draw(t, "crc"),
		Body:            bytesOf("body", 200),
		Properties:      bytesOf("properties", 200),
	}
	if isV6(m.BornHost) {
		m.SysFlag |= SysBornV6
	}
	if isV6(m.StoreHost) {
		m.SysFlag |= SysStoreV6
	}
	return m
}

func TestMessagesSurviveARoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		want := rapid.SliceOfN(rapid.Custom(drawMessage), 0, 5).Draw(t, "messages")
		var block []byte
		for i := range want {
			block = EncodeMessage(block, &want[i])
		}
		got, err := DecodeMessages(block, "orders")
		if err != nil || len(got) != len(want) {
			t.Fatalf("%d messages of %d, error %v", len(got), len(want), err)
		}
		for i := range want {
			if !reflect.DeepEqual(got[i], want[i]) {
				t.Errorf("message %d:\ngot  %+v\nwant %+v", i, got[i], want[i])
			}
		}
	})
}

func TestATruncatedBlockGivesTheMessagesBefore(t *testing.T) {
	t.Parallel()
	m := goldenMessage()
	one := EncodeMessage(nil, &m)
	block := append(append([]byte{}, one...), one...)
	for cut := len(one) + 1; cut < len(block); cut++ {
		msgs, err := DecodeMessages(block[:cut], "orders")
		if !errors.Is(err, ErrMalformed) || len(msgs) != 1 {
			t.Fatalf("cut at %d: %d messages, error %v", cut, len(msgs), err)
		}
	}
	if !strings.Contains(func() string { _, err := DecodeMessages(block[:len(one)+9], ""); return err.Error() }(), "message 1 at byte") {
		t.Error("the error doesn't say where")
	}
}

func TestHostileLengthsAreErrors(t *testing.T) {
	t.Parallel()
	m := goldenMessage()
	m.Properties = AppendProperty(nil, "a", "b")
	good := EncodeMessage(nil, &m)
	bodyLength := 84
	topicLength := bodyLength + 4 + len(m.Body)
	propertiesLength := topicLength + 1 + len(m.Topic)
	for name, change := range map[string]func(b []byte){
		"no size":             func(b []byte) { binary.BigEndian.PutUint32(b, 0) },
		"small size":          func(b []byte) { binary.BigEndian.PutUint32(b, minMessage-1) },
		"size beyond":         func(b []byte) { binary.BigEndian.PutUint32(b, uint32(len(b)+1)) },
		"negative size":       func(b []byte) { binary.BigEndian.PutUint32(b, 1<<31) },
		"blank magic":         func(b []byte) { binary.BigEndian.PutUint32(b[4:], 0xcbd43194) },
		"negative body":       func(b []byte) { binary.BigEndian.PutUint32(b[bodyLength:], 0xffffffff) },
		"body beyond":         func(b []byte) { binary.BigEndian.PutUint32(b[bodyLength:], uint32(len(b))) },
		"topic beyond":        func(b []byte) { b[topicLength] = 255 },
		"properties beyond":   func(b []byte) { binary.BigEndian.PutUint16(b[propertiesLength:], 0xffff) },
		"hosts of IPv6 claim": func(b []byte) { binary.BigEndian.PutUint32(b[36:], uint32(SysBornV6|SysStoreV6)) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bad := bytes.Clone(good)
			change(bad)
			if msgs, err := DecodeMessages(bad, "orders"); !errors.Is(err, ErrMalformed) || len(msgs) != 0 {
				t.Errorf("%d messages, error %v", len(msgs), err)
			}
		})
	}
}

func TestMessagesShareTheExpectedTopic(t *testing.T) { // not parallel: it counts allocations
	m := goldenMessage()
	var block []byte
	for range 32 {
		block = EncodeMessage(block, &m)
	}
	topic := strings.Clone("orders")
	msgs, err := DecodeMessages(block, topic)
	if err != nil {
		t.Fatal(err)
	}
	for i := range msgs {
		if unsafe.StringData(msgs[i].Topic) != unsafe.StringData(topic) {
			t.Fatalf("message %d has a topic of its own", i)
		}
	}
	allocs := testing.AllocsPerRun(100, func() { _, _ = DecodeMessages(block, topic) })
	if allocs != 1 {
		t.Errorf("%v allocations for a block, want the slice alone", allocs)
	}
}

func TestInnerBatchThatIsCompressed(t *testing.T) {
	t.Parallel()
	batch := AppendBatchMessage(AppendBatchMessage(nil, 0, []byte("one"), nil), 0, []byte("two"), nil)
	outer := goldenMessage()
	outer.Body = zlibbed(t, batch)
	outer.SysFlag = needsUnwrap | SysCompressed
	msgs, err := DecodeMessages(EncodeMessage(nil, &outer), "orders")
	if err != nil || len(msgs) != 2 || string(msgs[1].Body) != "two" || msgs[1].QueueOffset != 43 || msgs[1].SysFlag != 0 {
		t.Fatalf("%+v, %v", msgs, err)
	}
}

func TestInnerBatchesShareOneBudget(t *testing.T) {
	t.Parallel()
	// A batch of one message of 9 MiB of zeros takes 9 KiB: two of them pass what a block may inflate to.
	outer := goldenMessage()
	outer.Body = zlibbed(t, AppendBatchMessage(nil, 0, make([]byte, 9<<20), nil))
	outer.SysFlag = needsUnwrap | SysCompressed
	block := EncodeMessage(EncodeMessage(nil, &outer), &outer)
	msgs, err := DecodeMessages(block, "orders")
	if !errors.Is(err, ErrMalformed) || len(msgs) != 1 {
		t.Errorf("%d messages, error %v", len(msgs), err)
	}
}

func TestInnerBatchOfTooMany(t *testing.T) {
	t.Parallel()
	outer := goldenMessage()
	outer.SysFlag = needsUnwrap
	one := AppendBatchMessage(nil, 0, nil, nil)
	outer.Body = bytes.Repeat(one, maxInnerNumber+1)
	if msgs, err := DecodeMessages(EncodeMessage(nil, &outer), "orders"); !errors.Is(err, ErrMalformed) || len(msgs) != 0 {
		t.Errorf("%d messages, error %v", len(msgs), err)
	}
	outer.Body = bytes.Repeat(one, maxInnerNumber)
	if msgs, err := DecodeMessages(EncodeMessage(nil, &outer), "orders"); err != nil || len(msgs) != maxInnerNumber {
		t.Errorf("%d messages, error %v", len(msgs), err)
	}
}

func TestBatchesSurviveARoundTrip(t *testing.T) {
	t.Parallel()
	part := rapid.Custom(func(t *rapid.T) BatchMessage {
		m := BatchMessage{Flag: rapid.Int32().Draw(t, "flag")}
		if b := rapid.SliceOfN(rapid.Byte(), 0, 50).Draw(t, "body"); len(b) > 0 {
			m.Body = b
		}
		if p := rapid.SliceOfN(rapid.Byte(), 0, 50).Draw(t, "properties"); len(p) > 0 {
			m.Properties = p
		}
		return m
	})
	rapid.Check(t, func(t *rapid.T) {
		want := rapid.SliceOfN(part, 1, 6).Draw(t, "batch")
		var block []byte
		for _, m := range want {
			block = AppendBatchMessage(block, m.Flag, m.Body, m.Properties)
		}
		got, err := DecodeBatchMessages(block)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("got %+v, %v, want %+v", got, err, want)
		}
		for cut := 1; cut < len(block); cut++ {
			if got, err := DecodeBatchMessages(block[:cut]); err != nil && (!errors.Is(err, ErrMalformed) || got != nil) {
				t.Fatalf("cut at %d: %d messages, error %v", cut, len(got), err)
			}
		}
	})
}

func TestAMessageWithoutHosts(t *testing.T) {
	t.Parallel()
	msgs, err := DecodeMessages(EncodeMessage(nil, &Message{Topic: "orders"}), "orders")
	if err != nil || msgs[0].StoreHost.String() != "0.0.0.0:0" {
		t.Errorf("%+v, %v", msgs, err)
	}
	m := Message{BornMillis: 1700000000123, StoreMillis: 1700000000456}
	if m.StoreTime().Sub(m.BornTime()).Milliseconds() != 333 {
		t.Error("times differ from their milliseconds")
	}
	m.Properties = AppendProperty(nil, PropertyKeys, "k1  k2")
	if !reflect.DeepEqual(m.Keys(), []string{"k1", "k2"}) {
		t.Errorf("keys %q", m.Keys())
	}
}

func TestWhatIsTooLongIsCutOff(t *testing.T) {
	t.Parallel()
	m := Message{Topic: "orders", Properties: bytes.Repeat([]byte{'x'}, 70000)}
	msgs, err := DecodeMessages(EncodeMessage(nil, &m), "orders")
	if err != nil || len(msgs[0].Properties) != MaxProperties {
		t.Errorf("%d bytes of properties, error %v", len(msgs[0].Properties), err)
	}
	batch, err := DecodeBatchMessages(AppendBatchMessage(nil, 0, nil, m.Properties))
	if err != nil || len(batch[0].Properties) != MaxProperties {
		t.Errorf("batch: %d bytes of properties, error %v", len(batch[0].Properties), err)
	}
}
