// Package remoting keeps one multiplexed connection per RocketMQ address.
package remoting

import (
	"context"
	"errors"
	"log/slog"
	"net"

	"github.com/rocketkit/rocketkit/internal/frame"
)

// ErrClosed is returned once the Client was closed.
var ErrClosed = errors.New("remoting: client closed")

// DialFunc opens a connection.
type DialFunc func(ctx context.Context, network, address string) (net.Conn, error)

// Config is what New takes; the zero value works.
type Config struct {
	Dial      DialFunc
	Handle    func(ctx context.Context, address string, req *frame.Frame) *frame.Frame
	Connected func(address string)
	Log       *slog.Logger
}

// Client multiplexes requests over one connection per address.
type Client struct{}

// New makes a Client; it dials nothing yet.
func New(cfg Config) *Client { panic("todo") }

// Call sends req and waits for its answer under ctx.
func (c *Client) Call(ctx context.Context, address string, req *frame.Frame) (*frame.Frame, error) {
	panic("todo")
}

// Send sends req one-way.
func (c *Client) Send(ctx context.Context, address string, req *frame.Frame) error { panic("todo") }

// Drop closes the connection to address, if any.
func (c *Client) Drop(address string) { panic("todo") }

// Addresses lists what is connected now.
func (c *Client) Addresses() []string { panic("todo") }

// Close closes every connection and waits for the Client's goroutines.
func (c *Client) Close() error { panic("todo") }

// Error is transport trouble with one address.
type Error struct {
	Address string
	Op      string // dial, write, read or wait
	Err     error
}

func (e *Error) Error() string { return "remoting: " + e.Op + " " + e.Address + ": " + e.Err.Error() }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }
