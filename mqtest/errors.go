package mqtest

import "errors"

var errClosed = errors.New("the cluster was closed")

// waitError is a wait that ended before what it waited for was there.
type waitError struct{ missing, cause error }

func (e *waitError) Error() string   { return "mqtest: " + e.missing.Error() + ": " + e.cause.Error() }
func (e *waitError) Unwrap() []error { return []error{e.missing, e.cause} }
