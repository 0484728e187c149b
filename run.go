package rocketkit

import (
	"context"
	"errors"
	"sync"
)

// Runner is what [Run] runs: a consumer.Consumer, or anything of the caller's.
type Runner interface {
	// Run works until ctx ends, then finishes what it has begun and returns nil; any other end returns an error.
	Run(ctx context.Context) error
}

// Run runs all parts at once and returns when every one has returned. When ctx ends they drain; when one fails the
// others drain, and its error is returned (several are joined). A part that returns nil early ends only itself.
func Run(ctx context.Context, parts ...Runner) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	failures := make([]error, len(parts))
	var wg sync.WaitGroup
	for i, part := range parts {
		wg.Go(func() {
			if failures[i] = part.Run(ctx); failures[i] != nil {
				cancel()
			}
		})
	}
	wg.Wait()
	return errors.Join(failures...)
}
