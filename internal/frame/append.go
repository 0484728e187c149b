package frame

import (
	"encoding/binary"
	"fmt"
	"strconv"
	"unicode/utf8"
)

const (
	prefixSize = 8 // both length words

	ownLanguage = "GO"
	ownVersion  = 493 // MQVersion.Version.V5_4_0.ordinal(), which mqadmin prints by name
)

// Append appends f as it goes on the wire, with a header in f.Codec, and returns
// the extended slice. It neither keeps nor changes f. What the binary codec
// can't say, which is an empty field, goes as JSON. Bytes that aren't UTF-8 in a
// header string become U+FFFD, by Append or by the server: one that met them in
// JSON would close the connection on everyone. An error wraps ErrTooLarge and
// leaves dst as it was.
func Append(dst []byte, f *Frame) ([]byte, error) {
	start := len(dst)
	if len(f.Body) > MaxSize-prefixSize {
		return dst, tooLarge(f, prefixSize+len(f.Body))
	}
	dst = append(dst, 0, 0, 0, 0, 0, 0, 0, 0)
	codec := JSON
	if f.Codec == Binary && fitsBinary(f) {
		codec = Binary
		dst = appendBinary(dst, f)
	} else {
		dst = appendJSON(dst, f)
	}
	header := len(dst) - start - prefixSize
	if size := prefixSize + header + len(f.Body); size > MaxSize {
		return dst[:start], tooLarge(f, size)
	}
	binary.BigEndian.PutUint32(dst[start:], uint32(4+header+len(f.Body)))
	binary.BigEndian.PutUint32(dst[start+4:], uint32(codec)<<24|uint32(header))
	return append(dst, f.Body...), nil
}

func tooLarge(f *Frame, size int) error {
	return fmt.Errorf("%w: request or answer code %d takes %d bytes, RocketMQ takes %d; send less in one", ErrTooLarge, f.Code, size, MaxSize)
}

// origin is what the frame says of its sender.
func (f *Frame) origin() (language string, version int32) {
	language, version = f.Language, f.Version
	if language == "" {
		language = ownLanguage
	}
	if version == 0 {
		version = ownVersion
	}
	return language, version
}

func appendJSON(dst []byte, f *Frame) []byte {
	language, version := f.origin()
	dst = append(dst, `{"code":`...)
	dst = strconv.AppendInt(dst, int64(f.Code), 10)
	dst = append(dst, `,"language":`...)
	dst = appendString(dst, language)
	dst = append(dst, `,"version":`...)
	dst = strconv.AppendInt(dst, int64(version), 10)
	dst = append(dst, `,"opaque":`...)
	dst = strconv.AppendInt(dst, int64(f.Opaque), 10)
	dst = append(dst, `,"flag":`...)
	dst = strconv.AppendInt(dst, int64(f.Flag), 10)
	if f.Remark != "" {
		dst = append(dst, `,"remark":`...)
		dst = appendString(dst, f.Remark)
	}
	if len(f.Fields) > 0 {
		dst = append(dst, `,"extFields":{`...)
		for i := range f.Fields {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = appendString(dst, f.Fields[i].Key)
			dst = append(dst, ':')
			dst = appendString(dst, f.Fields[i].Value)
		}
		dst = append(dst, '}')
	}
	return append(dst, '}')
}

const hexDigits = "0123456789abcdef"

// appendString writes s as a JSON string. Message properties (field i of
// SEND_MESSAGE_V2) are full of \u0001 and \u0002, so control characters are no
// rare case here.
func appendString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	plain := 0 // start of what needs no escape
	for i := 0; i < len(s); {
		c := s[i]
		if c >= utf8.RuneSelf {
			r, size := utf8.DecodeRuneInString(s[i:])
			if r == utf8.RuneError && size == 1 {
				dst = append(dst, s[plain:i]...)
				dst = append(dst, "\uFFFD"...)
				plain = i + 1
			}
			i += size
			continue
		}
		if c >= ' ' && c != '"' && c != '\\' {
			i++
			continue
		}
		dst = append(dst, s[plain:i]...)
		dst = appendEscape(dst, c)
		i++
		plain = i
	}
	dst = append(dst, s[plain:]...)
	return append(dst, '"')
}

func appendEscape(dst []byte, c byte) []byte {
	switch c {
	case '"', '\\':
		return append(dst, '\\', c)
	case '\n':
		return append(dst, '\\', 'n')
	case '\r':
		return append(dst, '\\', 'r')
	case '\t':
		return append(dst, '\\', 't')
	default:
		return append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&0xF])
	}
}
