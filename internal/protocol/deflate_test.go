package protocol

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
)

func deflaters(t testing.TB) map[int32]*Deflater {
	t.Helper()
	all := map[int32]*Deflater{}
	for _, kind := range []int32{SysZlib, SysLZ4, SysZstd} {
		d, err := NewDeflater(kind)
		if err != nil {
			t.Fatal(err)
		}
		all[kind] = d
	}
	if _, err := NewDeflater(4 << 8); err == nil {
		t.Error("an unknown compression has a Deflater")
	}
	return all
}

// What is compressed is what Inflate gives back, whoever else compresses meanwhile.
func TestDeflate(t *testing.T) {
	t.Parallel()
	for kind, d := range deflaters(t) {
		var group sync.WaitGroup
		for worker := range 4 {
			group.Go(func() {
				for size := range 40 {
					body := bytes.Repeat(fmt.Appendf(nil, "%d of worker %d; ", size, worker), 50+size*size*20)
					before := []byte("properties")
					out, flag, ok := d.Deflate(before, body)
					if !ok || flag != SysCompressed|kind || !bytes.HasPrefix(out, before) || len(out) >= len(body) {
						t.Errorf("kind %#x: %d bytes became %d, flag %#x, %t", kind, len(body), len(out), flag, ok)
						return
					}
					m := Message{Body: out[len(before):], SysFlag: flag}
					if err := m.Inflate(0); err != nil || !bytes.Equal(m.Body, body) {
						t.Errorf("kind %#x: %d bytes: inflated to %d, %v", kind, len(body), len(m.Body), err)
						return
					}
				}
			})
		}
		group.Wait()
	}
}

// What doesn't get smaller stays as it is.
func TestDeflateOfNoise(t *testing.T) {
	t.Parallel()
	noise := make([]byte, 5000)
	for i := range noise {
		noise[i] = byte(rand.Int())
	}
	for kind, d := range deflaters(t) {
		for _, body := range [][]byte{noise, {1}, nil} {
			if out, flag, ok := d.Deflate([]byte("as it was"), body); ok || flag != 0 || string(out) != "as it was" {
				t.Errorf("kind %#x: %d bytes of noise became %d, flag %#x, %t", kind, len(body), len(out), flag, ok)
			}
		}
	}
}
