package admin

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/internal/protocol"
)

// Errors that callers can act on, beside those of package rocketkit; test with errors.Is.
var (
	// ErrExists means that a topic or group to be created exists with other settings. Nothing was changed; Update does.
	ErrExists = errors.New("already exists with other settings")
	// ErrNoGroup means that no broker knows the group, or that one that should doesn't (rocketkit.Code is 26 then).
	ErrNoGroup = errors.New("no such group: create it first, or check its name and tenant")
	// ErrNoMember means that no broker knows a member of the group by that client id: it has stopped, or never was. See
	// Connections for those there are.
	ErrNoMember = errors.New("no such member is connected")
	// ErrResetPending means that a broker ignored an offset, because another reset of the group on that queue waits for
	// the group's next pull. Start a consumer of the group, or wait until a running one has pulled, and set it again.
	ErrResetPending = errors.New("ignored: an earlier reset of this queue waits for the group's next pull")
)

var errNoMaster = errors.New("has no master at the moment")

// PartialError says that a request to several servers missed some of them. Repeating the request is safe, and does what
// is missing once the cause is gone. errors.Is and errors.As see every cause.
type PartialError struct {
	Op     string    // what was asked, with logical names: "create topic orders"
	Done   []string  // where it was done, as Failure.Target names it; may be empty
	Failed []Failure // where it wasn't, never empty
}

// Failure is one server, or one queue on it, that missed a request.
type Failure struct {
	Target  string // "broker-a", "broker-a replica 1", "name server 10.0.0.1:9876", or a queue as rocketkit.Queue prints it
	Address string // host:port; empty for a broker without a master
	Err     error
}

// Error says what was done where, and every failure.
func (e *PartialError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "admin: %s: ", e.Op)
	if len(e.Done) > 0 {
		fmt.Fprintf(&b, "done on %s, not on ", strings.Join(e.Done, ", "))
	}
	for i, f := range e.Failed {
		if i > 0 {
			b.WriteString("; ")
		}
		fmt.Fprintf(&b, "%s: %v", f.Target, f.Err)
	}
	return b.String()
}

// Unwrap returns the failures' causes.
func (e *PartialError) Unwrap() []error {
	causes := make([]error, len(e.Failed))
	for i, f := range e.Failed {
		causes[i] = f.Err
	}
	return causes
}

// tally collects what became of a request on each of its servers.
type tally struct {
	op     string
	done   []string
	failed []Failure
}

// add enters outcomes, one for each server; nil means done.
func (t *tally) add(servers []server, outcomes []error) {
	for i, s := range servers {
		if err := outcomes[i]; err != nil {
			t.failed = append(t.failed, Failure{Target: s.name, Address: s.address, Err: withSentinel(err)})
		} else {
			t.done = append(t.done, s.name)
		}
	}
}

// denied tells whether a server refused for want of rights.
func (t *tally) denied() bool {
	return slices.ContainsFunc(t.failed, func(f Failure) bool { return protocol.HasCode(f.Err, protocol.CodeNoPermission) })
}

// lack enters servers that haven't what is to be changed.
func (t *tally) lack(servers []server, err error) {
	t.add(servers, slices.Repeat([]error{err}, len(servers)))
}

// err gives the PartialError, nil when nothing failed.
func (t *tally) err() error {
	if len(t.failed) == 0 {
		return nil
	}
	return &PartialError{Op: t.op, Done: t.done, Failed: t.failed}
}

// causes is several errors on one line; errors.Join would take a line for each.
type causes []error

func (c causes) Error() string {
	var texts []string
	for _, err := range c {
		if err != nil {
			texts = append(texts, err.Error())
		}
	}
	return strings.Join(texts, "; ")
}

// Unwrap leaves nil errors in: errors.Is and errors.As skip them.
func (c causes) Unwrap() []error { return c }

// withSentinel gives a server's refusal the error that callers test for, where there is one.
func withSentinel(err error) error {
	switch {
	case protocol.HasCode(err, protocol.CodeTopicNotExist) && !errors.Is(err, rocketkit.ErrNoRoute):
		return fmt.Errorf("%w: %w", err, rocketkit.ErrNoRoute)
	case protocol.HasCode(err, protocol.CodeGroupNotExist) && !errors.Is(err, ErrNoGroup):
		return fmt.Errorf("%w: %w", err, ErrNoGroup)
	}
	return err
}

// failed is the error of a request that one server decides.
func failed(op string, err error) error { return fmt.Errorf("admin: %s: %w", op, withSentinel(err)) }

// invalid is the error of an argument that can't be right.
func invalid(op, field string, err error) error {
	return fmt.Errorf("admin: %s: %s: %w: %w", op, field, err, rocketkit.ErrConfig)
}
