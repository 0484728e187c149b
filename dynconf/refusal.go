package dynconf

import (
	"errors"
)

// Reason is why a document was refused, one of few.
type Reason string

// The reasons.
const (
	Malformed      Reason = "malformed"  // no JSON of a document, or a wrong checksum
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
	Rev    int64 // that the document claims; 0 where none can be read
	Err    error
}

// Error says what is wrong with it.
func (r *Refusal) Error() string { return r.Err.Error() }

// Unwrap returns what is wrong with it.
func (r *Refusal) Unwrap() error { return r.Err }

// refusalOf makes an error the refusal of a document. One that is none says that its settings are Invalid.
func refusalOf(rev int64, err error) *Refusal {
	var refusal *Refusal
	if errors.As(err, &refusal) {
		return refusal
	}
	return &Refusal{Invalid, rev, err}
}
