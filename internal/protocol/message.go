package protocol

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash/crc32"
	"net/netip"
	"strings"
	"time"
)

// Message is one stored message. Body and Properties still lie in the block they were decoded from: they stay valid
// as long as they are referenced, and keep the whole block in memory.
//
// A Message isn't safe for concurrent use while Inflate runs; reading it is.
type Message struct {
	Topic           string
	QueueID         int32
	Flag            int32 // the application's own bits
	SysFlag         int32 // Sys bits
	ReconsumeTimes  int32
	QueueOffset     int64
	CommitLogOffset int64
	BornMillis      int64 // when the producer made it, ms since 1970
	StoreMillis     int64 // when the broker stored it, ms since 1970
	BornHost        netip.AddrPort
	StoreHost       netip.AddrPort
	PreparedOffset  int64  // of a transaction's first half
	BodyCRC         uint32 // of the body as stored; see BodyCRC
	Body            []byte
	Properties      Properties
}

// BornTime gives BornMillis as a time.
func (m *Message) BornTime() time.Time { return time.UnixMilli(m.BornMillis) }

// StoreTime gives StoreMillis as a time.
func (m *Message) StoreTime() time.Time { return time.UnixMilli(m.StoreMillis) }

// ID gives the id the producer made (property UNIQ_KEY), or the broker's OffsetID when it made none.
func (m *Message) ID() string {
	if id, ok := m.Properties.Get(PropertyUniqueKey); ok && id != "" {
		return id
	}
	return m.OffsetID()
}

// OffsetID gives the broker's id of the message, as Java's MessageDecoder.createMessageId does: the store host's
// address, its port and the commit-log offset in upper-case hex, 32 digits for IPv4 and 56 for IPv6.
func (m *Message) OffsetID() string {
	var raw [28]byte
	id := appendHost(raw[:0], m.StoreHost)
	id = binary.BigEndian.AppendUint64(id, uint64(m.CommitLogOffset))
	var text [56]byte
	return string(upperHex(text[:0], id))
}

// ParseOffsetID takes an id apart that OffsetID or a broker made.
func ParseOffsetID(id string) (store netip.AddrPort, commitLogOffset int64, err error) {
	raw, err := hex.DecodeString(id)
	if err != nil || (len(raw) != 16 && len(raw) != 28) {
		return netip.AddrPort{}, 0, fmt.Errorf("message id %q: %w: want 32 or 56 hex digits", id, ErrMalformed)
	}
	host := len(raw) - 8
	return hostAt(raw[:host]), int64(binary.BigEndian.Uint64(raw[host:])), nil
}

// BodyCRC gives the checksum a broker stores beside a body: CRC-32 without its top bit, as in Java's UtilAll.crc32.
func BodyCRC(body []byte) uint32 { return crc32.ChecksumIEEE(body) & 0x7fffffff }

// hostAt reads an address of 4 or 16 bytes and its port of 4.
func hostAt(b []byte) netip.AddrPort {
	if len(b) == 8 {
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte(b)), uint16(binary.BigEndian.Uint32(b[4:])))
	}
	return netip.AddrPortFrom(netip.AddrFrom16([16]byte(b)), uint16(binary.BigEndian.Uint32(b[16:])))
}

// appendHost writes what hostAt reads; no address is written as 0.0.0.0.
func appendHost(dst []byte, host netip.AddrPort) []byte {
	if isV6(host) {
		a := host.Addr().As16()
		dst = append(dst, a[:]...)
	} else if host.Addr().IsValid() {
		a := host.Addr().As4()
		dst = append(dst, a[:]...)
	} else {
		dst = append(dst, 0, 0, 0, 0)
	}
	return binary.BigEndian.AppendUint32(dst, uint32(host.Port()))
}

func isV6(host netip.AddrPort) bool { return host.Addr().IsValid() && !host.Addr().Is4() }

func upperHex(dst, src []byte) []byte {
	const digits = "0123456789ABCDEF"
	for _, b := range src {
		dst = append(dst, digits[b>>4], digits[b&15])
	}
	return dst
}

// Keys splits the property KEYS: the business keys a message can be looked up by, joined by spaces.
func (m *Message) Keys() []string {
	keys, _ := m.Properties.Get(PropertyKeys)
	return strings.Fields(keys)
}
