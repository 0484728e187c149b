package frame

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"
)

// languages are LanguageCode's names by its numbers.
var languages = [...]string{
	"JAVA", "CPP", "DOTNET", "PYTHON", "DELPHI", "ERLANG", "RUBY",
	"OTHER", "HTTP", "GO", "PHP", "OMS", "RUST", "NODE_JS",
}

// fitsBinary tells whether the binary codec can say what f says: Java reads an
// empty string as null, which is not the same in a field, and codes, versions
// and keys have 16 bits.
func fitsBinary(f *Frame) bool {
	for i := range f.Fields {
		if f.Fields[i].Value == "" || f.Fields[i].Key == "" || len(f.Fields[i].Key) > math.MaxInt16 {
			return false
		}
	}
	language, version := f.origin()
	return f.Code == int32(int16(f.Code)) && version == int32(int16(version)) && slices.Contains(languages[:], language)
}

// appendBinary writes what parseBinary reads.
func appendBinary(dst []byte, f *Frame) []byte {
	language, version := f.origin()
	dst = binary.BigEndian.AppendUint16(dst, uint16(f.Code))
	dst = append(dst, byte(slices.Index(languages[:], language)))
	dst = binary.BigEndian.AppendUint16(dst, uint16(version))
	dst = binary.BigEndian.AppendUint32(dst, uint32(f.Opaque))
	dst = binary.BigEndian.AppendUint32(dst, uint32(f.Flag))
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(f.Remark)))
	dst = append(dst, f.Remark...)
	start := len(dst)
	dst = append(dst, 0, 0, 0, 0)
	for i := range f.Fields {
		dst = binary.BigEndian.AppendUint16(dst, uint16(len(f.Fields[i].Key)))
		dst = append(dst, f.Fields[i].Key...)
		dst = binary.BigEndian.AppendUint32(dst, uint32(len(f.Fields[i].Value)))
		dst = append(dst, f.Fields[i].Value...)
	}
	binary.BigEndian.PutUint32(dst[start:], uint32(len(dst)-start-4))
	return dst
}

// parseBinary reads a codec 1 header (RocketMQSerializable):
//
//	int16 code | int8 language | int16 version | int32 opaque | int32 flag
//	int32 length, remark | int32 length of the fields
//	repeated: int16 length, key | int32 length, value
//
// Java reads an empty string as null; since it never writes a null field, an
// empty value is kept as one here.
func parseBinary(h string, f *Frame) error {
	c := cursor{rest: h}
	f.Code = int32(int16(c.integer(2)))
	language := c.integer(1)
	f.Version = int32(int16(c.integer(2)))
	f.Opaque = int32(c.integer(4))
	f.Flag = int32(c.integer(4))
	f.Remark = c.text(4)
	fields := cursor{rest: c.text(4), bad: c.bad}
	if len(c.rest) > 0 {
		return fmt.Errorf("%w: %d bytes after the binary header's fields", ErrMalformed, len(c.rest))
	}
	var few [16]Field
	list := few[:0]
	for len(fields.rest) > 0 && !fields.bad {
		key := fields.text(2)
		value := fields.text(4)
		list = append(list, Field{key, value})
	}
	if fields.bad {
		return fmt.Errorf("%w: binary header of %d bytes ends early", ErrMalformed, len(h))
	}
	f.Language = "OTHER"
	if int(language) < len(languages) {
		f.Language = languages[language]
	}
	f.Fields = own(list)
	return nil
}

// own copies fields off the stack, at their exact size.
func own(list []Field) Fields {
	if len(list) == 0 {
		return nil
	}
	return append(make(Fields, 0, len(list)), list...)
}

// cursor takes big-endian numbers and length-prefixed strings off the front of
// rest. Once something is missing it is bad and yields zeros.
type cursor struct {
	rest string
	bad  bool
}

func (c *cursor) integer(size int) uint32 {
	if c.bad || len(c.rest) < size {
		c.bad = true
		return 0
	}
	var n uint32
	for i := range size {
		n = n<<8 | uint32(c.rest[i])
	}
	c.rest = c.rest[size:]
	return n
}

// text takes a string behind a length of the given size. Java's lengths are
// signed: a negative int32 is larger than any rest here, and so bad as well.
func (c *cursor) text(size int) string {
	n := c.integer(size)
	if c.bad || uint64(n) > uint64(len(c.rest)) {
		c.bad = true
		return ""
	}
	s := c.rest[:n]
	c.rest = c.rest[n:]
	return s
}
