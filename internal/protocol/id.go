package protocol

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"sync/atomic"
	"time"
)

// IDs makes message ids for the property UNIQ_KEY in the format of Java's MessageClientIDSetter, so that RocketMQ's tools
// can read the address, the process and the time out of them: address, process id (2 bytes), 4 bytes that tell runs of
// a process apart, milliseconds since the month began (4), counter (2), all in upper-case hex: 32 digits, or 56 with
// an IPv6 address. Safe for concurrent use.
type IDs struct {
	prefix  []byte // address, process id, run
	month   atomic.Pointer[month]
	counter atomic.Uint32
}

type month struct{ start, end int64 } // ms since 1970

// NewIDs returns a generator. The address is this machine's as its peers see it; the zero Addr stands for 0.0.0.0.
// Of the process id, the lower 16 bits count. Java draws the bytes that tell runs apart from a class loader; here they
// are random, so that processes of the same id in different containers differ.
func NewIDs(ip netip.Addr, pid int) *IDs {
	var prefix []byte
	switch ip = ip.Unmap(); {
	case !ip.IsValid():
		prefix = make([]byte, 4)
	default:
		prefix = ip.AsSlice()
	}
	prefix = binary.BigEndian.AppendUint16(prefix, uint16(pid))
	prefix = binary.BigEndian.AppendUint32(prefix, rand.Uint32())
	g := &IDs{prefix: prefix}
	g.counter.Store(rand.Uint32())
	return g
}

// Next makes an id. Ids of one generator are distinct as long as fewer than 65,536 are made within a millisecond.
func (g *IDs) Next(now time.Time) string {
	ms := now.UnixMilli()
	m := g.month.Load()
	if m == nil || ms < m.start || ms >= m.end {
		m = monthOf(now)
		g.month.Store(m)
	}
	var raw [28]byte
	id := append(raw[:0], g.prefix...)
	id = binary.BigEndian.AppendUint32(id, uint32(ms-m.start))
	id = binary.BigEndian.AppendUint16(id, uint16(g.counter.Add(1)))
	var text [56]byte
	return string(upperHex(text[:0], id))
}

// monthOf gives the bounds of now's month in its own zone, as Java takes the machine's.
func monthOf(now time.Time) *month {
	start := time.Date(now.Year(), now.Month(), 1, 0, 0, 0, 0, now.Location())
	return &month{start: start.UnixMilli(), end: start.AddDate(0, 1, 0).UnixMilli()}
}
