package consumer

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"

	"github.com/rocketkit/rocketkit"
)

// JSON makes a Handler of a function that takes the message's body as a value of type T, decoded as encoding/json does.
// A body that can't be decoded goes to the dead-letter topic, since no repetition cures it; the error that is logged says
// at which byte and field. The function may be called on several goroutines at once, each time with a value of its own.
func JSON[T any](handle func(ctx context.Context, m *rocketkit.Message, value T) error) Handler {
	if handle == nil {
		return nil // New says so
	}
	return func(ctx context.Context, m *rocketkit.Message) error {
		var value T
		if err := json.Unmarshal(m.Body(), &value); err != nil {
			return DeadLetter(undecodable[T](m.Body(), err))
		}
		return handle(ctx, m, value)
	}
}

// undecodable tells where in a body the decoding failed.
func undecodable[T any](body []byte, err error) error {
	offset := int64(-1)
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case len(bytes.TrimSpace(body)) == 0:
		return fmt.Errorf("body is empty, not JSON of a %v", reflect.TypeFor[T]())
	case errors.As(err, &syntax):
		offset = syntax.Offset
	case errors.As(err, &kind):
		offset = kind.Offset
	}
	if offset < 0 {
		return fmt.Errorf("body is no JSON of a %v: %w", reflect.TypeFor[T](), err)
	}
	return fmt.Errorf("body is no JSON of a %v: at byte %d of %d: %w", reflect.TypeFor[T](), offset, len(body), err)
}
