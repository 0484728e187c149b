package producer_test

import (
	"bytes"
	"context"
	"maps"
	"math/rand/v2"
	"strconv"
	"testing"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/internal/protocol"
	"github.com/rocketkit/rocketkit/producer"
)

// inflated gives a stored message's body as a consumer sees it, and whether it was compressed.
func (s sent) inflated(t *testing.T) (body []byte, kind int32) {
	t.Helper()
	text, _ := s.fields.Get("f")
	flag, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	m := protocol.Message{Body: s.body, SysFlag: int32(flag)}
	if err := m.Inflate(0); err != nil {
		t.Fatal(err)
	}
	return m.Body, int32(flag)
}

func with(t *testing.T, client *rocketkit.Client, c producer.Compression) *producer.Producer {
	t.Helper()
	p, err := producer.New(client, producer.Config{Compression: c})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close(context.Background()) })
	return p
}

func TestCompression(t *testing.T) {
	t.Parallel()
	noise := make([]byte, 10_000)
	for i := range noise {
		noise[i] = byte(rand.Int())
	}
	text := bytes.Repeat([]byte("compress me "), 1000)
	for algorithm, bits := range map[producer.CompressionAlgorithm]int32{
		producer.NoCompression: 0, producer.LZ4: 0x101, producer.Zstd: 0x201, producer.Zlib: 0x301,
	} {
		f := cluster(t, "orders", 1, "a")
		client := f.client("")
		p := with(t, client, producer.Compression{Algorithm: algorithm})
		small := with(t, client, producer.Compression{Algorithm: algorithm, Threshold: 1000})
		for _, c := range []struct {
			p    *producer.Producer
			body []byte
			want int32
		}{
			{p, text, bits}, {p, text[:4096], bits}, {p, text[:4095], 0}, {p, noise, 0}, {small, text[:1000], bits}, {small, text[:999], 0},
		} {
			m := producer.Message{Topic: "orders", Body: c.body, Tag: "t", Properties: map[string]string{"n": "1"}}
			r, err := c.p.Send(t.Context(), m)
			if err != nil {
				t.Fatal(err)
			}
			stored := f.storedNow()
			s := stored[len(stored)-1]
			body, flag := s.inflated(t)
			props := map[string]string{"UNIQ_KEY": r.ID, "TAGS": "t", "n": "1"}
			if flag != c.want || !bytes.Equal(body, c.body) || !maps.Equal(maps.Collect(s.props.All()), props) {
				t.Errorf("%v: %d bytes went out as %d with flag %#x and properties %q; want flag %#x", algorithm, len(c.body), len(s.body), flag, s.props, c.want)
			}
		}
		if _, err := p.SendBatch(t.Context(), []producer.Message{{Topic: "orders", Body: text}}); err != nil {
			t.Fatal(err)
		}
		stored := f.storedNow()
		if flag, _ := stored[len(stored)-1].fields.Get("f"); flag != "0" {
			t.Errorf("a batch went out with flag %s", flag)
		}
	}
}

// A message that is sent again is sent as it is now, not as it was compressed before.
func TestCompressedMessageIsSentAsItIsNow(t *testing.T) {
	t.Parallel()
	f := cluster(t, "orders", 1, "a")
	p := f.producer("", producer.Config{Compression: producer.Compression{Algorithm: producer.Zlib}})
	m := producer.Message{Topic: "orders", Body: bytes.Repeat([]byte("first "), 1000)}
	for _, text := range []string{"first ", "second "} {
		m.Body = bytes.Repeat([]byte(text), 1000)
		if _, err := p.Send(t.Context(), m); err != nil {
			t.Fatal(err)
		}
		stored := f.storedNow()
		if body, _ := stored[len(stored)-1].inflated(t); !bytes.Equal(body, m.Body) || m.Topic != "orders" {
			t.Errorf("stored %.20q, want %.20q", body, m.Body)
		}
	}
}

// All attempts of a send have the compressed body.
func TestCompressedBodyIsSentAgain(t *testing.T) {
	t.Parallel()
	f := cluster(t, "orders", 1, "a", "b")
	tries := make(chan struct{}, 100)
	f.answer = func(sent) (int32, string) {
		if tries <- struct{}{}; len(tries) < 3 {
			return protocol.CodeSystemBusy, "busy"
		}
		return 0, ""
	}
	p := f.producer("", producer.Config{Compression: producer.Compression{Algorithm: producer.Zstd}})
	text := bytes.Repeat([]byte("again "), 2000)
	if _, err := p.Send(t.Context(), producer.Message{Topic: "orders", Body: text}); err != nil {
		t.Fatal(err)
	}
	if body, _ := f.storedNow()[0].inflated(t); !bytes.Equal(body, text) {
		t.Errorf("stored %.20q", body)
	}
}
