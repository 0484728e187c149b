package protocol

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/rocketkit/rocketkit/internal/frame"
)

const maxJSONDepth = 64 // RocketMQ's deepest body has about eight levels

// decodeAnswer checks an answer's code and decodes its body.
func decodeAnswer(request int32, f *frame.Frame, into any) error {
	if err := Check(request, f); err != nil {
		return err
	}
	return decodeBody(request, f.Body, into)
}

// decodeBody decodes a JSON body, which may be in fastjson's own dialect.
func decodeBody(request int32, body []byte, into any) error {
	if len(body) == 0 {
		return badAnswer(request, errors.New("no body"))
	}
	standard, err := standardJSON(body)
	if err == nil {
		err = json.Unmarshal(standard, into)
	}
	if err != nil {
		return badAnswer(request, fmt.Errorf("body: %w", err))
	}
	return nil
}

// standardJSON turns what Java's fastjson writes for maps into JSON: bare keys ({0:"a"}) get quotes, and keys that are
// objects ({{"queueId":0}:1}) become strings that hold the object's JSON. What is JSON already is returned as it is.
func standardJSON(b []byte) ([]byte, error) {
	if json.Valid(b) {
		return b, nil
	}
	s := standardizer{in: b, out: make([]byte, 0, len(b)+len(b)/4)}
	if err := s.value(0, false); err != nil {
		return nil, err
	}
	if s.peek() != 0 || s.at < len(b) {
		return nil, s.unexpected("the end")
	}
	if !json.Valid(s.out) {
		return nil, errors.New("neither JSON nor fastjson's dialect of it")
	}
	return s.out, nil
}

// standardizer copies tokens from in to out, without the space between them. It checks only what it must to find
// their ends; the rest is checked on the result.
type standardizer struct {
	in, out []byte
	at      int
}

// peek skips space and returns the next byte, 0 at the end.
func (s *standardizer) peek() byte {
	for ; s.at < len(s.in); s.at++ {
		switch c := s.in[s.at]; c {
		case ' ', '\t', '\r', '\n':
		default:
			return c
		}
	}
	return 0
}

// take copies one byte that peek has returned.
func (s *standardizer) take() {
	s.out = append(s.out, s.in[s.at])
	s.at++
}

func (s *standardizer) unexpected(want string) error {
	if s.at >= len(s.in) {
		return fmt.Errorf("ends where %s was expected", want)
	}
	return fmt.Errorf("byte %d is %q where %s was expected", s.at, s.in[s.at], want)
}

func (s *standardizer) value(depth int, inKey bool) error {
	if depth > maxJSONDepth {
		return fmt.Errorf("nested deeper than %d levels", maxJSONDepth)
	}
	switch s.peek() {
	case '{':
		return s.object(depth, inKey)
	case '[':
		return s.array(depth, inKey)
	case '"':
		return s.text()
	}
	return s.bare("a value")
}

func (s *standardizer) object(depth int, inKey bool) error {
	return s.items('}', func() error {
		if err := s.key(depth, inKey); err != nil {
			return err
		}
		if s.peek() != ':' {
			return s.unexpected("a colon")
		}
		s.take()
		return s.value(depth+1, inKey)
	})
}

func (s *standardizer) array(depth int, inKey bool) error {
	return s.items(']', func() error { return s.value(depth+1, inKey) })
}

// items copies a bracket, what stands behind it with commas between, and the bracket that ends it.
func (s *standardizer) items(end byte, item func() error) error {
	s.take()
	for first := true; ; first = false {
		switch c := s.peek(); {
		case c == end:
			s.take()
			return nil
		case first:
		case c == ',':
			s.take()
		default:
			return s.unexpected("a comma or " + string(end))
		}
		if err := item(); err != nil {
			return err
		}
	}
}

// key copies a key, and makes a string of one that isn't. Object keys within object keys are refused: RocketMQ has
// none, and the quoting would double at each level.
func (s *standardizer) key(depth int, inKey bool) error {
	start := len(s.out)
	switch s.peek() {
	case '"':
		return s.text()
	case '{', '[':
		if inKey {
			return fmt.Errorf("byte %d: an object as a key within a key", s.at)
		}
		if err := s.value(depth+1, true); err != nil {
			return err
		}
	default:
		if err := s.bare("a key"); err != nil {
			return err
		}
	}
	raw := append([]byte(nil), s.out[start:]...)
	s.out = append(s.out[:start], '"')
	for _, c := range raw {
		if c == '"' || c == '\\' {
			s.out = append(s.out, '\\')
		}
		s.out = append(s.out, c)
	}
	s.out = append(s.out, '"')
	return nil
}

func (s *standardizer) text() error {
	start := s.at
	for s.at++; s.at < len(s.in); s.at++ {
		switch s.in[s.at] {
		case '\\':
			s.at++
		case '"':
			s.at++
			s.out = append(s.out, s.in[start:s.at]...)
			return nil
		}
	}
	return fmt.Errorf("byte %d: a string without an end", start)
}

// bare copies a number, a literal or a key without quotes.
func (s *standardizer) bare(want string) error {
	s.peek()
	start := s.at
	for s.at < len(s.in) && isBare(s.in[s.at]) {
		s.at++
	}
	if s.at == start {
		return s.unexpected(want)
	}
	s.out = append(s.out, s.in[start:s.at]...)
	return nil
}

func isBare(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' ||
		c == '_' || c == '-' || c == '+' || c == '.' || c == '$'
}
