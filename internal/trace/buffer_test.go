package trace

import (
	"fmt"
	"strings"
	"testing"
)

func pub(id, keys string) *record { return &record{kind: kindPub, id: id, keys: keys, topic: "orders"} }

// A trace message stays within what brokers take, whichever of its parts grows first, and names each key once.
func TestParcelsAreBounded(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		add   func(i int) *record
		twice bool // each key comes from two records
	}{
		"by keys":         {func(i int) *record { return pub(fmt.Sprintf("id-%029d", i), "") }, false},
		"by data":         {func(i int) *record { r := pub(fmt.Sprint(i), ""); r.host = strings.Repeat("h", 1000); return r }, false},
		"keys said twice": {func(i int) *record { return pub(fmt.Sprint(i/2), "same") }, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var b buffer
			const n = 3000
			fills := 0
			for i := range n {
				ok, filled := b.add(test.add(i))
				if !ok {
					t.Fatalf("no room for record %d", i)
				}
				if filled {
					fills++
				}
			}
			records, parcels := 0, 0
			for p, _ := b.next(true); p != nil; p, _ = b.next(true) {
				parcels++
				records += p.records
				keys := strings.Fields(p.keys.String())
				if len(p.data) > maxParcel || p.keys.Len() > maxKeys {
					t.Errorf("a parcel of %d bytes, keys of %d", len(p.data), p.keys.Len())
				}
				if got := strings.Count(string(p.data), "\x02"); got != p.records {
					t.Errorf("%d records in a parcel of %d", got, p.records)
				}
				if seen := len(p.known); seen != len(keys) {
					t.Errorf("%d keys written, %d different ones", len(keys), seen)
				}
			}
			if records != n || fills != parcels-1 || parcels < 2 && !test.twice {
				t.Errorf("%d records in %d parcels, %d of them filled; want %d records", records, parcels, fills, n)
			}
		})
	}
}

// A message whose own keys are too many is found by its id.
func TestTooManyKeys(t *testing.T) {
	t.Parallel()
	var b buffer
	b.add(pub("id", strings.Repeat("key ", maxKeys/4)))
	if p, _ := b.next(true); p.keys.String() != "id" {
		t.Errorf("keys %.40q", p.keys.String())
	}
}

func TestBufferIsBounded(t *testing.T) {
	t.Parallel()
	var b buffer
	bytes := 0
	for i := 0; ; i++ {
		r := pub(fmt.Sprint(i), "")
		r.host = strings.Repeat("h", 5000)
		if ok, _ := b.add(r); !ok {
			break
		}
		if bytes += len(r.encode()); bytes > (maxParcels+1)*maxParcel {
			t.Fatalf("%d bytes are held", bytes)
		}
	}
	if b.next(false); len(b.full) != maxParcels-1 {
		t.Errorf("%d parcels wait", len(b.full))
	}
	if ok, _ := b.add(pub("id", "")); !ok {
		t.Error("no room after a parcel was taken")
	}
}
