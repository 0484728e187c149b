package protocol

import (
	"bytes"
	"errors"
	"runtime"
	"testing"

	"github.com/klauspost/compress/zlib"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
)

func zlibbed(t testing.TB, body []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zlib.NewWriter(&b)
	if _, err := w.Write(body); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func lz4ed(t testing.TB, body []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := lz4.NewWriter(&b)
	if _, err := w.Write(body); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func zstded(t testing.TB, body []byte) []byte {
	t.Helper()
	w, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	return w.EncodeAll(body, nil)
}

// compressed gives a body in every form that a message may say it has.
func compressed(t testing.TB, body []byte) map[int32][]byte {
	t.Helper()
	z := zlibbed(t, body)
	return map[int32][]byte{0: z, SysZlib: z, SysLZ4: lz4ed(t, body), SysZstd: zstded(t, body)}
}

func TestInflateStopsAtItsLimit(t *testing.T) {
	t.Parallel()
	body := make([]byte, 100_000)
	for kind, small := range compressed(t, body) {
		m := Message{SysFlag: SysCompressed | kind, Body: small}
		for _, limit := range []int{1, 100, len(body) - 1} {
			if err := m.Inflate(limit); !errors.Is(err, ErrMalformed) {
				t.Errorf("kind %#x, limit %d: error %v", kind, limit, err)
			}
			if m.SysFlag&SysCompressed == 0 || !bytes.Equal(m.Body, small) {
				t.Errorf("kind %#x: a failed Inflate changed the message", kind)
			}
		}
		if err := m.Inflate(len(body)); err != nil || len(m.Body) != len(body) {
			t.Errorf("kind %#x at exactly the limit: %d bytes, error %v", kind, len(m.Body), err)
		}
	}
}

func TestInflateWithoutALimitHasOne(t *testing.T) {
	t.Parallel()
	for kind, bomb := range compressed(t, make([]byte, 17<<20)) {
		m := Message{SysFlag: SysCompressed | kind, Body: bomb}
		if err := m.Inflate(0); !errors.Is(err, ErrMalformed) {
			t.Errorf("kind %#x: error %v", kind, err)
		}
	}
}

func TestABombTakesLittleMemory(t *testing.T) {
	for kind, bomb := range compressed(t, make([]byte, 64<<20)) {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		m := Message{SysFlag: SysCompressed | kind, Body: bomb}
		if err := m.Inflate(1 << 20); !errors.Is(err, ErrMalformed) {
			t.Errorf("kind %#x: error %v", kind, err)
		}
		runtime.ReadMemStats(&after)
		// Decoders keep windows of up to 8 MiB; far from the 64 MiB the body claims.
		if used := after.TotalAlloc - before.TotalAlloc; used > 32<<20 {
			t.Errorf("kind %#x: %d bytes allocated for a limit of 1 MiB", kind, used)
		}
	}
}

func TestInflateRefusesGarbage(t *testing.T) {
	t.Parallel()
	for _, kind := range []int32{0, SysLZ4, SysZstd, SysZlib, 5 << 8} {
		for _, body := range []string{"x", "not compressed at all"} {
			m := Message{SysFlag: SysCompressed | kind, Body: []byte(body)}
			if err := m.Inflate(1 << 20); !errors.Is(err, ErrMalformed) {
				t.Errorf("kind %#x, body %q: error %v", kind, body, err)
			}
		}
	}
	for kind, body := range compressed(t, bytes.Repeat([]byte("abc"), 1000)) {
		m := Message{SysFlag: SysCompressed | kind, Body: body[:len(body)/2]}
		if err := m.Inflate(1 << 20); !errors.Is(err, ErrMalformed) {
			t.Errorf("kind %#x, cut in half: error %v", kind, err)
		}
	}
	empty := Message{SysFlag: SysCompressed}
	if err := empty.Inflate(1); err != nil || empty.SysFlag != 0 {
		t.Errorf("an empty body: %v, flags %#x", err, empty.SysFlag)
	}
}
