package dynconf

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"
)

// version is of the encoding; Decode refuses others.
const version = 1

// latest is the last moment of the year 9999, in ms: JSON has no way to write a later one.
const latest = 253402300799999

// envelope is a Document as name servers and files have it.
type envelope struct {
	Version int             `json:"s"`
	Rev     int64           `json:"rev"`
	At      int64           `json:"at"`
	Expires int64           `json:"exp,omitempty"`
	Deleted bool            `json:"deleted,omitempty"`
	By      string          `json:"by,omitempty"`
	Spec    json.RawMessage `json:"spec,omitempty"`
	Sum     string          `json:"sum"`
	Key     string          `json:"key,omitempty"`
	Sig     string          `json:"sig,omitempty"`
}

// parse reads a text and checks what its checksum and signature say nothing of. An error is a [*Refusal].
func parse(text string) (*envelope, error) {
	e := new(envelope)
	if len(text) > MaxRead {
		return nil, e.refuse(TooLarge, "it has more than %d bytes", MaxRead)
	}
	if !utf8.ValidString(text) {
		return nil, e.refuse(Malformed, "no JSON of a document: it isn't UTF-8")
	}
	if err := json.Unmarshal([]byte(text), e); err != nil {
		return nil, new(envelope).refuse(Malformed, "no JSON of a document: %w", err)
	}
	if key := repeated(text); key != "" {
		return nil, e.refuse(Malformed, "it has %.40q twice", key)
	}
	if e.Version != version {
		return nil, e.refuse(UnknownVersion, "version %d of the encoding; this program knows %d", e.Version, version)
	}
	if e.Rev <= 0 {
		return nil, e.refuse(Malformed, "revision %d is none: they are above 0", e.Rev)
	}
	if e.At < 0 || e.At > latest || e.Expires < 0 || e.Expires > latest {
		return nil, e.refuse(Malformed, "it was written at %d and expires at %d: one of these is no time in ms", e.At, e.Expires)
	}
	var spec bytes.Buffer
	if !e.Deleted {
		if err := json.Compact(&spec, e.Spec); err != nil || !bytes.HasPrefix(spec.Bytes(), []byte("{")) {
			return nil, e.refuse(Malformed, "spec is no JSON object")
		}
	}
	e.Spec = spec.Bytes()
	return e, nil
}

func (e *envelope) refuse(reason Reason, format string, args ...any) *Refusal {
	return &Refusal{Reason: reason, Rev: max(e.Rev, 0), Err: fmt.Errorf(format, args...)}
}

// repeated finds a key that one object of a JSON text has twice: readers don't agree which of them counts. Empty: none.
func repeated(text string) string {
	type level struct {
		seen  map[string]bool // nil in an array
		value bool            // what comes is the value of a key
	}
	var levels []level
	for decoder := json.NewDecoder(strings.NewReader(text)); ; {
		token, err := decoder.Token()
		if err != nil {
			return "" // its end
		}
		switch token {
		case json.Delim('{'):
			levels = append(levels, level{seen: map[string]bool{}})
			continue
		case json.Delim('['):
			levels = append(levels, level{})
			continue
		case json.Delim('}'), json.Delim(']'):
			levels = levels[:len(levels)-1]
		}
		if len(levels) == 0 {
			continue
		}
		in := &levels[len(levels)-1]
		if key, ok := token.(string); ok && in.seen != nil && !in.value {
			if len(levels) == 1 {
				key = strings.ToLower(strings.ToUpper(key)) // so encoding/json finds a struct's fields
			}
			if in.seen[key] {
				return key
			}
			in.seen[key], in.value = true, true
			continue
		}
		in.value = false
	}
}

// millis is a time in ms; 0 for none.
func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

// moment is the reverse of millis.
func moment(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms)
}

func (e *envelope) verify(signed []byte, keys []ed25519.PublicKey) error {
	if len(keys) == 0 {
		return nil
	}
	if e.Sig == "" {
		return e.refuse(BadSignature, "it isn't signed, and this program takes only what is")
	}
	signature, err := base64.StdEncoding.DecodeString(e.Sig)
	if err != nil {
		return e.refuse(BadSignature, "its signature is no base64")
	}
	for _, key := range keys {
		if len(key) != ed25519.PublicKeySize || KeyID(key) != e.Key {
			continue
		}
		if ed25519.Verify(key, signed, signature) {
			return nil
		}
		return e.refuse(BadSignature, "its signature isn't that of key %s over its content", e.Key)
	}
	return e.refuse(BadSignature, "it is signed with key %.40q, which this program doesn't know", e.Key)
}

// signed is what the checksum and the signature are of: whose it is, and all it says.
func (e *envelope) signed(id ID) []byte {
	by, _ := json.Marshal(e.By) // on one line
	return fmt.Appendf(nil, "rocketkit settings %d\n%s\n%d %d %d %t\n%s\n%s", e.Version, id.Key(), e.Rev, e.At, e.Expires, e.Deleted, by, e.Spec)
}

func sum(signed []byte) string {
	s := sha256.Sum256(signed)
	return hex.EncodeToString(s[:])
}
