// Command rocketkit is the operator's command line for a RocketMQ cluster and what rocketkit keeps on it:
//
//	rocketkit tenant acl --tenant red            # print the ACL rules that confine tenant red
//	rocketkit tenant acl --tenant red --apply    # and set them on every broker
//
// The cluster, TLS and credentials come from the environment, as rocketkit.FromEnv reads it. It ends with status 0 when
// all was done, 1 when something failed, 2 when it was called wrongly, and 3 when the user said no.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	status := console{in: os.Stdin, out: os.Stdout, err: os.Stderr, lookup: os.LookupEnv}.run(ctx, os.Args[1:])
	stop()
	os.Exit(status)
}

// console is what the program reads from and writes to.
type console struct {
	in       io.Reader
	out, err io.Writer
	lookup   func(string) (string, bool)
}

// What the program ends with, beside 0.
const (
	statusFailed  = 1
	statusUsage   = 2
	statusRefused = 3
)

var (
	errUsage   = errors.New("wrong usage")
	errRefused = errors.New("nothing was changed")
)

// usage is an error of how the program was called.
func usage(format string, args ...any) error {
	return fmt.Errorf("%w: %w", errUsage, fmt.Errorf(format, args...))
}

// run runs the program and returns its status.
func (c console) run(ctx context.Context, args []string) int {
	command := c.root()
	command.SetArgs(args)
	command.SetIn(c.in)
	command.SetOut(c.out)
	command.SetErr(c.err)
	err := command.ExecuteContext(ctx)
	switch {
	case err == nil:
		return 0
	case errors.Is(err, errRefused):
		_, _ = fmt.Fprintln(c.err, err)
		return statusRefused
	}
	_, _ = fmt.Fprintln(c.err, "rocketkit:", err)
	if errors.Is(err, errUsage) {
		return statusUsage
	}
	return statusFailed
}
