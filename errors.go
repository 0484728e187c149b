package rocketkit

import (
	"errors"

	"github.com/rocketkit/rocketkit/internal/protocol"
	"github.com/rocketkit/rocketkit/internal/remoting"
	"github.com/rocketkit/rocketkit/internal/route"
)

// Errors that callers can act on; test with errors.Is.
var (
	// ErrConfig means that a setting is missing, malformed or out of range; the text names its field.
	ErrConfig = errors.New("invalid configuration")
	// ErrClosed means that the Client, Producer or Consumer was closed before.
	ErrClosed = remoting.ErrClosed
	// ErrNoRoute means that no name server knows the topic: it doesn't exist for this tenant.
	ErrNoRoute = route.ErrNoRoute
)

// Code returns the response code and remark with which a RocketMQ server refused a request, where err holds one
// (ResponseCode, RemotingSysResponseCode). It is false for trouble of transport, which has no code.
func Code(err error) (code int, remark string, ok bool) {
	var refused *protocol.Error
	if !errors.As(err, &refused) {
		return 0, "", false
	}
	return int(refused.Code), refused.Remark, true
}
