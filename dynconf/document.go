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
)

// Namespace is where name servers keep the documents (KVConfigManager's first key).
const Namespace = "ROCKETKIT_SETTINGS"

// What a document may be at most. Writers keep below readers: name servers log each value they are given.
const (
	MaxWritten = 8 << 10        // bytes of an encoded document that Encode makes
	MaxRead    = 16 << 10       // and that Decode takes
	MaxAhead   = 24 * time.Hour // how far a revision may lie in the future
)

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
	Key     string          // names the key that it says it is signed with, see KeyID; empty: unsigned. Only Decode with keys has checked it
	Sum     string          // hex SHA-256 of whose it is and of all the above but Key. Decode sets it, Encode makes its own
}

// Newer tells whether d replaces other: by a higher revision, or the higher Sum where the revisions are one.
func (d Document) Newer(other Document) bool {
	if d.Rev != other.Rev {
		return d.Rev > other.Rev
	}
	return d.Sum > other.Sum
}

// ExpiredAt tells whether it counts for nothing any more at this time, as it has expired.
func (d Document) ExpiredAt(now time.Time) bool { return !d.Expires.IsZero() && !now.Before(d.Expires) }

// KeyID is the name of a public key in documents: the first 16 hex digits of its SHA-256.
func KeyID(key ed25519.PublicKey) string {
	sum := sha256.Sum256(key)
	return hex.EncodeToString(sum[:8])
}

// Encode writes the document of id, signed with key; a nil key leaves it unsigned. d.Key and d.Sum are ignored. What Decode
// would refuse at its revision's time, or what takes more than MaxWritten, is an error.
func (d Document) Encode(id ID, key ed25519.PrivateKey) (string, error) {
	e := envelope{Version: version, Rev: d.Rev, At: millis(d.At), Expires: millis(d.Expires), Deleted: d.Deleted}
	e.By = strings.ToValidUTF8(d.By, "\uFFFD") // as its reader will have it
	if !d.Deleted {
		var spec bytes.Buffer
		if err := json.Compact(&spec, d.Spec); err != nil {
			return "", fmt.Errorf("settings of %s: spec: %w", id, err)
		}
		e.Spec = spec.Bytes()
	}
	signed := e.signed(id)
	e.Sum = sum(signed)
	var keys []ed25519.PublicKey
	if key != nil {
		keys = append(keys, key.Public().(ed25519.PublicKey)) //nolint:errcheck // crypto/ed25519 says that it is one
		e.Key = KeyID(keys[0])
		e.Sig = base64.StdEncoding.EncodeToString(ed25519.Sign(key, signed))
	}
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false) // it would change the spec that was signed
	if err := encoder.Encode(e); err != nil {
		return "", fmt.Errorf("settings of %s: %w", id, err)
	}
	encoded := strings.TrimSuffix(text.String(), "\n")
	if len(encoded) > MaxWritten {
		return "", fmt.Errorf("settings of %s: %d bytes; %d are allowed", id, len(encoded), MaxWritten)
	}
	if _, err := Decode(id, encoded, time.UnixMilli(d.Rev), keys...); err != nil {
		return "", fmt.Errorf("settings of %s: %w", id, err)
	}
	return encoded, nil
}

// Decode reads the document of id and checks all that can be told from it alone. With keys it must be signed with one of
// them; without any, a signature isn't looked at. now is what its revision is compared with. An error is a [*Refusal].
func Decode(id ID, text string, now time.Time, keys ...ed25519.PublicKey) (Document, error) {
	e, err := parse(text)
	if err != nil {
		return Document{}, err
	}
	signed := e.signed(id)
	if sum(signed) != e.Sum {
		return Document{}, e.refuse(Malformed, "its checksum isn't that of its content: it was changed by hand, or is another group's")
	}
	if err := e.verify(signed, keys); err != nil {
		return Document{}, err
	}
	if ahead := time.UnixMilli(e.Rev).Sub(now); ahead > MaxAhead {
		return Document{}, e.refuse(FromTheFuture, "revision %d is a time more than %v from now: compare the clocks", e.Rev, MaxAhead)
	}
	d := Document{Rev: e.Rev, At: moment(e.At), Expires: moment(e.Expires), Deleted: e.Deleted, By: e.By, Key: e.Key, Sum: e.Sum}
	if !e.Deleted {
		d.Spec = e.Spec
	}
	return d, nil
}
