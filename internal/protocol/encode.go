package protocol

import "encoding/binary"

// MaxProperties is the longest block of properties a message can have, in bytes. A broker adds some of its own
// (a few hundred bytes) and refuses the message when they don't fit together.
const MaxProperties = 1<<15 - 1

// EncodeMessage appends a message in the broker's store format and returns the extended slice. The bits of SysFlag
// that tell IPv4 from IPv6 are set by the hosts at hand. Topics above 127 bytes take the second format, as a
// broker's do. BodyCRC is written as it is.
//
// The topic must not exceed 32,767 bytes, nor the properties MaxProperties: what is longer is cut off.
func EncodeMessage(dst []byte, m *Message) []byte {
	be := binary.BigEndian
	topic := m.Topic[:min(len(m.Topic), 1<<15-1)]
	properties := m.Properties[:min(len(m.Properties), MaxProperties)]
	magic := magicV1
	if len(topic) > 127 {
		magic = magicV2
	}
	flags := m.SysFlag &^ (SysBornV6 | SysStoreV6)
	if isV6(m.BornHost) {
		flags |= SysBornV6
	}
	if isV6(m.StoreHost) {
		flags |= SysStoreV6
	}

	start := len(dst)
	dst = be.AppendUint32(dst, 0) // the total size, known at the end
	dst = be.AppendUint32(dst, magic)
	dst = be.AppendUint32(dst, m.BodyCRC)
	dst = be.AppendUint32(dst, uint32(m.QueueID))
	dst = be.AppendUint32(dst, uint32(m.Flag))
	dst = be.AppendUint64(dst, uint64(m.QueueOffset))
	dst = be.AppendUint64(dst, uint64(m.CommitLogOffset))
	dst = be.AppendUint32(dst, uint32(flags))
	dst = be.AppendUint64(dst, uint64(m.BornMillis))
	dst = appendHost(dst, m.BornHost)
	dst = be.AppendUint64(dst, uint64(m.StoreMillis))
	dst = appendHost(dst, m.StoreHost)
	dst = be.AppendUint32(dst, uint32(m.ReconsumeTimes))
	dst = be.AppendUint64(dst, uint64(m.PreparedOffset))
	dst = be.AppendUint32(dst, uint32(len(m.Body)))
	dst = append(dst, m.Body...)
	if magic == magicV2 {
		dst = be.AppendUint16(dst, uint16(len(topic)))
	} else {
		dst = append(dst, byte(len(topic)))
	}
	dst = append(dst, topic...)
	dst = be.AppendUint16(dst, uint16(len(properties)))
	dst = append(dst, properties...)
	be.PutUint32(dst[start:], uint32(len(dst)-start))
	return dst
}
