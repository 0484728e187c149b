package frame

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// maxDepth bounds the nesting of values that Read skips.
const maxDepth = 64

// parseJSON reads a codec 0 header. It takes what fastjson and its like write:
// any order, unknown keys, nulls (as absent), numbers as strings and the other
// way round, white space, raw control characters in strings.
func parseJSON(h string, f *Frame) error {
	p := parser{s: h}
	err := p.header(f)
	if err == nil {
		if p.space(); p.i < len(p.s) {
			err = p.fail("text after the header's end")
		}
	}
	return err
}

type parser struct {
	s string
	i int // next byte
}

func (p *parser) header(f *Frame) error {
	if err := p.expect('{'); err != nil {
		return err
	}
	for first := true; ; first = false {
		key, more, err := p.key(first)
		if err != nil || !more {
			return err
		}
		switch key {
		case "code":
			err = p.int32(&f.Code)
		case "opaque":
			err = p.int32(&f.Opaque)
		case "flag":
			err = p.int32(&f.Flag)
		case "version":
			err = p.int32(&f.Version)
		case "language":
			f.Language, _, err = p.value(0)
		case "remark":
			f.Remark, _, err = p.value(0)
		case "extFields":
			f.Fields, err = p.fields()
		default:
			_, _, err = p.value(0)
		}
		if err != nil {
			return err
		}
	}
}

func (p *parser) fields() (Fields, error) {
	p.space()
	if strings.HasPrefix(p.s[p.i:], "null") {
		p.i += len("null")
		return nil, nil
	}
	if err := p.expect('{'); err != nil {
		return nil, err
	}
	var few [24]Field
	list := few[:0]
	for first := true; ; first = false {
		key, more, err := p.key(first)
		if err != nil {
			return nil, err
		}
		if !more {
			return own(list), nil
		}
		value, present, err := p.value(0)
		if err != nil {
			return nil, err
		}
		if present {
			list = append(list, Field{key, value})
		}
	}
}

// key takes what stands before an object's next value: a comma unless first,
// the key, and a colon. more is false at the object's end, which it takes too.
func (p *parser) key(first bool) (key string, more bool, err error) {
	p.space()
	if p.at() == '}' {
		p.i++
		return "", false, nil
	}
	if !first {
		if err := p.expect(','); err != nil {
			return "", false, err
		}
		p.space()
	}
	if key, err = p.quoted(); err != nil {
		return "", false, err
	}
	return key, true, p.expect(':')
}

// int32 takes a number into n; null leaves it.
func (p *parser) int32(n *int32) error {
	text, present, err := p.value(0)
	if err != nil || !present {
		return err
	}
	v, err := strconv.ParseInt(text, 10, 32)
	if err != nil {
		return p.fail("want a 32-bit number, have " + strconv.Quote(clip(text)))
	}
	*n = int32(v)
	return nil
}

// value takes any value and returns its text: a string's content, anything
// else as written. present is false for null.
func (p *parser) value(depth int) (text string, present bool, err error) {
	p.space()
	start := p.i
	switch p.at() {
	case '"':
		text, err = p.quoted()
		return text, true, err
	case '{', '[':
		err = p.nested(depth + 1)
	default:
		err = p.literal()
	}
	if err != nil {
		return "", false, err
	}
	if text = p.s[start:p.i]; text == "null" {
		return "", false, nil
	}
	return text, true, nil
}

// nested takes an object or an array.
func (p *parser) nested(depth int) error {
	if depth > maxDepth {
		return p.fail("values nested too deep")
	}
	open := p.at()
	p.i++
	for first := true; ; first = false {
		var more bool
		var err error
		if open == '{' {
			_, more, err = p.key(first)
		} else {
			more, err = p.element(first)
		}
		if err != nil || !more {
			return err
		}
		if _, _, err = p.value(depth); err != nil {
			return err
		}
	}
}

// element is key for arrays.
func (p *parser) element(first bool) (more bool, err error) {
	p.space()
	if p.at() == ']' {
		p.i++
		return false, nil
	}
	if !first {
		return true, p.expect(',')
	}
	return true, nil
}

// literal takes a number, true, false or null.
func (p *parser) literal() error {
	start := p.i
	for p.i < len(p.s) && isLiteral(p.s[p.i]) {
		p.i++
	}
	switch text := p.s[start:p.i]; text {
	case "true", "false", "null":
		return nil
	default:
		if text == "" || (text[0] != '-' && (text[0] < '0' || text[0] > '9')) || strings.Trim(text, "+-.0123456789eE") != "" {
			p.i = start
			return p.fail("want a value")
		}
		return nil
	}
}

func isLiteral(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c == '-' || c == '+' || c == '.' || c == 'E'
}

// quoted takes a string. Without an escape it is a slice of the header.
func (p *parser) quoted() (string, error) {
	if p.at() != '"' {
		return "", p.fail("want a string")
	}
	p.i++
	for i := p.i; i < len(p.s); i++ {
		switch p.s[i] {
		case '"':
			s := p.s[p.i:i]
			p.i = i + 1
			return s, nil
		case '\\':
			return p.escaped(i)
		}
	}
	return "", p.fail("string without an end")
}

// escaped takes the rest of a string whose first backslash is at i.
func (p *parser) escaped(i int) (string, error) {
	b := make([]byte, 0, 2*(i-p.i)+32)
	b = append(b, p.s[p.i:i]...)
	p.i = i
	for p.i < len(p.s) {
		c := p.s[p.i]
		p.i++
		switch c {
		case '"':
			return string(b), nil
		case '\\':
			var err error
			if b, err = p.escape(b); err != nil {
				return "", err
			}
		default:
			b = append(b, c)
		}
	}
	return "", p.fail("string without an end")
}

// escape takes what follows a backslash.
func (p *parser) escape(b []byte) ([]byte, error) {
	c := p.at()
	p.i++
	switch c {
	case '"', '\\', '/':
		return append(b, c), nil
	case 'b':
		return append(b, '\b'), nil
	case 'f':
		return append(b, '\f'), nil
	case 'n':
		return append(b, '\n'), nil
	case 'r':
		return append(b, '\r'), nil
	case 't':
		return append(b, '\t'), nil
	case 'u':
		r, ok := p.hex4()
		if !ok {
			return nil, p.fail(`bad \u escape`)
		}
		return utf8.AppendRune(b, p.pair(r)), nil
	default:
		p.i--
		return nil, p.fail("bad escape")
	}
}

// pair completes a surrogate with the one that should follow. Half a pair is
// U+FFFD, and what follows it stands for itself.
func (p *parser) pair(r rune) rune {
	if !utf16.IsSurrogate(r) {
		return r
	}
	if strings.HasPrefix(p.s[p.i:], `\u`) {
		before := p.i
		p.i += 2
		if second, ok := p.hex4(); ok {
			if whole := utf16.DecodeRune(r, second); whole != utf8.RuneError {
				return whole
			}
		}
		p.i = before
	}
	return utf8.RuneError
}

func (p *parser) hex4() (rune, bool) {
	if len(p.s)-p.i < 4 {
		return 0, false
	}
	n, err := strconv.ParseUint(p.s[p.i:p.i+4], 16, 32)
	if err != nil {
		return 0, false
	}
	p.i += 4
	return rune(n), true
}

// at returns the next byte, or 0 at the end.
func (p *parser) at() byte {
	if p.i < len(p.s) {
		return p.s[p.i]
	}
	return 0
}

func (p *parser) space() {
	for p.i < len(p.s) {
		switch p.s[p.i] {
		case ' ', '\t', '\r', '\n':
			p.i++
		default:
			return
		}
	}
}

func (p *parser) expect(c byte) error {
	if p.space(); p.at() != c {
		return p.fail("want " + strconv.QuoteRune(rune(c)))
	}
	p.i++
	return nil
}

func (p *parser) fail(what string) error {
	return fmt.Errorf("%w: JSON header, byte %d of %d: %s", ErrMalformed, p.i, len(p.s), what)
}

// clip keeps a hostile header out of logs.
func clip(s string) string {
	if len(s) > 32 {
		return s[:32] + "..."
	}
	return s
}
