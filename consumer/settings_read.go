package consumer

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// reader reads JSON more strictly than encoding/json does, which takes "Workers" for "workers", the last of two, and null
// for nothing said. Operators write it by hand; what was meant must not be guessed.
type reader struct {
	unknown []string
	err     error // the first
}

func (r *reader) fail(path, format string, args ...any) {
	if r.err != nil {
		return
	}
	if path == "" {
		path = "the settings"
	}
	r.err = fmt.Errorf("%s: %s", path, fmt.Sprintf(format, args...))
}

// object calls each with the members of an object; each tells whether it knows the key. value is valid JSON.
func (r *reader) object(path string, value []byte, each func(path, key string, value []byte) (known bool)) {
	if value = bytes.TrimSpace(value); value[0] != '{' {
		r.fail(path, "is no object: %s", shortened(value))
		return
	}
	decoder := json.NewDecoder(bytes.NewReader(value))
	_, err := decoder.Token()
	seen := map[string]bool{}
	for err == nil && r.err == nil && decoder.More() {
		var token json.Token
		if token, err = decoder.Token(); err != nil {
			break
		}
		key, _ := token.(string)
		below := strings.TrimPrefix(path+"."+key, ".")
		if seen[key] {
			r.fail(below, "is there twice")
		}
		seen[key] = true
		var member json.RawMessage
		if err = decoder.Decode(&member); err == nil && !each(below, key, bytes.TrimSpace(member)) {
			r.unknown = append(r.unknown, below)
		}
	}
	if err != nil {
		r.fail(path, "%v", err)
	}
}

func (r *reader) number(path string, value []byte) (float64, bool) {
	if c := value[0]; c != '-' && (c < '0' || c > '9') {
		r.fail(path, "is no number: %s", shortened(value))
		return 0, false
	}
	n, _ := strconv.ParseFloat(string(value), 64) // beyond its range: infinite
	return n, true
}

func (r *reader) integer(path string, value []byte, least, most int) *int {
	n, ok := r.number(path, value)
	switch {
	case !ok:
		return nil
	case n != math.Trunc(n):
		r.fail(path, "is no whole number: %s", shortened(value))
		return nil
	case n < float64(least) || n > float64(most):
		r.fail(path, "%s is not between %d and %d", shortened(value), least, most)
		return nil
	}
	i := int(n)
	return &i
}

func (r *reader) rate(path string, value []byte) *float64 {
	n, ok := r.number(path, value)
	if !ok {
		return nil
	}
	if n <= 0 || n > maxRate {
		r.fail(path, "%s is not above 0 and up to %d", shortened(value), int64(maxRate))
		return nil
	}
	return &n
}

func (r *reader) boolean(path string, value []byte) *bool {
	b := string(value) == "true"
	if !b && string(value) != "false" {
		r.fail(path, "is neither true nor false: %s", shortened(value))
		return nil
	}
	return &b
}

func (r *reader) duration(path string, value []byte, least time.Duration) *Duration {
	var text string
	var d Duration
	if json.Unmarshal(value, &text) != nil || value[0] != '"' {
		r.fail(path, "is no duration in quotes, such as \"30s\": %s", shortened(value))
		return nil
	}
	if err := d.UnmarshalText([]byte(text)); err != nil {
		r.fail(path, "%v", err)
		return nil
	}
	if d := time.Duration(d); d < least || d > maxDuration {
		r.fail(path, "%v is not between %v and %v", d, least, maxDuration)
		return nil
	}
	return &d
}

// shortened is a value as errors show it.
func shortened(value []byte) string {
	const most = 40
	if len(value) > most {
		return string(value[:most]) + "…"
	}
	return string(value)
}
