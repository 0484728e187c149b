package trace

import (
	"strings"
	"sync"
)

// What bounds a trace message, and how many wait.
const (
	maxParcel  = 128_000  // bytes of records in one message: AsyncTraceDispatcher.maxMsgSize
	maxKeys    = 16 << 10 // bytes of the keys it is found by; a broker takes 32 KiB of properties
	maxParcels = 32       // full messages that wait: some 4 MB
)

// parcel is what one message of the trace topic holds.
type parcel struct {
	data    []byte
	keys    strings.Builder
	known   map[string]bool // keys
	records int
}

// buffer packs records into parcels. The zero value is ready. Safe for concurrent use.
type buffer struct {
	mu   sync.Mutex
	full []*parcel
	open *parcel // that is being filled; may be nil
}

// add packs a record. It reports false when there is no room, and whether a parcel is full now.
func (b *buffer) add(r *record) (ok, filled bool) {
	data, keys := r.encode(), r.index()
	size := 0
	for _, key := range keys {
		size += len(key) + 1
	}
	if size > maxKeys {
		keys, size = keys[:1], len(keys[0])+1
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.open != nil && (len(b.open.data)+len(data) > maxParcel || b.open.keys.Len()+size > maxKeys) {
		if len(b.full) == maxParcels {
			return false, false
		}
		b.full = append(b.full, b.open)
		b.open, filled = nil, true
	}
	if b.open == nil {
		b.open = &parcel{known: map[string]bool{}}
	}
	b.open.add(data, keys)
	return true, filled
}

func (p *parcel) add(data []byte, keys []string) {
	p.data = append(p.data, data...)
	p.records++
	for _, key := range keys {
		if key == "" || p.known[key] {
			continue
		}
		p.known[key] = true
		if p.keys.Len() > 0 {
			p.keys.WriteByte(' ')
		}
		p.keys.WriteString(key)
	}
}

// next takes out the oldest parcel: a full one, or with all set the one that is being filled. Nil when there is none.
func (b *buffer) next(all bool) (p *parcel, full bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.full) > 0 {
		p := b.full[0]
		b.full[0] = nil
		b.full = b.full[1:]
		return p, true
	}
	if !all {
		return nil, false
	}
	p = b.open
	b.open = nil
	return p, false
}
