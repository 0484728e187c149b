package dynconf

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Namespace is where name servers keep the documents (KVConfigManager's first key).
const Namespace = "ROCKETKIT_SETTINGS"

// What a document may be at most. Writers keep below readers: name servers log each value they are given.
const (
	MaxWritten = 8 << 10        // bytes of an encoded document that Encode makes
	MaxRead    = 16 << 10       // and that Decode takes
	MaxAhead   = 24 * time.Hour // how far a revision may lie in the future
)

// version is of the encoding; Decode refuses others.
const version = 1

// ID says whose document it is, by logical names. Tenant is empty where there is none.
type ID struct{ Tenant, Group string }

// Key is the document's key in the name servers' table: "tenant%group", or "group" without a tenant.
func (id ID) Key() string {
	if id.Tenant == "" {
		return id.Group
	}
	return id.Tenant + "%" + id.Group
}

// PreviousKey is the key of the document that the current one has replaced. No group's name has a '#'.
func (id ID) PreviousKey() string { return id.Key() + "#previous" }

// String names the document for people.
func (id ID) String() string {
	if id.Tenant == "" {
		return "group " + id.Group
	}
	return "group " + id.Group + " of tenant " + id.Tenant
}

// Document is a group's settings at one revision.
type Document struct {
	Rev     int64           // a higher one replaces a lower one; by default the writer's time in ms, or one more than the last
	At      time.Time       // when it was written, by its writer's clock, in ms
	Expires time.Time       // from then on it counts for nothing, and the program's own settings hold; zero: never. In ms
	Deleted bool            // it only says that there are no settings any more
	By      string          // who wrote it, for people
	Spec    json.RawMessage // the settings, a JSON object; nil when Deleted
	Key     string          // names the key that it is signed with, see KeyID; empty: unsigned
}

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

// KeyID is the name of a public key in documents: the first 16 hex digits of its SHA-256.
func KeyID(key ed25519.PublicKey) string {
	sum := sha256.Sum256(key)
	return hex.EncodeToString(sum[:8])
}

// Encode writes the document of id, signed with key; a nil key leaves it unsigned. d.Key is ignored.
func (d Document) Encode(id ID, key ed25519.PrivateKey) (string, error) {
	e := envelope{Version: version, Rev: d.Rev, At: d.At.UnixMilli(), Deleted: d.Deleted, By: d.By}
	if !d.Expires.IsZero() {
		e.Expires = d.Expires.UnixMilli()
	}
	if !d.Deleted {
		var spec bytes.Buffer
		if err := json.Compact(&spec, d.Spec); err != nil {
			return "", fmt.Errorf("settings of %s: %w", id, err)
		}
		e.Spec = spec.Bytes()
	}
	signed := e.signed(id)
	e.Sum = sum(signed)
	if key != nil {
		e.Key = KeyID(key.Public().(ed25519.PublicKey))
		e.Sig = base64.StdEncoding.EncodeToString(ed25519.Sign(key, signed))
	}
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false) // it would change the spec that was signed
	if err := encoder.Encode(e); err != nil {
		return "", fmt.Errorf("settings of %s: %w", id, err)
	}
	if text.Len() > MaxWritten {
		return "", fmt.Errorf("settings of %s: %d bytes; %d are allowed", id, text.Len(), MaxWritten)
	}
	return strings.TrimSuffix(text.String(), "\n"), nil
}

// Decode reads the document of id and checks all that can be told from it alone. With keys it must be signed with one of
// them; without any, a signature isn't looked at. now is what its revision is compared with. An error is a [*Refusal].
func Decode(id ID, text string, now time.Time, keys ...ed25519.PublicKey) (Document, error) {
	if len(text) > MaxRead {
		return Document{}, refuse(TooLarge, "%d bytes; %d are allowed", len(text), MaxRead)
	}
	var e envelope
	if err := json.Unmarshal([]byte(text), &e); err != nil {
		return Document{}, refuse(Malformed, "no JSON of a document: %w", err)
	}
	if e.Version != version {
		return Document{}, refuse(UnknownVersion, "version %d of the encoding; this program knows %d", e.Version, version)
	}
	var spec bytes.Buffer
	if !e.Deleted {
		if err := json.Compact(&spec, e.Spec); err != nil || !bytes.HasPrefix(spec.Bytes(), []byte("{")) {
			return Document{}, refuse(Malformed, "spec is no JSON object")
		}
	}
	e.Spec = spec.Bytes()
	signed := e.signed(id)
	if sum(signed) != e.Sum {
		return Document{}, refuse(Malformed, "its checksum isn't that of its content: it was changed by hand, or is another group's")
	}
	if err := e.verify(signed, keys); err != nil {
		return Document{}, err
	}
	if ahead := time.UnixMilli(e.Rev).Sub(now); e.Rev <= 0 || ahead > MaxAhead {
		return Document{}, refuse(FromTheFuture, "revision %d is none of a time up to %v from now: compare the clocks", e.Rev, MaxAhead)
	}
	d := Document{Rev: e.Rev, At: time.UnixMilli(e.At), Deleted: e.Deleted, By: e.By, Key: e.Key}
	if !e.Deleted {
		d.Spec = e.Spec
	}
	if e.Expires != 0 {
		d.Expires = time.UnixMilli(e.Expires)
	}
	return d, nil
}

func (e *envelope) verify(signed []byte, keys []ed25519.PublicKey) error {
	if len(keys) == 0 {
		return nil
	}
	if e.Sig == "" {
		return refuse(BadSignature, "it isn't signed, and this program takes only what is")
	}
	signature, err := base64.StdEncoding.DecodeString(e.Sig)
	if err != nil {
		return refuse(BadSignature, "its signature is no base64")
	}
	for _, key := range keys {
		if KeyID(key) != e.Key {
			continue
		}
		if ed25519.Verify(key, signed, signature) {
			return nil
		}
		return refuse(BadSignature, "its signature isn't that of key %s over its content", e.Key)
	}
	return refuse(BadSignature, "it is signed with key %q, which this program doesn't know", e.Key)
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

// Reason is why a document was refused, one of few.
type Reason string

// The reasons.
const (
	Malformed      Reason = "malformed"  // no JSON, no object, or a wrong checksum
	TooLarge       Reason = "too_large"  // more than MaxRead
	UnknownVersion Reason = "version"    // of the encoding
	FromTheFuture  Reason = "future"     // a revision more than MaxAhead ahead
	BadSignature   Reason = "signature"  // unsigned, by an unknown key, or wrong
	Older          Reason = "older"      // a revision below the one that was applied
	Invalid        Reason = "invalid"    // its settings are wrong or out of range
	Unreadable     Reason = "unreadable" // the source can't be read
)

// Refusal is a document that changes nothing.
type Refusal struct {
	Reason Reason
	Err    error
}

func refuse(reason Reason, format string, args ...any) *Refusal {
	return &Refusal{reason, fmt.Errorf(format, args...)}
}

// Error says what is wrong with it.
func (r *Refusal) Error() string { return r.Err.Error() }

// Unwrap returns what is wrong with it.
func (r *Refusal) Unwrap() error { return r.Err }

// reasonOf is the reason of an error; one that has none is Invalid.
func reasonOf(err error) Reason {
	var refusal *Refusal
	if errors.As(err, &refusal) {
		return refusal.Reason
	}
	return Invalid
}
