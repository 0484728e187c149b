package engine

import (
	"context"
	"fmt"

	"github.com/rocketkit/rocketkit/internal/frame"
	"github.com/rocketkit/rocketkit/internal/protocol"
)

// call asks a broker of the topic something, by its name, and returns the answer whatever its code.
func (e *Engine) call(ctx context.Context, broker, topic string, req *frame.Frame) (*frame.Frame, error) {
	r, err := e.view.Routes().Get(ctx, topic)
	if err != nil {
		return nil, err
	}
	address, ok := r.Address(broker, 0)
	if !ok {
		return nil, fmt.Errorf("broker %s: no name server knows where it is", broker)
	}
	ctx, cancel := context.WithTimeout(ctx, e.view.RequestTimeout())
	defer cancel()
	return e.view.Call(ctx, address, req)
}

// invoke is call for requests whose only good answer bears code 0.
func (e *Engine) invoke(ctx context.Context, broker, topic string, req *frame.Frame) (*frame.Frame, error) {
	answer, err := e.call(ctx, broker, topic, req)
	if err != nil {
		return nil, err
	}
	return answer, protocol.Check(req.Code, answer)
}
